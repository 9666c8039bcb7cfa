"""From the broker into the database and back: every record once, whatever is sent how often and in which order."""

import time
from collections.abc import Callable

import msgspec
import psycopg
import pytest

from cloud.ingest import upkeep
from cloud.ingest.clocks import AHEAD
from cloud.settings import CloudSettings
from cloud.store.times import micros
from contract.detections import Detection
from contract.records import Event, Evidence, Health, Lane, Phase, Reading, SourceHealth, Summary
from contract.topics import Channel
from contract.wire import encode_record
from tests.cloud.ingest.conftest import Node, await_rows, rows, working

NOW = time.time_ns() // 1000
READ = "SELECT value FROM reading ORDER BY time"
Make = Callable[..., Node]


def reading(number: int, time: int | None = None, quantity: str = "co") -> Reading:
    return Reading(
        time=NOW + number if time is None else time, source="gas-1", quantity=quantity, value=number, unit="[ppm]"
    )


def event(revision: int, phase: Phase = Phase.OPEN, name: str = "e1", kind: str = "fire") -> Event:
    return Event(id=name, kind=kind, phase=phase, revision=revision, time=NOW, started=NOW, source="cam-1")


def values(database: str) -> list[float]:
    return [row[0] for row in rows(database, READ)]  # type: ignore[misc]


def test_what_is_acknowledged_is_in_the_database(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        node.hello()
        assert node.welcome().positions == {Lane.ALARM: 0, Lane.LIVE: 0, Lane.BACKLOG: 0}
        node.send(1, [reading(1), reading(2)])
        ack = node.acked(2)
        assert (ack.expected, ack.epoch) == (None, 1)
        assert values(settings.database) == [1.0, 2.0]
        node.send(3, [reading(3)])
        node.acked(3)
    assert values(settings.database) == [1.0, 2.0, 3.0]
    assert rows(settings.database, "SELECT value FROM latest") == [(3.0,)]


def test_a_repeated_batch_is_acknowledged_again_and_changes_nothing(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        for _ in range(3):
            node.send(1, [reading(1), reading(2)])
            node.acked(2)
        node.send(2, [reading(2)])
        assert node.acked(2).expected is None
    assert values(settings.database) == [1.0, 2.0]
    assert rows(settings.database, "SELECT count(*) FROM journal WHERE kind = 'batch'") == [(1,)]


def test_a_gap_is_answered_by_what_is_expected(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        node.send(3, [reading(3)])
        ack = node.ack()
        assert (ack.position, ack.expected) == (0, 1)
        node.send(1, [reading(1), reading(2)])
        node.acked(2)
        node.send(2, [reading(2), reading(3)])  # overlaps: sent again from where it is expected
        ack = node.ack()
        assert (ack.position, ack.expected) == (2, 3)
        node.send(3, [reading(3)])
        node.acked(3)
    assert values(settings.database) == [1.0, 2.0, 3.0]


def test_a_new_epoch_begins_at_nought_and_the_old_one_is_remembered(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        node.send(1, [reading(1)])
        node.acked(1)
        node.epoch = 2
        node.hello()
        assert node.welcome().positions[Lane.LIVE] == 0
        node.send(1, [reading(2)])
        node.acked(1)
        node.epoch = 1
        node.hello()
        assert node.welcome().positions[Lane.LIVE] == 1
        node.send(1, [reading(1)])
        node.acked(1)
    assert values(settings.database) == [1.0, 2.0]


def test_a_worker_that_comes_after_goes_on_where_the_first_stopped(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        node.send(1, [reading(1)])
        node.acked(1)
    with working(settings):
        node.hello()
        assert node.welcome().positions[Lane.LIVE] == 1
        node.send(1, [reading(1)])
        node.acked(1)
        node.send(2, [reading(2)])
        node.acked(2)
    assert values(settings.database) == [1.0, 2.0]


def test_the_room_of_a_worker_is_shared_among_its_own_nodes(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute("INSERT INTO node SELECT 'far', 'n-' || n, 200 FROM generate_series(1, 1000) AS n")
    with working(settings.model_copy(update={"partitions": 6})):
        node.hello()
        alone = node.welcome().credit
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute("UPDATE node SET partition = 4 WHERE site = 'far'")
    with working(settings.model_copy(update={"partitions": 6})):
        node.hello()
        assert node.welcome().credit < alone / 4


def test_one_bad_record_never_stops_the_rest(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    bad = [
        b"\x81\xa4type\xa4wish",
        encode_record(reading(1, quantity="q" * 5000)),
        encode_record(event(2**63)),
        encode_record(
            Evidence(event="e", sha256="../etc", bytes=1, media_type="a/b", role="clip", source="c", time=NOW)
        ),
    ]
    with working(settings):
        node.send(1, [reading(1), *bad, reading(2)])
        node.acked(6)
        node.send(7, [reading(3)])
        node.acked(7)
    assert values(settings.database) == [1.0, 2.0, 3.0]
    found = rows(settings.database, "SELECT number, lane, reason, body FROM quarantine ORDER BY number")
    assert [(number, body) for number, _, _, body in found] == list(zip(range(2, 6), bad, strict=True))
    assert "quantity has 5000 characters; at most 128" in str(found[1][2])


def test_thousands_of_bad_records_lie_there_once_and_the_rest_goes_on(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        node.send(1, [reading(1), *[b"\xc0"] * 5000, reading(2)])
        node.acked(5002)
        node.send(5003, [reading(3)])
        node.acked(5003)
    assert values(settings.database) == [1.0, 2.0, 3.0]
    ((number, reason),) = rows(settings.database, "SELECT number, reason FROM quarantine")
    assert number == 2
    assert str(reason).startswith("5000 of 5002 records make no sense; the first: ")


def test_a_batch_whose_records_are_no_messagepack_is_set_apart_whole(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        for _ in range(2):
            node.send(1, [reading(1), b"\xc1", reading(2)])
            node.acked(3)
        node.send(4, [reading(3)])
        node.acked(4)
    assert values(settings.database) == [3.0]
    assert len(rows(settings.database, "SELECT 1 FROM quarantine")) == 1


def test_a_message_without_sense_is_kept_once_with_its_topic(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        for _ in range(5):
            node.say(b"\xff nonsense")
        node.send(1, [reading(1)])
        node.acked(1)
    found = rows(settings.database, "SELECT topic, site, node, body, reason FROM quarantine")
    assert [row[:4] for row in found] == [(node.address.topic(Channel.UP), "mill", node.address.node, b"\xff nonsense")]
    assert "cannot be decoded" in str(found[0][4])


def test_a_stranger_and_a_node_in_the_wrong_partition_get_no_answer(settings: CloudSettings, nodes: Make) -> None:
    stranger, moved, known = nodes(enrolled=-1), nodes(partition=5, enrolled=6), nodes()
    with working(settings):
        stranger.send(1, [reading(1)])
        moved.send(1, [reading(2)])
        known.send(1, [reading(3)])
        known.acked(1)
        reasons = await_rows(
            settings.database, "SELECT reason FROM quarantine ORDER BY 1", lambda found: len(found) == 2
        )
    assert stranger.heard.empty()
    assert moved.heard.empty()
    assert values(settings.database) == [3.0]
    assert set(reasons) == {
        (f"node mill/{moved.address.node} is enrolled in partition 6, not 5",),
        (f"node mill/{stranger.address.node} is not enrolled",),
    }


def test_a_node_enrolled_while_the_worker_runs_is_heard(settings: CloudSettings, nodes: Make) -> None:
    with working(settings):
        first = nodes()
        first.send(1, [reading(1)])
        first.acked(1)
        second = nodes(partition=77)
        second.send(1, [reading(2)])
        second.acked(1)


def test_a_time_in_the_future_is_replaced_and_marked(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    far = NOW + 1000 * AHEAD
    with working(settings):
        node.send(1, [reading(1, time=far), reading(2, time=NOW)])
        node.acked(2)
    found = rows(settings.database, "SELECT time, arrived, replaced FROM reading ORDER BY value")
    assert found[0][0] == found[0][1]
    assert found[0][2] is True
    assert micros(found[1][0]) == NOW  # type: ignore[arg-type]
    assert found[1][2] is False


def test_only_the_latest_revision_of_an_event_holds(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings):
        node.send(1, [event(3, Phase.CLOSE)], Lane.ALARM)
        node.acked(1, Lane.ALARM)
        node.send(1, [event(1), event(2, Phase.CHANGE)], Lane.BACKLOG)
        node.acked(2, Lane.BACKLOG)
    assert rows(settings.database, "SELECT revision, phase FROM event") == [(3, "close")]


def test_what_else_a_node_says_finds_its_table(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    sha = "ab" * 32
    health = Health(
        time=NOW, software="1", sources=(SourceHealth(source="gas-1", kind="sensor", state="ok", title="Hall"),)
    )
    summary = Summary(time=NOW, until=NOW, source="gas-1", quantity="co", count=9, min=0, max=2, mean=1, last=2)
    seen = Detection("fire", 0.5, (0.0, 0.0, 0.5, 0.5))
    evidence = Evidence(
        event="e1",
        sha256=sha,
        bytes=9,
        media_type="image/jpeg",
        role="snapshot",
        source="cam-1",
        time=NOW,
        detections=(seen,),
    )
    with working(settings):
        node.state(online=True)
        node.send(1, [health, summary])
        node.send(1, [evidence], Lane.ALARM)
        node.acked(1, Lane.ALARM)
        online = "SELECT state->>'online' FROM node"
        await_rows(settings.database, online, lambda found: found == [("true",)])
        node.state(online=False)
        await_rows(settings.database, online, lambda found: found == [("false",)])
        await_rows(settings.database, "SELECT title FROM source", lambda found: found == [("Hall",)])
    assert rows(settings.database, "SELECT health->>'software' FROM node") == [("1",)]
    assert rows(settings.database, "SELECT count, mean FROM summary") == [(9, 1.0)]
    assert rows(settings.database, "SELECT event, sha256, stored FROM evidence") == [("e1", sha, False)]
    boxes = rows(settings.database, "SELECT detections FROM evidence")[0][0]
    assert boxes == [{"label": "fire", "score": 0.5, "box": [0.0, 0.0, 0.5, 0.5], "track": None}]


def test_the_feed_tells_what_changed_but_nothing_of_history(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    key = f"mill/{node.address.node}"
    with working(settings):
        node.send(1, [reading(1), reading(2, quantity="o2")], Lane.BACKLOG)
        node.acked(2, Lane.BACKLOG)
        assert rows(settings.database, "SELECT topic FROM feed") == []
        node.send(1, [reading(n) for n in range(3, 50)])
        node.acked(47)
        node.send(1, [event(1)], Lane.ALARM)
        node.acked(1, Lane.ALARM)
    found = rows(settings.database, "SELECT topic, key, body FROM feed WHERE topic <> 'warning' ORDER BY id")
    series = rows(settings.database, "SELECT id FROM series WHERE quantity = 'co'")[0][0]
    assert found == [("reading", key, {"series": [series]}), ("event", f"{key}/e1", {})]


def test_a_value_that_nobody_foresaw_sets_its_batch_apart(settings: CloudSettings, nodes: Make) -> None:
    node, other = nodes(), nodes()
    with working(settings):
        node.send(1, [reading(1)])
        node.acked(1)
        with psycopg.connect(settings.database, autocommit=True) as connection:
            connection.execute("ALTER TABLE event ADD CHECK (kind <> 'odd')")
        node.send(1, [event(1, kind="odd")], Lane.ALARM)
        other.send(1, [event(1)], Lane.ALARM)
        node.acked(1, Lane.ALARM)
        other.acked(1, Lane.ALARM)
        node.send(2, [event(2)], Lane.ALARM)
        node.acked(2, Lane.ALARM)
    assert len(rows(settings.database, "SELECT 1 FROM event")) == 2
    [(reason, body)] = rows(settings.database, "SELECT reason, body FROM quarantine")
    assert "violates check constraint" in str(reason)
    assert isinstance(body, bytes)
    assert encode_record(event(1, kind="odd")) in body


def test_a_worker_keeps_the_rollups(settings: CloudSettings, nodes: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "ROLLUPS_S", 0.1)
    node = nodes()
    minute = NOW // 60_000_000 * 60_000_000 - 600_000_000
    thinned = Summary(time=minute, until=minute + 1, source="gas-1", quantity="co", unit="[ppm]", count=3, min=1, max=9,
                      mean=5, last=2)  # fmt: skip
    nonsense = [encode_record(msgspec.structs.replace(thinned, **change)) for change in ({"count": 0}, {"min": 10})]
    with working(settings):
        node.send(1, [reading(7, minute + 2), thinned, *nonsense], Lane.BACKLOG)
        node.acked(4, Lane.BACKLOG)
        found = await_rows(settings.database, "SELECT count, sum, min, max, last FROM rollup_day", bool)
    assert found == [(4, 22.0, 1.0, 9.0, 7.0)]
    assert len(rows(settings.database, "SELECT 1 FROM quarantine")) == 2


def test_a_clock_that_is_ahead_ends_nothing(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert upkeep.agreed(connection, lambda: NOW * 2) < NOW + 3_600_000_000
        assert upkeep.agreed(connection, lambda: NOW - 5) == NOW - 5
