"""Tables for the days to come, and an end to those that are over. Safe to run at any time, from any process."""

import time as clocks
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import psycopg

from cloud.store import partitions, readings
from cloud.store.times import DAY, moment
from contract.ids import Micros

SEQ_BITS: Final = 40
"""The journal's ``seq`` is the day since 1970, shifted by so many bits, plus a running number."""
_LOCK: Final = 0x5645_4445_5454_4502
_LOCK_TIMEOUT: Final = "300ms"
"""Whoever writes readings waits behind us for as long as we wait for somebody who reads them."""


@dataclass(frozen=True)
class Retention:
    """How long what is kept."""

    readings_days: int = 30
    journal_days: int = 8
    feed_hours: int = 24
    quarantine_days: int = 90
    unpacked_days: int = 7
    """Older days of readings are packed, where the server can."""


def maintain(connection: psycopg.Connection[Any], now: Micros, retention: Retention | None = None) -> bool:
    """Make the days ahead, and drop what is over where ``retention`` is given.

    Returns False, with nothing done, when another process is at it. ``connection`` must be in autocommit mode: each
    table is a transaction of its own, and waits at most 0.3 s for whoever uses its parent.

    Raises:
        psycopg.errors.LockNotAvailable: a table was in use for too long; everything else was done. Call again later.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    if row is None or not row[0]:
        return False
    try:
        connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        _make_days(connection, now)
        if retention is not None:
            _end(connection, now, retention)
        return True
    finally:
        if not connection.closed:
            connection.execute("RESET lock_timeout")
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def ensure_days(connection: psycopg.Connection[Any], now: Micros, timeout_s: float = 30.0) -> None:
    """Return when the tables for ``now`` are there, made by us or by another process that is at it.

    Raises:
        TimeoutError: the other process does not come to an end.
    """
    deadline = clocks.monotonic() + timeout_s
    while not maintain(connection, now):
        if clocks.monotonic() > deadline:
            raise TimeoutError(f"upkeep of the tables by another process has not ended within {timeout_s:.0f} s")
        connection.execute("SELECT pg_sleep(0.05)")


def _make_days(connection: psycopg.Connection[Any], now: Micros) -> None:
    today = now // DAY
    for day in range(today - 1, today + readings.AHEAD_DAYS):
        begin = partitions.day_of(day)
        partitions.make(connection, "journal", begin, str(day << SEQ_BITS), str((day + 1) << SEQ_BITS))
    readings.kept_as(connection).make_days(connection, now)
    month = moment(now).date().replace(day=1)
    for begin in (_month_after(month, -1), month, _month_after(month, 1), _month_after(month, 2)):
        bounds = f"'{begin} 00:00:00+00'", f"'{_month_after(begin, 1)} 00:00:00+00'"
        partitions.make(connection, "rollup_minute", begin, *bounds)


def _month_after(month: date, months: int) -> date:
    """The first day of the month that many months later."""
    number = month.year * 12 + month.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def _end(connection: psycopg.Connection[Any], now: Micros, retention: Retention) -> None:
    """Let go of what is over, one thing after the other: a table in use puts off its own end alone."""
    today, kept = now // DAY, readings.kept_as(connection)
    steps: list[Callable[[], object]] = [
        lambda: kept.end_before(connection, today - retention.readings_days),
        lambda: kept.pack_before(connection, today - retention.unpacked_days),
        lambda: partitions.drop_before(connection, "journal", _journal_begin(connection, today, retention)),
        lambda: partitions.delete_before(connection, "feed", "time", now - retention.feed_hours * DAY // 24),
        lambda: partitions.delete_before(connection, "quarantine", "arrived", now - retention.quarantine_days * DAY),
        lambda: partitions.delete_before(connection, "summary", "until", now - retention.readings_days * DAY),
    ]
    put_off: psycopg.errors.LockNotAvailable | None = None
    for step in steps:
        try:
            step()
        except psycopg.errors.LockNotAvailable as error:
            put_off = error
    if put_off is not None:
        raise put_off


def _journal_begin(connection: psycopg.Connection[Any], today: int, retention: Retention) -> date:
    """The first day of the journal to keep: no later than that of the oldest entry that some partition's rules would
    have to read again after a takeover."""
    row = connection.execute(
        "SELECT min(coalesce(s.snapshot_seq, 0)) FROM journal_head h LEFT JOIN rule_state s USING (partition) "
        "WHERE h.seq > coalesce(s.snapshot_seq, 0)"
    ).fetchone()
    kept = today - max(retention.journal_days, 1)
    return partitions.day_of(kept if row is None or row[0] is None else min(kept, row[0] >> SEQ_BITS))
