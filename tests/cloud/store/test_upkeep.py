"""There is always a table for the days to come, and none for those that are over."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from cloud.store import partitions
from cloud.store.connection import connect
from cloud.store.readings import DayTables, kept_as
from cloud.store.retention import SEQ_BITS, Retention
from cloud.store.times import DAY, iso, micros, moment
from cloud.store.upkeep import ensure_days, maintain

NOW = 1_764_000_000_000_000  # 2025-11-24
TODAY = NOW // DAY
ADD = "INSERT INTO reading (time, series_id, value, quality, lane, arrived) VALUES (%s, 1, 1, 0, 1, now())"


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, "test") as connection:
        ensure_days(connection, NOW)
        yield connection


def _tables(connection: psycopg.Connection, parent: str) -> int:
    rows = connection.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass", [parent]).fetchone()
    return rows[0] if rows else 0


def _tables_of_readings(connection: psycopg.Connection) -> int:
    if isinstance(kept_as(connection), DayTables):
        return _tables(connection, "reading")
    rows = connection.execute("SELECT count(*) FROM timescaledb_information.chunks").fetchone()
    return rows[0] if rows else 0


def test_any_believable_time_finds_a_table(connection: psycopg.Connection) -> None:
    for days in (-20_000, -400, -8, 0, 13):
        connection.execute(ADD, [moment(NOW + days * DAY)])
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (5,)
    if isinstance(kept_as(connection), DayTables):
        assert connection.execute("SELECT count(*) FROM reading_early").fetchone() == (2,)
    else:
        assert _tables_of_readings(connection) == 5


def test_it_may_run_twice_and_from_several_processes(connection: psycopg.Connection, database: str) -> None:
    before = _tables_of_readings(connection), _tables(connection, "journal")
    more = 1 if isinstance(kept_as(connection), DayTables) else 0

    def run(_: int) -> None:
        with connect(database, "test") as own:
            ensure_days(own, NOW + DAY)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert (_tables_of_readings(connection), _tables(connection, "journal")) == (before[0] + more, before[1] + 1)


def test_what_is_over_is_dropped_whole(connection: psycopg.Connection) -> None:
    for days in (-400, -8, 0):
        connection.execute(ADD, [moment(NOW + days * DAY)])
    ensure_days(connection, NOW + 3 * DAY)
    before = _tables_of_readings(connection)
    assert maintain(connection, NOW + 3 * DAY, Retention(readings_days=10, journal_days=1))
    assert connection.execute("SELECT min(time) FROM reading").fetchone() == (moment(NOW),)
    assert _tables_of_readings(connection) < before


def test_old_days_are_packed_where_the_server_can_and_take_late_readings_all_the_same(
    connection: psycopg.Connection,
) -> None:
    for number in range(100):
        connection.execute(ADD, [moment(NOW - 5 * DAY + number)])
    kept = kept_as(connection)
    assert kept.pack_before(connection, TODAY - 3) == (0 if isinstance(kept, DayTables) else 1)
    connection.execute(ADD, [moment(NOW - 5 * DAY)])
    kept.pack_before(connection, TODAY - 3)
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (101,)


def test_the_journal_is_kept_as_far_back_as_a_takeover_would_read(connection: psycopg.Connection) -> None:
    head = (TODAY << SEQ_BITS) + 9
    connection.execute("INSERT INTO journal_head VALUES (1, %s), (2, %s), (3, %s)", [head, head, 7])
    connection.execute("INSERT INTO rule_state VALUES (3, 7, 7, NULL, now(), '')")  # idle for long, and all of it kept
    connection.execute(
        "INSERT INTO rule_state SELECT p, %s, %s, NULL, now(), '' FROM unnest(%s::int[]) AS p",
        [TODAY << SEQ_BITS, TODAY << SEQ_BITS, [1]],
    )
    journals = _tables(connection, "journal")
    maintain(connection, NOW + 5 * DAY, Retention(journal_days=1))
    assert _tables(connection, "journal") == journals + 5  # partition 2 was never followed
    connection.execute(
        "INSERT INTO rule_state SELECT 2, seq, snapshot_seq, NULL, now(), '' FROM rule_state WHERE partition = 1"
    )
    maintain(connection, NOW + 5 * DAY, Retention(journal_days=1))
    assert _tables(connection, "journal") == journals + 4


def test_a_table_in_use_puts_off_its_own_end_alone(connection: psycopg.Connection, database: str) -> None:
    connection.execute(ADD, [moment(NOW)])
    connection.execute("INSERT INTO feed (time, topic, key, body) VALUES (%s, 'node', 'a/b', '{}')", [moment(NOW)])
    ensure_days(connection, NOW + 20 * DAY)
    with connect(database, "test", autocommit=False) as reader:
        reader.execute("SELECT count(*) FROM reading")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            maintain(connection, NOW + 20 * DAY, Retention(readings_days=1))
        assert connection.execute("SELECT count(*) FROM feed").fetchone() == (0,)
        assert reader.execute("SELECT count(*) FROM reading").fetchone() == (1,)
    assert maintain(connection, NOW + 20 * DAY, Retention(readings_days=1))
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (0,)


def test_whoever_writes_readings_goes_on_while_days_end_behind_somebody_who_reads(
    connection: psycopg.Connection, database: str
) -> None:
    connection.execute(ADD, [moment(NOW)])
    ensure_days(connection, NOW + 20 * DAY)
    written = 0
    with (
        connect(database, "reader", autocommit=False) as reader,
        connect(database, "writer", options="-c lock_timeout=2s") as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        reader.execute("SELECT count(*) FROM reading")
        ending = pool.submit(maintain, connection, NOW + 20 * DAY, Retention(readings_days=1))
        while not ending.done() or written < 100:
            writer.execute(ADD, [moment(NOW + 20 * DAY)])
            written += 1
        with pytest.raises(psycopg.errors.LockNotAvailable):
            ending.result()
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (written + 1,)


def test_many_rows_are_deleted_slice_by_slice(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "SLICE", 10)
    connection.execute(
        "INSERT INTO feed (time, topic, key, body) SELECT %s, 'node', 'a/b', '{}' FROM generate_series(1, 35)",
        [moment(NOW)],
    )
    connection.execute("INSERT INTO feed (time, topic, key, body) VALUES (%s, 'node', 'a/b', '{}')", [moment(NOW + 2)])
    assert partitions.delete_before(connection, "feed", "time", NOW + 1) == 35
    assert connection.execute("SELECT count(*) FROM feed").fetchone() == (1,)


def test_times_are_exact_to_the_microsecond() -> None:
    assert micros(moment(NOW + 1)) == NOW + 1
    assert iso(NOW + 1) == "2025-11-24T16:00:00.000001Z"
