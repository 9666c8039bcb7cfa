"""A chart shows what there is, in as many points as are wanted, and hides no peak, no hole and no edge."""

import math
from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from cloud.store import rollups
from cloud.store.connection import connect
from cloud.store.history import History, read
from cloud.store.retention import Retention
from cloud.store.times import DAY, moment
from cloud.store.upkeep import ensure_days, maintain
from contract.records import Quality
from tests.cloud.store.test_rollups import HOUR, MINUTE, NOON, SECOND, reading, summary, write


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, "test") as connection:
        ensure_days(connection, NOON)
        connection.execute("UPDATE rollup_state SET horizon = %(to)s, closed = %(to)s", {"to": moment(NOON - DAY)})
        yield connection


def history(connection: psycopg.Connection, since: int, until: int, points: int = 100) -> History:
    row = connection.execute("SELECT id FROM series").fetchone()
    assert row is not None
    return read(connection, row[0], since, until, points)


def test_a_short_time_is_shown_as_it_came(connection: psycopg.Connection) -> None:
    write(connection, [reading(NOON + n * SECOND, float(n)) for n in range(50)])
    found = history(connection, NOON + 10 * SECOND, NOON + 20 * SECOND)
    assert found.detail == "reading"
    assert [(p.time, p.until, p.last) for p in found.points] == [
        (NOON + n * SECOND, NOON + n * SECOND, float(n)) for n in range(10, 20)
    ]


def test_many_readings_are_thinned_and_the_peak_stays(connection: psycopg.Connection) -> None:
    values = [math.sin(n / 50) for n in range(1500)]
    values[777] = 40.0
    write(connection, [reading(NOON + n * SECOND, value) for n, value in enumerate(values)])
    found = history(connection, NOON, NOON + HOUR)
    assert found.detail == "reading"
    assert 100 <= len(found.points) <= 102
    assert max(p.max for p in found.points if p.max is not None) == 40.0


def test_the_longer_the_time_the_wider_the_bucket(connection: psycopg.Connection) -> None:
    random = Random(5)
    sent = [reading(NOON - random.randrange(20 * DAY), float(random.randrange(100))) for _ in range(2500)]
    write(connection, sent)
    assert rollups.keep(connection, NOON + HOUR)
    details = []
    for days in (0.9, 1.1, 60, 1000):
        since = int(NOON - days * DAY)
        found = history(connection, since, NOON + HOUR)
        details.append(found.detail)
        assert len(found.points) <= 102
        if days >= 60:
            assert sum(p.count for p in found.points) == len(sent)
            assert sum((p.mean or 0) * p.count for p in found.points) == pytest.approx(sum(r.value for r in sent))
    assert details[2:] == ["hour", "day"]


@pytest.mark.parametrize("hours", [31, 1500, 50_000])
def test_nothing_is_missing_at_the_right_edge_and_nothing_counts_twice(
    connection: psycopg.Connection, hours: int
) -> None:
    """Half of it closed, part of it late, the last of it neither, a move of the horizon under way."""
    random = Random(hours)
    sent = [reading(NOON - random.randrange(30 * HOUR), float(random.randrange(100))) for _ in range(3000)]
    write(connection, sent[:1000])
    for _ in range(20):
        rollups.move(connection, NOON)
        rollups.close(connection)
    write(connection, sent[1000:2500])
    while rollups.add(connection):
        pass
    rollups.move(connection, NOON)
    write(connection, sent[2500:])
    while rollups.add(connection):
        pass
    state = connection.execute("SELECT closed < horizon, horizon < %s FROM rollup_state", [moment(NOON)]).fetchone()
    assert state == (True, True)
    found = history(connection, NOON - hours * HOUR, NOON)
    assert found.detail == {31: "minute", 1500: "hour", 50_000: "day"}[hours]
    assert sum(p.count for p in found.points) == len(sent)
    assert sum((p.mean or 0) * p.count for p in found.points) == pytest.approx(sum(r.value for r in sent))
    newest = max(sent, key=lambda r: (r.time, r.value))
    assert found.points[-1].last == newest.value
    assert all(a.until <= b.time for a, b in zip(found.points, found.points[1:], strict=False))


def test_where_readings_are_gone_rollups_answer(connection: psycopg.Connection) -> None:
    write(connection, [reading(NOON + n * SECOND, float(n)) for n in range(50)])
    assert rollups.keep(connection, NOON + DAY)
    for days, detail in ((29, "reading"), (32, "minute"), (460, "hour"), (4000, "day")):
        ensure_days(connection, NOON + days * DAY)
        while rollups.move(connection, NOON + days * DAY):
            connection.execute(
                "UPDATE rollup_state SET closed = %(to)s, horizon = %(to)s", {"to": moment(NOON + days * DAY)}
            )
        maintain(connection, NOON + days * DAY, Retention(hours_days=3650))
        assert history(connection, NOON, NOON + MINUTE).detail == detail


def test_bad_readings_are_seen_and_draw_no_line(connection: psycopg.Connection) -> None:
    qualities = [Quality.GOOD, Quality.BAD, Quality.BAD, Quality.UNCERTAIN, Quality.BAD]
    write(
        connection,
        [reading(NOON + n * SECOND, -9999.0 if q is Quality.BAD else 20.0, q) for n, q in enumerate(qualities)],
    )
    found = history(connection, NOON, NOON + MINUTE)
    assert [(p.count, p.bad, p.mean, p.quality) for p in found.points] == [
        (1, 0, 20.0, 0), (0, 2, None, 2), (1, 0, 20.0, 1), (0, 1, None, 2),
    ]  # fmt: skip
    assert (found.points[1].time, found.points[1].until) == (NOON + SECOND, NOON + 2 * SECOND)


def test_a_summary_is_shown_at_every_scale_once(connection: psycopg.Connection) -> None:
    thinned = summary(NOON - 5 * HOUR + SECOND, NOON - 5 * HOUR + 40 * MINUTE, [1.0, 9.0, 5.0])
    minute = summary(NOON - 3 * HOUR, NOON - 3 * HOUR + 50 * SECOND, [2.0, 4.0])
    write(connection, [thinned, minute, *(reading(NOON - HOUR + n, 5.0) for n in range(100))])
    assert rollups.keep(connection, NOON + HOUR)
    near = history(connection, NOON - 6 * HOUR, NOON, 10)
    assert near.detail == "reading"
    assert [(p.count, p.min, p.max) for p in near.points[:2]] == [(3, 1.0, 9.0), (2, 2.0, 4.0)]
    mid = history(connection, NOON - 6 * HOUR, NOON, 3 + 20)
    assert sum(p.count for p in mid.points) >= 5
    by_minute = history(connection, NOON - 6 * HOUR, NOON, 4)  # 80 rows may be read: fewer than there are
    assert by_minute.detail == "hour"
    assert sum(p.count for p in by_minute.points) == 105
    connection.execute("UPDATE rollup_state SET readings_from = %s", [moment(NOON)])
    by_minute = history(connection, NOON - 6 * HOUR, NOON, 100)
    assert by_minute.detail == "minute"
    assert sum(p.count for p in by_minute.points) == 105
    assert (thinned.time, thinned.until, 3) in [(p.time, p.until, p.count) for p in by_minute.points]
