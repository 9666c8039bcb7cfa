"""The database goes forward only, once, and never into the hands of a release that does not know it."""

import threading

import psycopg
import pytest

from cloud.store.connection import StoreError, connect
from cloud.store.schema import Migration, UnknownVersionError, check, migrate, shipped

FIRST = Migration(1, "first", "CREATE TABLE first (a integer)")
SECOND = Migration(2, "second", "CREATE TABLE second (a integer)")


def test_all_tables_are_made_once(empty_database: str) -> None:
    assert migrate(empty_database) == [f"{m.number:04}_{m.name}" for m in shipped()]
    assert migrate(empty_database) == []
    with connect(empty_database, "test") as connection:
        check(connection)
        tables = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert {"node", "source", "series", "reading", "event", "evidence", "journal", "position", "quarantine",
            "rule_state", "signal", "feed"} <= tables  # fmt: skip


def test_several_processes_may_start_at_once(empty_database: str) -> None:
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(empty_database))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, done)) == [0, 0, 0, len(shipped())]


def test_a_newer_database_is_refused_and_left_alone(empty_database: str) -> None:
    migrate(empty_database, [FIRST, SECOND])
    with pytest.raises(UnknownVersionError, match=r"0002_second.*knows up to 0001: use the newer release"):
        migrate(empty_database, [FIRST])


def test_a_changed_migration_is_refused(empty_database: str) -> None:
    migrate(empty_database, [FIRST])
    with pytest.raises(UnknownVersionError, match="not the one this release knows"):
        migrate(empty_database, [Migration(1, "first", "CREATE TABLE other ()")])


def test_a_gap_in_the_history_is_refused(empty_database: str) -> None:
    migrate(empty_database, [SECOND])
    with pytest.raises(UnknownVersionError, match="lacks 0001_first"):
        migrate(empty_database, [FIRST, SECOND])


def test_check_tells_a_database_that_was_not_migrated(empty_database: str) -> None:
    with connect(empty_database, "test") as connection:
        with pytest.raises(UnknownVersionError, match="no tables yet"):
            check(connection, [FIRST])
        migrate(empty_database, [FIRST])
        with pytest.raises(UnknownVersionError, match="lacks migration 0002_second"):
            check(connection, [FIRST, SECOND])


def test_a_migration_that_fails_leaves_nothing_behind(empty_database: str) -> None:
    with pytest.raises(StoreError, match="0002_bad failed"):
        migrate(empty_database, [FIRST, Migration(2, "bad", "CREATE TABLE half (a integer); SELECT 1 / 0")])
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('half'), max(number) FROM schema_version").fetchone() == (None, 1)


@pytest.mark.parametrize(
    ("conninfo", "message"),
    [
        ("host=/nowhere dbname=a password=hush", "database a@/nowhere:5432"),
        ("postgresql://u:hush@127.0.0.1:1/a", "database a@127.0.0.1:1"),
        ("hush", "is neither"),
    ],
)
def test_an_unreachable_database_is_named_without_its_password(conninfo: str, message: str) -> None:
    with pytest.raises(StoreError) as caught:
        connect(conninfo, "test")
    assert message in str(caught.value)
    assert "hush" not in str(caught.value)
