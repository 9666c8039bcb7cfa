"""What is over goes, class by class, and nothing that somebody still has to deal with."""

import dataclasses
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from cloud.evidence.ending import end_files
from cloud.evidence.intake import mark_stored
from cloud.evidence.store import DiskStore
from cloud.settings import CloudSettings
from cloud.store import rollups
from cloud.store.connection import connect
from cloud.store.retention import Retention
from cloud.store.times import DAY, moment
from cloud.store.upkeep import ensure_days, maintain
from cloud.warnings.lifecycle import apply
from tests.cloud.store.test_rollups import NOON, found, reading, summary, write
from tests.cloud.warnings.samples import EPISODE, signal

NOW = EPISODE


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, "test") as connection:
        ensure_days(connection, NOON)
        connection.execute("UPDATE rollup_state SET horizon = %(to)s, closed = %(to)s", {"to": moment(NOON)})
        yield connection


def add_event(connection: psycopg.Connection, name: str, kind: str, days: float) -> None:
    """An event of so many days ago, with a picture of its own."""
    at = moment(int(NOW - days * DAY))
    connection.execute(
        "INSERT INTO event (site, node, id, source, kind, phase, revision, time, started, zone, score, detections, "
        "attrs, lane, arrived) VALUES ('demo', 'gate', %s, 'lobby', %s, 'close', 1, %s, %s, '', 1, '[]', %s, 0, %s)",
        [name, kind, at, at, '{"text": "RK099AN"}', at],
    )
    connection.execute(
        "INSERT INTO evidence (site, node, event, sha256, bytes, media_type, role, source, time, duration_s, arrived) "
        "VALUES ('demo', 'gate', %s, %s, 1, 'image/jpeg', 'snapshot', 'lobby', %s, 0, %s)",
        [name, sha256(name.encode()).hexdigest(), at, at],
    )


def names(connection: psycopg.Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query.encode())}


def test_the_settings_say_what_is_in_force() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(Retention)}
    settings = {name: field.default for name, field in CloudSettings.model_fields.items() if name in fields}
    assert settings == {name: value for name, value in fields.items() if name != "unpacked_days"}


def test_plates_end_first_with_their_pictures(connection: psycopg.Connection) -> None:
    for name, kind, days in (("old", "plate", 31), ("new", "plate", 29), ("fire", "fire", 31)):
        add_event(connection, name, kind, days)
    maintain(connection, NOW, Retention())
    assert names(connection, "SELECT id FROM event") == {"new", "fire"}
    assert names(connection, "SELECT event FROM evidence") == {"new", "fire"}


def test_events_evidence_and_warnings_end_each_in_its_time(connection: psycopg.Connection) -> None:
    add_event(connection, "ancient", "fire", 1096)
    add_event(connection, "old", "fire", 91)
    add_event(connection, "new", "fire", 89)
    maintain(connection, NOW, Retention())
    assert names(connection, "SELECT id FROM event") == {"old", "new"}
    assert names(connection, "SELECT event FROM evidence") == {"new"}


def test_what_an_open_warning_speaks_of_is_kept(connection: psycopg.Connection) -> None:
    add_event(connection, "fire-1", "plate", 2000)
    warning = signal()
    assert "fire-1" in warning.events
    with connection.transaction():
        apply(connection, [warning], EPISODE)
    later = NOW + 2000 * DAY
    ensure_days(connection, later)
    maintain(connection, later, Retention())
    assert names(connection, "SELECT id FROM event") == names(connection, "SELECT event FROM evidence") == {"fire-1"}
    assert names(connection, "SELECT id FROM warning") == {warning.warning}
    connection.execute("UPDATE warning SET state = 'resolved'")
    maintain(connection, later, Retention())
    for table in ("event", "evidence", "warning", "warning_step"):
        assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,), table


def test_a_box_whose_clock_is_wrong_loses_no_event(connection: psycopg.Connection) -> None:
    add_event(connection, "fire", "fire", 0)
    connection.execute("UPDATE event SET time = 'epoch', started = 'epoch'")
    connection.execute("UPDATE evidence SET time = 'epoch'")
    maintain(connection, NOW, Retention())
    assert names(connection, "SELECT id FROM event") == names(connection, "SELECT event FROM evidence") == {"fire"}


def test_files_end_with_the_last_record_that_names_them(connection: psycopg.Connection, tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    kept: dict[str, str] = {}
    for name in ("named", "twice", "unnamed", "fresh"):
        content = name.encode()
        kept[name] = sha256(content).hexdigest()
        with store.upload(kept[name], "demo/gate", 0, len(content)) as upload:
            upload.write(content)
            upload.finish()
        mark_stored(connection, kept[name], len(content))
    connection.execute(
        "UPDATE evidence_file SET arrived = now() - interval '31 days' WHERE sha256 <> %s", [kept["fresh"]]
    )
    for event, name, days in (("a", "named", 91), ("b", "twice", 91), ("c", "twice", 1)):
        add_event(connection, event, "fire", days)
        connection.execute("UPDATE evidence SET sha256 = %s WHERE event = %s", [kept[name], event])
    assert end_files(connection, store, 30) == 1  # nothing ever named it
    maintain(connection, NOW, Retention())
    assert end_files(connection, store, 30) == 1
    here = {name for name, digest in kept.items() if store.local(digest)}
    assert here == {"twice", "fresh"}
    assert names(connection, "SELECT sha256 FROM evidence_file") == {kept[name] for name in here}


def test_rollups_outlive_the_readings_they_are_of(connection: psycopg.Connection) -> None:
    write(connection, [reading(NOON, 1.0), summary(NOON + 5, NOON + DAY // 30, [2.0, 4.0])])
    assert rollups.keep(connection, NOON + DAY)
    for days, left in ((29, (1, 1, 1)), (31, (0, 1, 1)), (399, (0, 1, 1)), (440, (0, 0, 1)), (3649, (0, 0, 1))):
        ensure_days(connection, NOON + days * DAY)
        maintain(connection, NOON + days * DAY, Retention())
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            for table in ("reading", "rollup_minute", "rollup_hour")
        ]
        assert tuple(row[0] for row in counts if row) == left, days
    maintain(connection, NOON + 3651 * DAY, Retention())
    assert connection.execute("SELECT count(*) FROM rollup_day").fetchone() == (0,)
    state = connection.execute("SELECT readings_from > minutes_from, minutes_from > hours_from FROM rollup_state")
    assert state.fetchone() == (False, True)  # readings: what is not closed is kept, and nobody closed since


def test_what_comes_after_its_readings_are_gone_still_counts(connection: psycopg.Connection) -> None:
    write(connection, [reading(NOON, 1.0)])
    assert rollups.keep(connection, NOON + DAY)
    ensure_days(connection, NOON + 40 * DAY)
    maintain(connection, NOON + 40 * DAY, Retention())
    write(connection, [reading(NOON + 1, 5.0)])
    maintain(connection, NOON + 40 * DAY, Retention())
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (0,)
    assert rollups.keep(connection, NOON + 40 * DAY)
    assert found(connection, rollups.Level.MINUTE) == {("a", NOON): (2, 0, 6.0, 1.0, 5.0, 5.0, 0)}


def test_readings_stay_until_their_minute_is_closed(connection: psycopg.Connection) -> None:
    """The whole stood still for two months, and its last minute had not been closed."""
    write(connection, [reading(NOON + 1, 5.0)])
    ensure_days(connection, NOON + 60 * DAY)
    maintain(connection, NOON + 60 * DAY, Retention())
    while rollups.move(connection, NOON + 60 * DAY):
        assert rollups.settled(connection, 1)
        rollups.close(connection)
    assert found(connection, rollups.Level.MINUTE) == {("a", NOON): (1, 0, 5.0, 5.0, 5.0, 5.0, 0)}
    maintain(connection, NOON + 60 * DAY, Retention())
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (0,)
