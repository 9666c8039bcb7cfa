"""One transaction: the raw batches into the journal, their rows into the tables, the positions, and what to show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import psycopg

from cloud.ingest import journal
from cloud.ingest.journal import Line
from cloud.ingest.positions import Place
from cloud.ingest.rows import Rows, Series, Thinned
from cloud.store import feed, rollups
from cloud.store.codes import LANE_CODE
from cloud.store.times import moment
from cloud.warnings import past
from contract.ids import Micros
from contract.messages import NodeState
from contract.records import Lane, Record


@dataclass(frozen=True, slots=True)
class Refused:
    """Something for the quarantine, and why."""

    arrived: Micros
    topic: str
    reason: str
    body: bytes
    partition: int | None = None
    site: str | None = None
    node: str | None = None
    lane: Lane | None = None
    epoch: int | None = None
    number: int | None = None


@dataclass
class Work:
    """What shall be committed together. ``records`` has an item for each line of the journal, for the rules."""

    lines: list[Line] = field(default_factory=list)
    records: list[Sequence[Record]] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)
    positions: dict[Place, int] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    states: dict[tuple[str, str], tuple[Micros, NodeState]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.lines or self.refused or self.states)


class SeriesIds:
    """The numbers of the series, kept in memory once they are committed."""

    def __init__(self) -> None:
        self._known: dict[Series, int] = {}

    def find(self, connection: psycopg.Connection[Any], wanted: set[Series]) -> dict[Series, int]:
        """The number of each; new ones are made in the caller's transaction, and forgotten unless ``keep`` follows."""
        found = {series: self._known[series] for series in wanted if series in self._known}
        if missing := sorted(wanted - found.keys()):
            columns = [list(column) for column in zip(*missing, strict=True)]
            connection.execute(_NEW_SERIES, columns)
            rows = connection.execute(_FIND_SERIES, columns)
            found.update((Series(*row[:5]), row[5]) for row in rows)
        return found

    def keep(self, found: dict[Series, int]) -> None:
        """The transaction that asked for them is committed."""
        self._known.update(found)


def commit(
    connection: psycopg.Connection[Any], heads: dict[int, int], series: SeriesIds, work: Work
) -> tuple[list[int], bool]:
    """Commit all of ``work``, and move ``heads``; returns the number of each line, and whether the feed has news.

    Raises:
        FenceError: another worker has one of the partitions.
        psycopg.Error: nothing was committed, or (the connection being lost in the commit) nobody knows.
    """
    numbers = journal.number(heads, work.lines)
    moved: dict[int, int] = {}
    with connection.transaction():
        if work.lines:
            moved = journal.append(connection, heads, work.lines, numbers)
        ids = series.find(connection, work.rows.series())
        write_rows(connection, work.rows, ids)
        for (site, node), events in work.rows.ended.items():
            past.remember(connection, site, node, events, max(line.arrived for line in work.lines))
        _write_positions(connection, work.positions)
        _write_refused(connection, work.refused)
        shown = [*_write_states(connection, work), *_fresh(work.rows, ids)]
        feed.write(connection, shown)
    heads.update(moved)
    series.keep(ids)
    return numbers, bool(shown)


def write_rows(connection: psycopg.Connection[Any], rows: Rows, ids: dict[Series, int]) -> None:
    """Write readings, summaries, events and evidence in the caller's transaction."""
    with connection.cursor() as cursor:
        if rows.readings or rows.summaries:
            horizon = rollups.horizon(connection)
            rollups.leave(connection, rows.parts(ids, horizon))
        if rows.readings:
            with cursor.copy(READINGS) as copy:
                for piece in rows.binary_readings(ids, horizon):
                    copy.write(piece)
        if rows.newest:
            newest = [(ids[series], new) for series, new in rows.newest.items()]
            cursor.execute(
                _LATEST,
                [
                    [number for number, _ in newest],
                    [moment(new.time) for _, new in newest],
                    [new.value for _, new in newest],
                    [new.quality for _, new in newest],
                    [new.lane for _, new in newest],
                    [moment(new.arrived) for _, new in newest],
                ],
            )
        if rows.summaries:
            cursor.executemany(_SUMMARY, [_summary(ids[series], one) for series, one in rows.summaries])
        if rows.events:
            cursor.executemany(_EVENT, rows.events)
        if rows.evidence:
            cursor.executemany(_EVIDENCE, rows.evidence)


def _summary(series: int, one: Thinned) -> tuple[object, ...]:
    places = one.quality, one.lane, moment(one.arrived)
    return series, moment(one.time), moment(one.until), one.count, *one.figures, *places


def _write_positions(connection: psycopg.Connection[Any], positions: dict[Place, int]) -> None:
    if positions:
        places = list(positions)
        connection.execute(
            _POSITION,
            [
                [place.site for place in places],
                [place.node for place in places],
                [place.epoch for place in places],
                [LANE_CODE[place.lane] for place in places],
                list(positions.values()),
            ],
        )


def _write_refused(connection: psycopg.Connection[Any], refused: Sequence[Refused]) -> None:
    if refused:
        with connection.cursor() as cursor:
            cursor.executemany(
                _QUARANTINE,
                [
                    (
                        moment(one.arrived), one.topic, one.partition, one.site, one.node,
                        None if one.lane is None else LANE_CODE[one.lane], one.epoch, one.number, one.reason, one.body,
                    )
                    for one in refused
                ],
            )  # fmt: skip


def _write_states(connection: psycopg.Connection[Any], work: Work) -> Iterator[tuple[str, str, object]]:
    """State and health of nodes; yields a feed row for each node that changed."""
    changed = set()
    for (site, node), (arrived, state) in work.states.items():
        text = msgspec.json.encode(state).decode()
        done = connection.execute(_STATE, [text, moment(arrived), site, node, text])
        if done.rowcount:
            changed.add(f"{site}/{node}")
    for (site, node), (time, health) in work.rows.health.items():
        at = moment(time)
        done = connection.execute(_HEALTH, [msgspec.json.encode(health).decode(), at, site, node, at])
        if done.rowcount:
            changed.add(f"{site}/{node}")
            with connection.cursor() as cursor:
                cursor.executemany(
                    _SOURCE,
                    [
                        (site, node, one.source, one.kind, one.title, one.note, msgspec.json.encode(one).decode(), at)
                        for one in health.sources
                    ],
                )
    for key in sorted(changed):
        yield "node", key, {}


def _fresh(rows: Rows, ids: dict[Series, int]) -> Iterator[tuple[str, str, object]]:
    for key, series in rows.fresh.items():
        yield "reading", key, {"series": sorted(ids[one] for one in series)}
    for key in sorted(rows.changed_events):
        yield "event", key, {}


_SERIES: Final = "site, node, source, quantity, unit"
_ARRAYS: Final = "unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])"
_NEW_SERIES: Final = f"INSERT INTO series ({_SERIES}) SELECT * FROM {_ARRAYS} ON CONFLICT DO NOTHING"
_FIND_SERIES: Final = f"SELECT {_SERIES}, id FROM series JOIN {_ARRAYS} AS wanted ({_SERIES}) USING ({_SERIES})"
READINGS: Final = (
    "COPY reading (time, series_id, value, quality, lane, arrived, replaced, late) FROM STDIN (FORMAT BINARY)"
)
_LATEST: Final = """
INSERT INTO latest (series_id, time, value, quality, lane, arrived)
SELECT * FROM unnest(%s::integer[], %s::timestamptz[], %s::float8[], %s::smallint[], %s::smallint[], %s::timestamptz[])
ON CONFLICT (series_id) DO UPDATE SET time = excluded.time, value = excluded.value, quality = excluded.quality,
    lane = excluded.lane, arrived = excluded.arrived
WHERE excluded.time >= latest.time"""
_SUMMARY: Final = (
    "INSERT INTO summary (series_id, time, until, count, min, max, mean, last, quality, lane, arrived) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_EVENT: Final = """
INSERT INTO event (site, node, id, source, kind, phase, revision, time, started, zone, score, model, detections, attrs,
    detected, lane, arrived, replaced)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (site, node, id) DO UPDATE SET source = excluded.source, kind = excluded.kind, phase = excluded.phase,
    revision = excluded.revision, time = excluded.time, started = excluded.started, zone = excluded.zone,
    score = excluded.score, model = excluded.model, detections = excluded.detections, attrs = excluded.attrs,
    detected = excluded.detected, lane = excluded.lane, arrived = excluded.arrived, replaced = excluded.replaced
WHERE excluded.revision > event.revision"""
_EVIDENCE: Final = """
INSERT INTO evidence (site, node, event, sha256, bytes, media_type, role, source, time, duration_s, arrived, detections,
    stored)
SELECT v.*, EXISTS (SELECT 1 FROM evidence_file f WHERE f.sha256 = v.sha256) FROM (VALUES (%s, %s, %s, %s, %s::bigint,
    %s, %s, %s, %s::timestamptz, %s::float8, %s::timestamptz, %s::jsonb)) AS v (site, node, event, sha256, bytes,
    media_type, role, source, time, duration_s, arrived, detections)
ON CONFLICT DO NOTHING"""
_POSITION: Final = """
INSERT INTO position (site, node, epoch, lane, position)
SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::smallint[], %s::bigint[])
ON CONFLICT (site, node, epoch, lane) DO UPDATE SET position = excluded.position, changed = now()"""
_QUARANTINE: Final = (
    "INSERT INTO quarantine (arrived, topic, partition, site, node, lane, epoch, number, reason, body) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_STATE: Final = (
    "UPDATE node SET state = %s::jsonb, state_time = %s WHERE site = %s AND node = %s "
    "AND state IS DISTINCT FROM %s::jsonb"
)
_HEALTH: Final = (
    "UPDATE node SET health = %s, health_time = %s WHERE site = %s AND node = %s "
    "AND (health_time IS NULL OR health_time <= %s)"
)
_SOURCE: Final = """
INSERT INTO source (site, node, source, kind, title, note, health, health_time) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (site, node, source) DO UPDATE SET kind = excluded.kind, title = excluded.title, note = excluded.note,
    health = excluded.health, health_time = excluded.health_time"""
