"""The rules follow the journal: live, after a takeover and in a replay they say the same."""

import queue
import time
from collections.abc import Callable, Sequence

import msgspec
import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cloud.ingest import follower, journal, replay, stage
from cloud.ingest.ruleset import Compiler, shipped_texts
from cloud.settings import CloudSettings
from cloud.store.connection import connect
from cloud.store.feed import WAKE_TOPIC
from cloud.warnings import lifecycle
from contract.records import Event, Lane, Phase, Reading
from rules.engine import Engine
from rules.language import RuleSet
from rules.signal import Signal
from tests.cloud.ingest.conftest import WAIT_S, Node, await_rows, rows, working
from tests.conftest import RunningBroker

Make = Callable[..., Node]
RULE = """
rule: any-alarm
kind: test
let:
  alarms: {open: event.test}
when: alarms > 0
severity: Minor
title: {en: Something happened, zh: 有情况}
"""
OTHER = RULE.replace("Minor", "Severe")
WARNINGS = "SELECT kind, state FROM warning WHERE kind <> 'blind'"


def event(name: str, kind: str = "test", phase: Phase = Phase.OPEN, revision: int = 1) -> Event:
    now = time.time_ns() // 1000
    return Event(id=name, kind=kind, phase=phase, revision=revision, time=now, started=now, source="cam-1", score=0.9)


def replayed(database: str, partition: int) -> list[Signal]:
    """What a fresh engine says to the whole journal."""
    compiler = Compiler(shipped_texts())
    engine = Engine(RuleSet())
    said: list[Signal] = []
    with connect(database, "test") as connection:
        for _, line in journal.read(connection, partition, 0, 100_000):
            if line.kind == "rules":
                engine = Engine(compiler.compile(line.body), engine.snapshot())
            else:
                for entry in journal.entries(line):
                    said += engine.apply(entry)
    return said


def signals(database: str) -> list[Signal]:
    found = rows(database, "SELECT body FROM signal ORDER BY partition, seq, number")
    return [msgspec.convert(body, Signal) for (body,) in found]


def test_an_alarm_becomes_a_warning_and_the_page_is_woken(
    settings: CloudSettings, nodes: Make, broker: RunningBroker
) -> None:
    woken: queue.Queue[str] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(broker.username, broker.password)
    client.on_connect = lambda *_: client.subscribe(WAKE_TOPIC) and None
    client.on_subscribe = lambda *_: woken.put("subscribed")
    client.on_message = lambda _c, _u, message: woken.put(message.topic)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        assert woken.get(timeout=WAIT_S) == "subscribed"
        node = nodes()
        with working(settings):
            node.send(1, [event("e1", kind="fire")], Lane.ALARM)
            node.acked(1, Lane.ALARM)
            await_rows(settings.database, WARNINGS, lambda found: found == [("fire", "open")])
            assert woken.get(timeout=WAIT_S) == WAKE_TOPIC
            [(warning,)] = rows(settings.database, "SELECT key FROM feed WHERE topic = 'warning'")
            assert rows(settings.database, "SELECT id FROM warning") == [(warning,)]
    finally:
        client.disconnect()
        client.loop_stop()


def test_takeovers_and_a_replay_give_the_same_signals(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    number = 0
    for phase in (Phase.OPEN, Phase.CHANGE, Phase.CLOSE):
        with working(settings, {"test.yaml": RULE}):
            for name in ("e1", "e2", "e3"):
                number += 1
                node.send(number, [event(name, phase=phase, revision=number)], Lane.ALARM)
                node.acked(number, Lane.ALARM)
    with working(settings, {"test.yaml": RULE}):
        await_rows(settings.database, "SELECT action FROM signal", lambda found: ("clear",) in found)
    said = signals(settings.database)
    assert said[0].action == "raise"
    assert said == replayed(settings.database, node.address.partition)
    assert rows(settings.database, "SELECT count(*) FROM journal WHERE kind = 'rules'") == [(1,)]


def test_a_state_kept_on_the_way_forgets_nothing_that_was_said(settings: CloudSettings, nodes: Make) -> None:
    """A worker reads the journal again from an old snapshot, and has to give the partition up before it is level."""
    node = nodes()
    with working(settings, {"test.yaml": RULE}):
        node.send(1, [event("e1")], Lane.ALARM)
        node.acked(1, Lane.ALARM)
        await_rows(settings.database, "SELECT 1 FROM signal", bool)
    compiler, partition = Compiler(shipped_texts()), node.address.partition
    with connect(settings.database, "test") as connection:
        connection.execute("UPDATE rule_state SET snapshot_seq = 0, snapshot = NULL, rules = ''")
        with connection.transaction():
            follower.load(connection, compiler, partition, 0).store_snapshot(connection, 0)
        again = follower.load(connection, compiler, partition, 0)
        assert follower.catch_up(connection, again) == []
    assert signals(settings.database) == replayed(settings.database, partition)


def test_a_replay_from_any_point_says_what_was_said(
    settings: CloudSettings, nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules change, workers take over, states are kept on the way: from before and after each, the same signals."""
    monkeypatch.setattr(follower, "KEEP_EVERY", 0)
    node = nodes()
    points = [0]
    for number, text in enumerate((RULE, RULE, OTHER), 1):
        with working(settings, {"test.yaml": text}):
            node.send(number, [event(f"e{number}", revision=number)], Lane.ALARM)
            node.acked(number, Lane.ALARM)
            await_rows(settings.database, f"SELECT 1 FROM signal OFFSET {number - 1}", bool)
        points.append(time.time_ns() // 1000)
    compiler, partition = Compiler(shipped_texts()), node.address.partition
    whole = rows(settings.database, "SELECT seq, number, body FROM signal ORDER BY seq, number")
    assert rows(settings.database, "SELECT count(*) FROM rule_snapshot")[0][0] >= 3
    with connect(settings.database, "test") as connection:
        for point in points:
            later = {seq for seq, line in journal.read(connection, partition, 0, 100_000) if line.arrived >= point}
            again = [(one.seq, one.number, one.signal) for one in replay.replay(connection, compiler, partition, point)]
            assert again == [(seq, n, msgspec.convert(body, Signal)) for seq, n, body in whole if seq in later]
            assert list(replay.check(connection, compiler, partition, point)) == []
        connection.execute("DELETE FROM signal WHERE number = 0 AND seq = (SELECT max(seq) FROM signal)")
        (missing,) = replay.check(connection, compiler, partition, 0)
        assert missing.said is None
        assert missing.replayed is not None
        connection.execute("DELETE FROM rule_snapshot")
        with pytest.raises(replay.ReplayError, match="no state was ever kept"):
            list(replay.replay(connection, compiler, partition, 0))


def test_history_raises_nothing(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with working(settings, {"test.yaml": RULE}):
        node.send(1, [event("old")], Lane.BACKLOG)
        node.acked(1, Lane.BACKLOG)
        node.send(1, [event("new")], Lane.ALARM)
        node.acked(1, Lane.ALARM)
        await_rows(settings.database, "SELECT 1 FROM signal", bool)
    assert [signal.events for signal in signals(settings.database)] == [("new",)]


def test_other_rules_are_an_entry_of_the_journal(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    for number, text in enumerate((RULE, OTHER), 1):
        with working(settings, {"test.yaml": text}):
            node.send(number, [event(f"e{number}", revision=number)], Lane.ALARM)
            node.acked(number, Lane.ALARM)
            await_rows(settings.database, f"SELECT 1 FROM signal OFFSET {number - 1}", bool)
    said = signals(settings.database)
    assert [(signal.action, signal.severity) for signal in said[:2]] == [("raise", "Minor"), ("change", "Severe")]
    assert said == replayed(settings.database, node.address.partition)


def test_a_fault_in_the_rules_does_not_hold_up_the_ingest(
    settings: CloudSettings, nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "_AGAIN_S", 0.1)
    whole = lifecycle.apply
    failing = [True]

    def apply(connection: psycopg.Connection, signals: Sequence[Signal], now: int) -> list[str]:
        if failing:
            raise RuntimeError("no such luck")
        return whole(connection, signals, now)

    monkeypatch.setattr(lifecycle, "apply", apply)
    node = nodes()
    with working(settings, {"test.yaml": RULE}):
        node.send(1, [event("e1")], Lane.ALARM)
        node.acked(1, Lane.ALARM)
        node.send(1, [Reading(time=1, source="gas-1", quantity="co", value=1)])
        node.acked(1)
        assert rows(settings.database, "SELECT 1 FROM signal") == []
        failing.clear()
        await_rows(settings.database, WARNINGS, lambda found: found == [("test", "open")])
    assert signals(settings.database) == replayed(settings.database, node.address.partition)
