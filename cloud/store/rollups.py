"""Rollups: what the readings of a series amount to by minute, hour and day, exact whatever comes late.

Every reading is counted once, in one of two ways, and its own transaction decides which:

- It lies at or after the **horizon** that the transaction read: nothing else is written for it. A job closes its minute
  later, and counts it from the table ``reading``.
- It lies before: it is marked ``late`` in ``reading``, and its part of the minute lies in ``rollup_due`` when the
  transaction commits. The job adds that part to its minute, hour and day, and takes it out of ``rollup_due``, in one
  transaction.

The job moves the horizon forward, in a transaction of its own. Transactions that run by then may have read the old one,
and readings that are not marked may still come from them. They have their numbers already, since ``rollup_horizon()``
reads the horizon only after a number was given out, and every number given out before is below one that is given out
now. So the job takes a number and waits until no transaction up to it runs (``pg_snapshot_xmin``). Whoever comes later
has read the new horizon. Then all that is not marked and lies before it is there to be seen, and nothing can join it:
the job counts it, adds it up to hours and days, and notes in the same transaction how far it has come (``closed``).

What a job leaves undone when it dies the next one does. Nothing is computed twice from readings, so how long those are
kept does not matter once their minute is closed. Summaries are always parts: of their minute, hour or day, whichever is
the narrowest that holds the whole of them, and of what is wider.
"""

import time as clocks
from struct import Struct
from typing import Any, Final

import psycopg

from cloud.store.buckets import LARGEST, Bucket, Key, Level
from cloud.store.times import POSTGRES_EPOCH, micros, moment
from contract.ids import Micros

SETTLED: Final = 60_000_000
"""A minute is closed so long after its end, in microseconds: live readings come within seconds."""
STEP: Final = Level.HOUR.width
"""The horizon moves by so much at most, so that a job that was away for long catches up piece by piece."""
_MOST_STEPS: Final = 100
SLICE: Final = 20_000
"""Parts that one transaction adds at most."""
_MOST_SLICES: Final = 50
_LOCK: Final = 0x5645_4445_5454_4503
_SETTLES_WITHIN_S: Final = 2.0
_PAUSE_S: Final = 0.02
TABLES: Final = {Level.MINUTE: "rollup_minute", Level.HOUR: "rollup_hour", Level.DAY: "rollup_day"}


def horizon(connection: psycopg.Connection[Any]) -> Micros:
    """In the caller's transaction, which is about to write readings: those of before then are late."""
    row = connection.execute("SELECT rollup_horizon()").fetchone()
    assert row is not None
    return micros(row[0])


def leave(connection: psycopg.Connection[Any], parts: dict[Key, Bucket]) -> None:
    """Leave parts to be added, in the transaction that writes what they are of."""
    if parts:
        with connection.cursor() as cursor, cursor.copy(_LEAVE) as copy:
            copy.write(_HEADER)
            copy.write(b"".join(_row(key, bucket) for key, bucket in parts.items()))
            copy.write(_TRAILER)


def keep(connection: psycopg.Connection[Any], now: Micros, settles_within_s: float = _SETTLES_WITHIN_S) -> bool:
    """Close the minutes that are over, and add what is due. ``connection`` is in autocommit mode.

    Returns False, with nothing done, when another process is at it. A transaction elsewhere that writes for longer than
    ``settles_within_s`` seconds puts the closing off.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    if row is None or not row[0]:
        return False
    try:
        for _ in range(_MOST_STEPS):
            if not move(connection, now) or not settled(connection, settles_within_s):
                break
            close(connection)
        for _ in range(_MOST_SLICES):
            if add(connection) < SLICE:
                break
        return True
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def move(connection: psycopg.Connection[Any], now: Micros) -> bool:
    """Move the horizon, a step at most; False where there is nothing to close."""
    row = connection.execute("SELECT horizon, closed FROM rollup_state").fetchone()
    assert row is not None
    reached, closed = map(micros, row)
    if closed < reached:
        return True  # somebody moved it and came no further
    target = Level.MINUTE.begin(min(now - SETTLED, reached + STEP))
    if target <= reached:
        return False
    connection.execute("UPDATE rollup_state SET horizon = %s", [moment(target)])
    return True


def settled(connection: psycopg.Connection[Any], within_s: float) -> bool:
    """Wait until no transaction runs that may have read an earlier horizon; False where that takes too long."""
    row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert row is not None
    deadline = clocks.monotonic() + within_s
    while True:
        over = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) > %s::xid8", [row[0]]).fetchone()
        if over is not None and over[0]:
            return True
        if clocks.monotonic() >= deadline:
            return False
        clocks.sleep(_PAUSE_S)


def close(connection: psycopg.Connection[Any]) -> None:
    """Count what lies between ``closed`` and the horizon and is not marked; only after ``settled``."""
    with connection.transaction():
        row = connection.execute("SELECT closed, horizon FROM rollup_state FOR UPDATE").fetchone()
        assert row is not None
        connection.execute(_CLOSE, {"begin": row[0], "end": row[1], "largest": LARGEST})
        connection.execute("UPDATE rollup_state SET closed = %s", [row[1]])


def add(connection: psycopg.Connection[Any]) -> int:
    """Add parts that are due, a slice of them; how many there were."""
    with connection.transaction():
        row = connection.execute(_ADD, [SLICE]).fetchone()
    assert row is not None
    return int(row[0])


def _row(key: Key, bucket: Bucket) -> bytes:
    level, series, begin = key
    head = 11, 2, level, 4, series, 8, begin - POSTGRES_EPOCH
    if bucket.count == 0:
        return _EMPTY.pack(*head, -1, 8, 0, 8, bucket.bad, 8, 0.0, -1, -1, -1, 2, bucket.quality)
    return _PART.pack(
        *head, 8, bucket.last_time - POSTGRES_EPOCH, 8, bucket.count, 8, bucket.bad, 8, bucket.sum, 8, bucket.least,
        8, bucket.greatest, 8, bucket.last, 2, bucket.quality,
    )  # fmt: skip


_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_PART: Final = Struct("!hihiiiqiqiqiqididididih")
_EMPTY: Final = Struct("!hihiiiqiiqiqidiiiih")
_FIGURES: Final = "last_time, count, bad, sum, min, max, last, quality"
_LEAVE: Final = f"COPY rollup_due (level, series_id, time, {_FIGURES}) FROM STDIN (FORMAT BINARY)"
_ORIGIN: Final = "'2000-01-01 00:00:00+00'::timestamptz"

MERGED: Final = """max(last_time) AS last_time, sum(count)::bigint AS count, sum(bad)::bigint AS bad, sum(sum) AS sum,
    min(min) AS min, max(max) AS max, (array_agg(last ORDER BY last_time DESC NULLS LAST, last DESC))[1] AS last,
    max(quality) AS quality"""
"""Several buckets, or parts of them, as one. Where two readings have the same time, the greater is the last: whichever
comes first, the answer is the same."""

COUNTED: Final = """max(time) FILTER (WHERE fit) AS last_time, count(*) FILTER (WHERE fit) AS count,
    count(*) FILTER (WHERE NOT fit) AS bad, coalesce(sum(value) FILTER (WHERE fit), 0) AS sum,
    min(value) FILTER (WHERE fit) AS min, max(value) FILTER (WHERE fit) AS max,
    (array_agg(value ORDER BY time DESC, value DESC) FILTER (WHERE fit))[1] AS last, max(quality) AS quality"""
"""Readings as a bucket; ``fit`` says whether one counts."""

FIT: Final = "quality < 2 AND value BETWEEN -%(largest)s AND %(largest)s"


def _merge_into(level: Level, source: str) -> str:
    return f"""INSERT INTO {TABLES[level]} AS r (series_id, time, {_FIGURES}) {source}
    ON CONFLICT (series_id, time) DO UPDATE SET count = r.count + excluded.count, bad = r.bad + excluded.bad,
        sum = r.sum + excluded.sum, min = least(r.min, excluded.min), max = greatest(r.max, excluded.max),
        last = CASE WHEN r.last_time IS NULL OR (excluded.last_time, excluded.last) > (r.last_time, r.last)
            THEN excluded.last ELSE r.last END,
        last_time = greatest(r.last_time, excluded.last_time), quality = greatest(r.quality, excluded.quality)"""


def _up(level: Level, source: str) -> str:
    width = {Level.MINUTE: "1 minute", Level.HOUR: "1 hour", Level.DAY: "1 day"}[level]
    return _merge_into(
        level,
        f"SELECT series_id, date_bin('{width}', time, {_ORIGIN}) AS begin, {MERGED} FROM {source} GROUP BY 1, 2",
    )


# Each series is looked up by itself, since the index of the readings is by series and time; one that has no reading so
# new is passed over.
_CLOSE: Final = f"""
WITH fresh AS MATERIALIZED (
    SELECT l.series_id, m.* FROM latest l CROSS JOIN LATERAL (
        SELECT date_bin('1 minute', time, {_ORIGIN}) AS time, {COUNTED}
        FROM (
            SELECT time AS time, value, quality, {FIT} AS fit FROM reading
            WHERE series_id = l.series_id AND time >= %(begin)s AND time < %(end)s AND NOT late
        ) counted GROUP BY 1
    ) m WHERE l.time >= %(begin)s
), minutes AS ({_merge_into(Level.MINUTE, f"SELECT series_id, time, {_FIGURES} FROM fresh")}
), hours AS ({_up(Level.HOUR, "fresh")}
) {_up(Level.DAY, "fresh")}"""

_ADD: Final = f"""
WITH gone AS MATERIALIZED (
    DELETE FROM rollup_due WHERE ctid = ANY (ARRAY(SELECT ctid FROM rollup_due LIMIT %s)) RETURNING *
), minutes AS ({_up(Level.MINUTE, "gone WHERE level = 0")}
), hours AS ({_up(Level.HOUR, "gone WHERE level <= 1")}
), days AS ({_up(Level.DAY, "gone")}
) SELECT count(*) FROM gone"""
