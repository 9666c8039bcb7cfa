"""Every reading is counted once in its minute, hour and day: in any order, however late, whatever is kept of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.ingest.rows import Rows, Series
from cloud.ingest.transaction import SeriesIds, write_rows
from cloud.store import rollups
from cloud.store.buckets import Level
from cloud.store.codes import QUALITIES, QUALITY_CODE
from cloud.store.connection import connect
from cloud.store.readings import kept_as
from cloud.store.schema import migrate, shipped
from cloud.store.times import DAY, micros, moment
from cloud.store.upkeep import ensure_days
from contract.records import Lane, Quality, Reading, Summary

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
NOON = 1_764_000_000_000_000 // DAY * DAY + DAY // 2
Figures = tuple[int, int, float, float | None, float | None, float | None, int]
Given = Reading | Summary


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, "test") as connection:
        ensure_days(connection, NOON)
        _begin(connection)
        yield connection


def _begin(connection: psycopg.Connection) -> None:
    tables = "reading", "summary", "latest", "rollup_minute", "rollup_hour", "rollup_day", "rollup_due"
    connection.execute("; ".join(f"DELETE FROM {table}" for table in tables).encode())
    connection.execute("UPDATE rollup_state SET horizon = %(to)s, closed = %(to)s", {"to": moment(NOON - HOUR)})


def reading(time: int, value: float, quality: Quality = Quality.GOOD, source: str = "a") -> Reading:
    return Reading(time=time, source=source, quantity="co", value=value, quality=quality)


def summary(time: int, until: int, values: Sequence[float], source: str = "a") -> Summary:
    mean = sum(values) / len(values)
    return Summary(
        time=time, until=until, source=source, quantity="co", count=len(values), min=min(values), max=max(values),
        mean=mean, last=values[-1],
    )  # fmt: skip


def write(connection: psycopg.Connection, records: Sequence[Given]) -> None:
    """Write records as ingest does; what a connection without autocommit writes stays open."""
    rows = Rows()
    if not connection.autocommit:
        connection.execute("SELECT 1")
    for record in records:
        rows.add("mill", "north", Lane.LIVE, NOON + 10 * DAY, record)
    with connection.transaction():
        write_rows(connection, rows, SeriesIds().find(connection, rows.series()))


def found(connection: psycopg.Connection, level: Level) -> dict[tuple[str, int], Figures]:
    table = rollups.TABLES[level]
    rows = connection.execute(
        f"SELECT source, time, count, bad, sum, min, max, last, quality FROM {table} JOIN series ON id = series_id"
    )
    return {(source, micros(time)): tuple(rest) for source, time, *rest in rows}  # type: ignore[misc]


def expected(records: Sequence[Given], level: Level) -> dict[tuple[str, int], Figures]:
    """The same by adding up everything that was ever sent, in plain words."""
    shares: dict[tuple[str, int], list[tuple[int, int, float, float, float, float, Quality]]] = {}
    for one in records:
        if isinstance(one, Reading):
            figures = (1, one.time, one.value, one.value, one.value, one.value, one.quality)
            wide = 0
        else:
            figures = (one.count, one.until, one.min, one.max, one.mean, one.last, one.quality)
            wide = next(n for n, w in enumerate((MINUTE, HOUR, DAY)) if one.time // w == one.until // w or n == 2)
        if wide <= level:
            width = (MINUTE, HOUR, DAY)[level]
            shares.setdefault((one.source, one.time // width * width), []).append(figures)
    whole: dict[tuple[str, int], Figures] = {}
    for key, parts in shares.items():
        good = [part for part in parts if part[6] is not Quality.BAD]
        whole[key] = (
            sum(part[0] for part in good),
            sum(part[0] for part in parts if part[6] is Quality.BAD),
            sum(part[0] * part[4] for part in good),
            min((part[2] for part in good), default=None),
            max((part[3] for part in good), default=None),
            max(((part[1], part[5]) for part in good), default=(0, None))[1],
            max(QUALITY_CODE[part[6]] for part in parts),
        )
    return whole


def check(connection: psycopg.Connection, records: Sequence[Given]) -> None:
    for level in Level:
        assert found(connection, level) == expected(records, level)


TIMES = st.one_of(
    st.integers(-2 * HOUR // SECOND, 2 * HOUR // SECOND).map(lambda s: NOON + s * SECOND),
    st.integers(-3 * 24, 3).map(lambda h: NOON + h * HOUR + 7 * SECOND),
)
VALUES = st.integers(-1000, 1000).map(float)
READINGS = st.builds(reading, TIMES, VALUES, st.sampled_from(QUALITIES))
SPANS = st.sampled_from((MINUTE, HOUR, DAY))


@st.composite
def _summaries(draw: st.DrawFn) -> Summary:
    """As a box thins: within one minute, hour or day; the mean such that its sum is whole, to be compared exactly."""
    width, value = draw(SPANS), float(draw(st.integers(-500, 500)))
    begin = draw(TIMES) // width * width
    times = sorted(begin + draw(st.integers(0, width // SECOND - 1)) * SECOND for _ in range(2))
    return summary(times[0], times[1], [value, value + 4, value - 4, value + 2, value - 2])


RECORDS = st.lists(st.one_of(READINGS, _summaries()), min_size=1, max_size=8)
CLOCKS = st.integers(-1, 150).map(lambda m: NOON + m * MINUTE)
STEPS = st.one_of(
    st.tuples(st.just("write"), RECORDS),
    st.tuples(st.just("open"), RECORDS),
    st.tuples(st.just("commit"), st.none()),
    st.tuples(st.just("move"), CLOCKS),
    st.tuples(st.just("close"), st.none()),
    st.tuples(st.just("add"), st.none()),
    st.tuples(st.just("keep"), CLOCKS),
    st.tuples(st.just("forget"), st.none()),
)


@dataclass
class Bench:
    """Two who write, one of them slowly, and the job, one step of it at a time."""

    quick: psycopg.Connection
    slow: psycopg.Connection
    job: psycopg.Connection
    sent: list[Given] = field(default_factory=list)

    def do(self, step: str, what: Any) -> None:
        if step == "write":
            write(self.quick, what)
            self.sent += what
        elif step == "open" and not self._open():
            records = [_of_another_source(one) for one in what]
            write(self.slow, records)
            self.sent += records
        elif step == "commit":
            self.slow.commit()
        elif step == "move":
            rollups.move(self.job, what)
        elif step == "close" and rollups.settled(self.job, 0):
            rollups.close(self.job)
        elif step == "add":
            rollups.add(self.job)
        elif step == "keep":
            rollups.keep(self.job, what, settles_within_s=0)
        elif step == "forget":
            self.job.execute("DELETE FROM reading WHERE time < (SELECT closed FROM rollup_state)")

    def finish(self) -> None:
        self.slow.commit()
        assert rollups.keep(self.job, NOON + 4 * DAY)

    def _open(self) -> bool:
        return self.slow.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE


def _of_another_source(one: Given) -> Given:
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    return type(one)(**{**values, "source": "b"})


@pytest.mark.slow  # forty histories, each of them step by step in the database
@given(steps=st.lists(STEPS, max_size=24))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_delay_ends_with_the_same_rollups(
    connection: psycopg.Connection, database: str, steps: list[tuple[str, Any]]
) -> None:
    _begin(connection)
    with connect(database, "quick") as quick, connect(database, "slow", autocommit=False) as slow:
        bench = Bench(quick, slow, connection)
        SeriesIds().find(quick, {Series("mill", "north", source, "co", "") for source in "ab"})
        for step, what in steps:
            bench.do(step, what)
        bench.finish()
    check(connection, bench.sent)
    assert connection.execute("SELECT count(*) FROM rollup_due").fetchone() == (0,)


def test_a_reading_whose_transaction_saw_the_old_horizon_is_waited_for(
    connection: psycopg.Connection, database: str
) -> None:
    """It is not marked, so nobody else will count it: closing without it would lose it for ever."""
    with connect(database, "slow", autocommit=False) as slow, connect(database, "quick") as quick:
        write(slow, [reading(NOON - HOUR + SECOND, 3.0)])
        assert rollups.move(connection, NOON)
        write(quick, [reading(NOON - HOUR + 2 * SECOND, 5.0, source="b")])  # has seen the new one
        assert not rollups.settled(connection, 0.1)
        assert rollups.keep(connection, NOON, settles_within_s=0.1)
        assert connection.execute("SELECT closed FROM rollup_state").fetchone() == (moment(NOON - HOUR),)
        slow.commit()
    assert rollups.keep(connection, NOON)
    assert found(connection, Level.MINUTE) == {
        ("a", NOON - HOUR): (1, 0, 3.0, 3.0, 3.0, 3.0, 0),
        ("b", NOON - HOUR): (1, 0, 5.0, 5.0, 5.0, 5.0, 0),
    }
    assert connection.execute("SELECT late FROM reading ORDER BY time").fetchall() == [(False,), (True,)]


def test_the_horizon_is_read_after_the_transaction_has_its_number(
    connection: psycopg.Connection, database: str
) -> None:
    """One that read it first and got its number later would not be waited for."""
    with connect(database, "slow", autocommit=False) as slow:
        slow.execute("SELECT 1")
        assert rollups.move(connection, NOON)
        assert rollups.settled(connection, 0)  # it has no number yet, so nobody waits for it
        assert rollups.horizon(slow) > NOON - HOUR
        assert not rollups.settled(connection, 0)


def test_what_lies_in_readings_by_then_is_not_counted_again(connection: psycopg.Connection) -> None:
    """A late reading stands in the table before its minute is counted: its mark keeps it out."""
    assert rollups.move(connection, NOON)
    write(connection, [reading(NOON - HOUR + SECOND, 3.0)])
    rollups.add(connection)
    assert rollups.settled(connection, 1)
    rollups.close(connection)
    assert found(connection, Level.HOUR) == {("a", NOON - HOUR): (1, 0, 3.0, 3.0, 3.0, 3.0, 0)}


def test_bad_readings_are_seen_and_change_no_figure(connection: psycopg.Connection) -> None:
    records = [
        reading(NOON + SECOND, 20.0), reading(NOON + 2 * SECOND, -9999.0, Quality.BAD),
        reading(NOON + 3 * SECOND, 1e300), reading(NOON + 4 * SECOND, 22.0, Quality.UNCERTAIN),
    ]  # fmt: skip
    write(connection, records)
    assert rollups.keep(connection, NOON + HOUR)
    wanted = {("a", NOON): (2, 2, 42.0, 20.0, 22.0, 22.0, 2)}
    assert found(connection, Level.MINUTE) == wanted
    _begin(connection)
    rollups.keep(connection, NOON + HOUR)
    write(connection, records)  # the same, late
    assert rollups.keep(connection, NOON + HOUR)
    assert found(connection, Level.MINUTE) == wanted


def test_no_value_stops_the_rollups(connection: psycopg.Connection) -> None:
    absurd = [reading(NOON + n, value) for n, value in enumerate((1.7e308, 1.7e308, -1.7e308, 5e-324, 5e-324))]
    huge = Summary(time=NOON, until=NOON, source="a", quantity="co", count=10**9, min=1, max=2, mean=1e308, last=1)
    for _ in range(2):  # in time, then late
        write(connection, [*absurd, huge, huge])
        assert rollups.keep(connection, NOON + HOUR)
    count, bad, total, *_ = found(connection, Level.DAY)["a", NOON - DAY // 2]
    assert (count, bad, total) == (4 * 10**9 + 4, 6, 8e9 + 20e-324)


def test_a_summary_counts_where_the_whole_of_it_lies(connection: psycopg.Connection) -> None:
    write(connection, [summary(NOON + SECOND, NOON + 5 * MINUTE, [1.0, 3.0]), summary(NOON, NOON + SECOND, [5.0])])
    rollups.keep(connection, NOON)
    assert found(connection, Level.MINUTE) == {("a", NOON): (1, 0, 5.0, 5.0, 5.0, 5.0, 0)}
    assert found(connection, Level.HOUR) == {("a", NOON): (3, 0, 9.0, 1.0, 5.0, 3.0, 0)}


def test_only_one_process_is_at_it(connection: psycopg.Connection, database: str) -> None:
    with connect(database, "other") as other:
        other.execute("SELECT pg_advisory_lock(%s)", [rollups._LOCK])
        assert not rollups.keep(connection, NOON)
        other.execute("SELECT pg_advisory_unlock(%s)", [rollups._LOCK])
        assert rollups.keep(connection, NOON)


def test_a_job_that_was_away_catches_up_in_steps(connection: psycopg.Connection) -> None:
    write(connection, [reading(NOON, 1.0), reading(NOON + 2 * DAY, 2.0)])
    assert rollups.keep(connection, NOON + 3 * DAY)
    closed = connection.execute("SELECT closed FROM rollup_state").fetchone()
    assert closed == (moment(NOON + 3 * DAY - MINUTE),)
    assert len(found(connection, Level.DAY)) == 2


def test_what_was_here_before_there_were_rollups_is_in_them(empty_database: str) -> None:
    early = [one for one in shipped() if one.number <= 50]
    migrate(empty_database, early)
    now = micros(datetime.now(UTC))
    sent: list[Given] = [reading(now - n * 7 * SECOND, float(n % 50), QUALITIES[n % 7 % 3]) for n in range(2000)]
    thinned = [summary(NOON + SECOND, NOON + 5 * MINUTE, [1.0, 3.0]), summary(NOON, NOON + 9 * HOUR, [5.0])]
    with connect(empty_database, "test") as connection:
        kept_as(connection).make_days(connection, now)
        ids = SeriesIds().find(connection, {Series("mill", "north", "a", "co", "")})
        number = list(ids.values())
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO reading (time, series_id, value, quality, lane, arrived) VALUES (%s, %s, %s, %s, 1, %s)",
                [(moment(one.time), number[0], one.value, QUALITY_CODE[one.quality], moment(now)) for one in sent],
            )
            cursor.executemany(
                "INSERT INTO summary VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, 1, now())",
                [
                    (number[0], moment(one.time), moment(one.until), one.count, one.min, one.max, one.mean, one.last)
                    for one in thinned
                ],
            )
            cursor.execute("INSERT INTO latest VALUES (%s, %s, 0, 0, 1, now())", [number[0], moment(now)])
        assert migrate(empty_database) == [f"{m.number:04}_{m.name}" for m in shipped() if m not in early]
        ensure_days(connection, now)
        assert rollups.keep(connection, now + 5 * MINUTE)
        check(connection, [*sent, *thinned])
