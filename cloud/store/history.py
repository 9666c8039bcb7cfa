"""What a series was from one time to another, with as many points as somebody can look at.

Which table answers hangs on how much there is and on what retention has left: readings as they came, or buckets of a
minute, an hour or a day, the finest of which not too many rows must be read. Readings are then thinned (``lttb``),
buckets put together into wider ones, each with its least and greatest value: either way no peak is hidden.

Minutes that are not closed yet are counted from readings in the same statement, so that nothing is missing at the right
edge and nothing counts twice. A summary that stands for more than a bucket is a point of its own, as long as itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import psycopg
from psycopg.rows import dict_row

from cloud.store import lttb
from cloud.store.buckets import BAD, LARGEST, Level, level_of
from cloud.store.rollups import COUNTED, FIT, MERGED, TABLES
from cloud.store.times import micros, moment
from contract.ids import Micros

Detail = Literal["reading", "minute", "hour", "day"]
ROWS_A_POINT: Final = 20
"""So many rows may be read for one point of the answer."""
_LEVELS: Final[tuple[tuple[Detail, Level], ...]] = (
    ("minute", Level.MINUTE),
    ("hour", Level.HOUR),
    ("day", Level.DAY),
)
_MOST_SUMMARIES: Final = 10_000


@dataclass(frozen=True)
class Point:
    """What was measured from ``time`` to before ``until``; at ``time`` where they are the same. ``count`` readings gave
    the figures, ``bad`` more could not be trusted; with none that could, there are no figures."""

    time: Micros
    until: Micros
    count: int
    bad: int
    min: float | None
    max: float | None
    mean: float | None
    last: float | None
    quality: int


@dataclass(frozen=True)
class History:
    """Points in the order of time, and what they were made from."""

    detail: Detail
    points: tuple[Point, ...]


def read(connection: psycopg.Connection[Any], series: int, since: Micros, until: Micros, points: int) -> History:
    """A series from ``since`` to before ``until``, in about ``points`` points (3 or more)."""
    detail, level = _choose(connection, series, since, until, points * ROWS_A_POINT)
    found = (
        _readings(connection, series, since, until, points)
        if level is None
        else _buckets(connection, series, level, since, until, points)
    )
    coarser = _summaries(connection, series, level, since, until)
    return History(detail, tuple(sorted([*found, *coarser], key=lambda point: (point.time, point.until))))


def _choose(
    connection: psycopg.Connection[Any], series: int, since: Micros, until: Micros, most: int
) -> tuple[Detail, Level | None]:
    row = connection.execute(
        "SELECT %(since)s >= readings_from AND (SELECT count(*) FROM (SELECT FROM reading WHERE series_id = %(series)s "
        "AND time >= %(since)s AND time < %(until)s LIMIT %(most)s + 1) AS few) <= %(most)s, "
        "%(since)s >= minutes_from, %(since)s >= hours_from FROM rollup_state",
        {"series": series, "since": moment(since), "until": moment(until), "most": most},
    ).fetchone()
    assert row is not None
    few, *kept = row
    if few:
        return "reading", None
    for (name, level), there in zip(_LEVELS[:-1], kept, strict=True):
        if there and (until - since) // level.width <= most:
            return name, level
    return _LEVELS[-1]


def _readings(
    connection: psycopg.Connection[Any], series: int, since: Micros, until: Micros, points: int
) -> list[Point]:
    rows = connection.execute(
        "SELECT time, value, quality FROM reading WHERE series_id = %s AND time >= %s AND time < %s ORDER BY time",
        [series, moment(since), moment(until)],
        binary=True,
    ).fetchall()
    fit = [(micros(time), value, quality) for time, value, quality in rows if _fits(value, quality)]
    times = np.array([time - since for time, _, _ in fit], dtype=np.float64)
    values = np.array([value for _, value, _ in fit], dtype=np.float64)
    found = []
    for index in lttb.with_extremes(times, values, points):
        time, value, quality = fit[index]
        found.append(Point(time, time, 1, 0, value, value, value, value, quality))
    return found + _bad_runs(rows)


def _fits(value: float, quality: int) -> bool:
    return quality < BAD and -LARGEST <= value <= LARGEST


def _bad_runs(rows: Sequence[tuple[Any, float, int]]) -> list[Point]:
    """Bad readings without a good one between them are one point."""
    runs: list[list[Micros]] = []
    after_bad = False
    for time, value, quality in rows:
        bad = not _fits(value, quality)
        if bad and not after_bad:
            runs.append([])
        if bad:
            runs[-1].append(micros(time))
        after_bad = bad
    return [Point(run[0], run[-1], 0, len(run), None, None, None, None, BAD) for run in runs]


def _buckets(
    connection: psycopg.Connection[Any], series: int, level: Level, since: Micros, until: Micros, points: int
) -> list[Point]:
    begin = level.begin(since)
    width = -(-(until - begin) // (points * level.width)) * level.width
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            _statement(level).encode(),
            {
                "series": series,
                "begin": moment(begin),
                "until": moment(until),
                "narrow": level.width // 1_000_000,
                "wide": width // 1_000_000,
                "largest": LARGEST,
            },
        ).fetchall()
    return [_point(row, width) for row in rows]


def _statement(level: Level) -> str:
    return f"""
WITH parts AS (
    SELECT time, last_time, count, bad, sum, min, max, last, quality FROM {TABLES[level]}
    WHERE series_id = %(series)s AND time >= %(begin)s AND time < %(until)s
    UNION ALL
    SELECT date_bin(make_interval(secs => %(narrow)s), time, %(begin)s) AS time, {COUNTED} FROM (
        SELECT time AS time, value, quality, {FIT} AS fit FROM reading
        WHERE series_id = %(series)s AND time >= greatest(%(begin)s, (SELECT closed FROM rollup_state))
            AND time < %(until)s AND NOT late
    ) counted GROUP BY 1
)
SELECT date_bin(make_interval(secs => %(wide)s), time, %(begin)s) AS begin, {MERGED} FROM parts GROUP BY 1 ORDER BY 1"""


def _point(row: dict[str, Any], width: int) -> Point:
    time = micros(row["begin"])
    mean = row["sum"] / row["count"] if row["count"] else None
    figures = row["min"], row["max"], mean, row["last"]
    return Point(time, time + width, row["count"], row["bad"], *figures, row["quality"])


def _summaries(
    connection: psycopg.Connection[Any], series: int, level: Level | None, since: Micros, until: Micros
) -> list[Point]:
    """Those that no bucket of the level counts; all of them beside readings."""
    rows = connection.execute(
        "SELECT time, until, count, min, max, mean, last, quality FROM summary "
        "WHERE series_id = %s AND time < %s AND until >= %s ORDER BY time LIMIT %s",
        [series, moment(until), moment(since), _MOST_SUMMARIES],
    ).fetchall()
    found = []
    for begin, end, count, least, greatest, mean, last, quality in rows:
        time, over = micros(begin), micros(end)
        if level is not None and level_of(time, over) <= level:
            continue
        if _fits(least, quality) and _fits(greatest, quality):
            found.append(Point(time, over, count, 0, least, greatest, mean, last, quality))
        else:
            found.append(Point(time, over, 0, count, None, None, None, None, quality))
    return found
