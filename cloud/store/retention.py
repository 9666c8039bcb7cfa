"""How long what is kept, and its end. Whole days and months are dropped; rows go in slices that nobody waits for.

What belongs to a warning that somebody has still to deal with is kept, whatever its age: the warning, its events, its
evidence. Ages count from the time of a reading or a plate, and from the arrival of everything else, so that a box whose
clock is wrong loses nothing that way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, LiteralString

import psycopg

from cloud.store import partitions, readings
from cloud.store.times import DAY, micros, moment
from contract.ids import Micros

SEQ_BITS: Final = 40
"""The journal's ``seq`` is the day since 1970, shifted by so many bits, plus a running number."""
_WARNINGS_AT_ONCE: Final = 200


@dataclass(frozen=True)
class Retention:
    """Days, where the name does not say otherwise."""

    readings_days: int = 30
    minutes_days: int = 400
    """Rollups by minute, and summaries: a year and a month more, to compare with last year."""
    hours_days: int = 3650
    """Rollups by hour and by day."""
    plates_days: int = 30
    """Events that are reads of number plates, and what shows them."""
    evidence_days: int = 90
    events_days: int = 1095
    """Other events, warnings, and what led to them."""
    journal_days: int = 8
    feed_hours: int = 24
    quarantine_days: int = 90
    unpacked_days: int = 7
    """Older days of readings are packed, where the server can."""


def end(connection: psycopg.Connection[Any], now: Micros, retention: Retention) -> None:
    """Let go of what is over, one thing after the other: a table in use puts off its own end alone.

    Raises:
        psycopg.errors.LockNotAvailable: one was in use for longer than ``lock_timeout``; all others were dealt with.
    """

    def before(days: int) -> Micros:
        return now - days * DAY

    steps: tuple[Callable[[], object], ...] = (
        lambda: _end_readings(connection, now, retention),
        lambda: _end_minutes(connection, before(retention.minutes_days)),
        lambda: _end_hours(connection, before(retention.hours_days)),
        lambda: _end_journal(connection, _journal_begin(connection, now // DAY, retention)),
        lambda: partitions.delete_before(connection, "feed", "time", now - retention.feed_hours * DAY // 24),
        lambda: partitions.delete_before(connection, "quarantine", "arrived", before(retention.quarantine_days)),
        lambda: _end_plates(connection, before(retention.plates_days)),
        lambda: partitions.delete_before(
            connection, "evidence", "arrived", before(retention.evidence_days), _NOBODY_NEEDS.format("evidence.event")
        ),
        lambda: _end_events(connection, before(retention.events_days)),
        lambda: _end_warnings(connection, before(retention.events_days)),
        lambda: partitions.delete_before(connection, "signal", "time", before(retention.events_days)),
    )
    put_off: psycopg.errors.LockNotAvailable | None = None
    for step in steps:
        try:
            step()
        except psycopg.errors.LockNotAvailable as error:
            put_off = error
    if put_off is not None:
        raise put_off


def _end_readings(connection: psycopg.Connection[Any], now: Micros, retention: Retention) -> None:
    """Whole days, and none of which some minute still has to be closed: after a long stop that may be an old one."""
    row = connection.execute("SELECT closed FROM rollup_state").fetchone()
    assert row is not None
    kept, today = readings.kept_as(connection), now // DAY
    first = min(today - retention.readings_days, micros(row[0]) // DAY)
    connection.execute(
        "UPDATE rollup_state SET readings_from = %(to)s WHERE readings_from < %(to)s", {"to": moment(first * DAY)}
    )
    kept.end_before(connection, first)
    kept.pack_before(connection, today - retention.unpacked_days)


def _end_minutes(connection: psycopg.Connection[Any], before: Micros) -> None:
    """Whole months, and the summaries that charts of minutes show beside them."""
    month = moment(before).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    connection.execute("UPDATE rollup_state SET minutes_from = %(to)s WHERE minutes_from < %(to)s", {"to": month})
    partitions.drop_before(connection, "rollup_minute", month.date())
    partitions.delete_before(connection, "rollup_minute_early", "time", micros(month))
    partitions.delete_before(connection, "summary", "until", micros(month))


def _end_hours(connection: psycopg.Connection[Any], before: Micros) -> None:
    begin = before - before % DAY
    connection.execute("UPDATE rollup_state SET hours_from = %(to)s WHERE hours_from < %(to)s", {"to": moment(begin)})
    for table in ("rollup_hour", "rollup_day"):
        partitions.delete_before(connection, table, "time", begin)


def _end_journal(connection: psycopg.Connection[Any], begin: date) -> None:
    """Whole days, and the states of the rules from which nothing can be replayed any more."""
    partitions.drop_before(connection, "journal", begin)
    midnight = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    partitions.delete_before(connection, "rule_snapshot", "time", micros(midnight))


def _journal_begin(connection: psycopg.Connection[Any], today: int, retention: Retention) -> date:
    """The first day of the journal to keep: no later than that of the oldest entry that some partition's rules would
    have to read again after a takeover."""
    row = connection.execute(
        "SELECT min(coalesce(s.snapshot_seq, 0)) FROM journal_head h LEFT JOIN rule_state s USING (partition) "
        "WHERE h.seq > coalesce(s.snapshot_seq, 0)"
    ).fetchone()
    kept = today - max(retention.journal_days, 1)
    return partitions.day_of(kept if row is None or row[0] is None else min(kept, row[0] >> SEQ_BITS))


def _end_plates(connection: psycopg.Connection[Any], before: Micros) -> None:
    """The events, and the records of their pictures in the same transaction; the files follow (cloud/evidence)."""
    _in_slices(
        connection,
        "WITH gone AS (DELETE FROM event WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM event WHERE kind = 'plate' AND time < %s AND {_NOBODY_NEEDS.format('event.id')} LIMIT %s"
        ")) RETURNING site, node, id), pictures AS (DELETE FROM evidence e USING gone g "
        "WHERE e.site = g.site AND e.node = g.node AND e.event = g.id) SELECT count(*) FROM gone",
        before,
        partitions.SLICE,
    )


def _end_events(connection: psycopg.Connection[Any], before: Micros) -> None:
    condition = f"arrived < '{moment(before).isoformat()}' AND {_NOBODY_NEEDS.format('event.id')}"
    partitions.delete_before(connection, "event", "time", before, condition)


def _end_warnings(connection: psycopg.Connection[Any], before: Micros) -> None:
    _in_slices(
        connection,
        "WITH old AS MATERIALIZED (SELECT id FROM warning WHERE raised < %(before)s AND changed < %(before)s "
        "AND state NOT IN ('open', 'acknowledged') LIMIT %(limit)s), "
        "steps AS (DELETE FROM warning_step WHERE warning IN (SELECT id FROM old)), "
        "gone AS (DELETE FROM warning WHERE id IN (SELECT id FROM old) RETURNING id) SELECT count(*) FROM gone",
        before,
        _WARNINGS_AT_ONCE,
    )


def _in_slices(connection: psycopg.Connection[Any], statement: str, before: Micros, limit: int) -> None:
    named = "%(before)s" in statement
    while True:
        values = {"before": moment(before), "limit": limit} if named else [moment(before), limit]
        row = connection.execute(statement.encode(), values).fetchone()
        if row is None or row[0] < limit:
            return


_NOBODY_NEEDS: Final[LiteralString] = (
    "NOT EXISTS (SELECT 1 FROM warning w WHERE w.state IN ('open', 'acknowledged') AND w.events @> ARRAY[{}])"
)
"""No warning speaks of the event that somebody has still to deal with."""
