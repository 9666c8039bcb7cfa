"""Blindness is an alarm: a node that never spoke, a cloud that hears nobody, two boxes in one name, a heartbeat that
does not come through."""

import itertools
import time
from collections.abc import Callable, Sequence

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry

from cloud.ingest import nodes as enrolled
from cloud.ingest import stage
from cloud.ingest.nodes import Nodes
from cloud.ingest.notices import Notices, decode_notices, encode_notices
from cloud.ingest.ruleset import shipped_texts
from cloud.settings import CloudSettings
from cloud.store.connection import connect
from cloud.store.times import micros
from cloud.warnings import lifecycle
from contract.messages import Hello
from contract.records import Health, Heartbeat, Lane, Reading
from contract.topics import Address, Channel
from contract.wire import encode
from rules.entry import Notice, NoticeKind
from rules.signal import Signal
from tests.cloud.ingest.conftest import Node, await_rows, batch, rows, working
from tests.cloud.ingest.test_outage import Kept, system  # noqa: F401

Make = Callable[..., Node]
BLIND = {
    "blind.yaml": shipped_texts()["blind.yaml"].replace("over: 60s}", "over: 3s}").replace("hold: 20s", "hold: 3s")
}
"""The shipped rules, with shorter patience."""
ABOUT = "SELECT rule, key, state, cleared IS NULL FROM warning ORDER BY rule, key"


def now() -> int:
    return time.time_ns() // 1000


def enrol(database: str, name: str, ago: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO node (site, node, partition, enrolled) VALUES ('mill', %s, 5, now() - %s::interval)",
            [name, ago],
        )


def test_an_enrolled_node_that_never_spoke_is_a_warning_once_and_through_takeovers(settings: CloudSettings) -> None:
    enrol(settings.database, "never", "2 hours")
    enrol(settings.database, "fresh", "10 minutes")
    silent = [("node-silent", "mill/never", "open", True)]
    with working(settings, BLIND):
        await_rows(settings.database, ABOUT, lambda found: found == silent)
    for _ in range(2):
        with working(settings, BLIND):
            [(seq,)] = rows(settings.database, "SELECT max(seq) FROM journal")
            await_rows(settings.database, f"SELECT 1 FROM journal WHERE seq > {seq} + 4", bool)
            assert rows(settings.database, ABOUT) == silent
    assert rows(settings.database, "SELECT count(*) FROM signal WHERE action = 'raise'") == [(1,)]


def test_a_node_that_never_spoke_and_speaks_is_not_silent_any_more(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute("UPDATE node SET enrolled = now() - interval '1 day'")
    with working(settings, BLIND):
        key = f"mill/{node.address.node}"
        await_rows(settings.database, ABOUT, lambda found: found == [("node-silent", key, "open", True)])
        node.send(1, [Health(time=now())])
        node.acked(1)
        await_rows(settings.database, ABOUT, lambda found: found == [("node-silent", key, "open", False)])


def test_who_is_told_of_is_told_once_until_it_has_spoken(
    settings: CloudSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolled, "_TRUSTED_S", -1.0)
    enrol(settings.database, "never", "2 hours")
    told = Notice(NoticeKind.SILENT, "mill", "never")
    with connect(settings.database, "test") as connection:
        known = Nodes(connection, time.monotonic)
        notices = Notices(known)

        def due(partition: int = 5, *, deaf: bool = False) -> tuple[Notice, ...]:
            known.partitions()
            return notices.due(partition, deaf=deaf)

        assert due(6) == ()
        assert due() == (told,)
        assert due() == ()
        assert due(deaf=True) == (Notice(NoticeKind.DEAF),)
        connection.execute("UPDATE node SET health_time = now()")
        assert due() == ()
        connection.execute("UPDATE node SET health_time = now() - interval '61 min'")
        assert due() == (told,)


def test_notices_travel_in_the_body_of_a_tick() -> None:
    said = (Notice(NoticeKind.DEAF), Notice(NoticeKind.TWICE, "mill", "gate"))
    assert decode_notices(encode_notices(said)) == said
    assert encode_notices(()) == b""
    assert decode_notices(b"") == ()


def test_a_heartbeat_stands_at_its_node_once_the_rules_have_heard_it(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    beat = "SELECT heartbeat FROM node"
    told = "SELECT count(*) FROM feed WHERE topic = 'node'"
    with working(settings, BLIND):
        node.send(1, [Heartbeat(time=now() - 50_000_000, number=1)], Lane.BACKLOG)
        node.acked(1, Lane.BACKLOG)
        node.send(1, [Heartbeat(time=(first := now()), number=2)])
        node.acked(1)
        [(came,)] = await_rows(settings.database, beat, lambda found: found[0][0] is not None)
        assert micros(came) == first  # type: ignore[arg-type]
        assert rows(settings.database, told) == [(1,)]
        node.send(2, [Heartbeat(time=(second := now()), number=3), Heartbeat(time=first - 1, number=4)])
        node.acked(3)
        await_rows(settings.database, beat, lambda found: micros(found[0][0]) == second)  # type: ignore[arg-type]


def test_a_heartbeat_that_the_rules_cannot_hear_does_not_count_and_the_lag_shows(
    settings: CloudSettings, nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "_AGAIN_S", 2.5)

    def apply(connection: psycopg.Connection, signals: Sequence[Signal], at: int) -> list[str]:
        raise RuntimeError("no such luck")

    node = nodes()
    registry = CollectorRegistry()
    with working(settings, BLIND, registry=registry):
        with monkeypatch.context() as failing:
            failing.setattr(lifecycle, "apply", apply)
            node.send(1, [Heartbeat(time=now(), number=1)])
            node.acked(1)
            pause = time.monotonic() + 10
            while (registry.get_sample_value("vedette_ingest_rules_behind_seconds") or 0) < 1.0:
                assert time.monotonic() < pause
                time.sleep(0.02)
            assert rows(settings.database, "SELECT heartbeat FROM node") == [(None,)]
        await_rows(settings.database, "SELECT heartbeat FROM node", lambda found: found[0][0] is not None)
        pause = time.monotonic() + 10
        while registry.get_sample_value("vedette_ingest_rules_behind_seconds") != 0:
            assert time.monotonic() < pause
            time.sleep(0.02)


def test_two_boxes_that_take_turns_in_one_name_are_told_of(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()

    def greet(epoch: int) -> None:
        node.say(encode(Hello(epoch=epoch, last={}, time=now())))
        node.welcome()

    with working(settings, BLIND):
        for epoch in (1, 1, 2, 1, 3, 4):  # once is a card that was restored; new ones are a box that restarts
            greet(epoch)
        node.send(1, [Reading(time=now(), source="gas", quantity="co", value=1)])
        node.acked(1)
        assert rows(settings.database, ABOUT) == []
        for epoch in (3, 4):
            greet(epoch)
        found = await_rows(settings.database, ABOUT, bool)
    assert found == [("node-twice", f"mill/{node.address.node}", "open", True)]


def test_a_broker_that_is_away_is_one_warning_and_calls_nobody_silent(
    system: tuple[CloudSettings, Kept, Kept],  # noqa: F811
) -> None:
    settings, _, broker = system
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO node (site, node, partition) SELECT 'mill', 'n-' || n, n FROM generate_series(10, 60) n"
        )
    numbers = itertools.count(1)

    def speak(names: list[str]) -> None:
        """Reports in the name of many: the broker lets the cloud's own user write everywhere."""
        for name in names:
            place = Address(int(name.removeprefix("n-")), "mill", name)
            one = batch(next(numbers), 1, [Health(time=now())])
            cloud.publish(place.topic(Channel.UP), encode(one), qos=0)

    cloud = mqtt.Client(CallbackAPIVersion.VERSION2)
    cloud.username_pw_set("cloud", "a")
    cloud.reconnect_delay_set(1, 1)
    cloud.connect("127.0.0.1", settings.broker_port)
    cloud.loop_start()
    everybody = [f"n-{n}" for n in range(10, 61)]
    try:
        with working(settings, BLIND):
            speak(everybody)
            await_rows(settings.database, "SELECT count(health) FROM node", lambda found: found == [(51,)])
            broker.kill()
            await_rows(settings.database, ABOUT, lambda found: found == [("cloud-deaf", "", "open", True)])
            time.sleep(5)  # more than the patience with a node
            assert rows(settings.database, ABOUT) == [("cloud-deaf", "", "open", True)]
            broker.start()
            while not cloud.is_connected():
                time.sleep(0.02)
            speak(everybody[1:])
            await_rows(
                settings.database,
                ABOUT,
                lambda found: ("node-silent", "mill/n-10", "open", True) in found and not found[0][3],
            )
    finally:
        cloud.disconnect()
        cloud.loop_stop()
