"""Signals in the database: one warning an episode, each step kept, CAP on raise, change of content and end."""

from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from cloud.store.times import moment
from cloud.warnings import table
from cloud.warnings.cap import Authority
from cloud.warnings.lifecycle import apply
from contract.detections import Detection
from contract.records import ModelRef
from rules.signal import Action, Severity, Signal
from tests.cloud.warnings.samples import EPISODE, signal

Connection = psycopg.Connection[Any]
NOW = EPISODE + 5_000_000
ID = signal().warning


def messages(connection: Connection, warning: str = ID) -> list[str]:
    return [kind for kind, _ in table.sent_messages(connection, warning)]


def steps(connection: Connection, warning: str = ID) -> list[tuple[int, str, str]]:
    return connection.execute(
        "SELECT revision, kind, state FROM warning_step WHERE warning = %s ORDER BY revision", [warning]
    ).fetchall()


def test_an_episode_is_one_warning_from_raise_to_clear(connection: Connection) -> None:
    changed = apply(connection, [signal()], NOW)
    assert changed == [ID]
    apply(connection, [signal(Action.CHANGE, 2, Severity.EXTREME)], NOW)
    apply(connection, [signal(Action.CLEAR, 9)], NOW)
    assert steps(connection) == [(1, "raised", "open"), (2, "escalated", "open"), (3, "cleared", "open")]
    warned = table.lock(connection, [ID])[ID]
    assert (warned.severity, warned.cleared, warned.revision) == (Severity.EXTREME, EPISODE + 9_000_000, 3)
    assert (warned.site, warned.node, warned.sources) == ("demo", "gate", ("demo/gate/lobby",))


def test_what_was_applied_before_changes_nothing(connection: Connection) -> None:
    both = [signal(), signal(Action.CHANGE, 2, Severity.EXTREME)]
    apply(connection, both, NOW)
    assert apply(connection, both + both, NOW) == []
    assert len(steps(connection)) == 2


def test_every_change_is_told_on_the_feed_once_for_each_transaction(connection: Connection) -> None:
    apply(connection, [signal(), signal(Action.CHANGE, 1), signal(key="demo/gate/yard")], NOW)
    rows = connection.execute("SELECT topic, key FROM feed ORDER BY id").fetchall()
    assert sorted(rows) == sorted([("warning", ID), ("warning", signal(key="demo/gate/yard").warning)])


def test_a_warning_shows_what_the_detector_saw(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO event (site, node, id, source, kind, phase, revision, time, started, zone, score, model, "
        "detections, attrs, detected, lane, arrived) VALUES ('demo', 'gate', 'fire-1', 'lobby', 'fire', 'open', 1, %s, "
        "%s, '', 0.8, %s, %s, '{}', %s, 0, now())",
        [
            moment(EPISODE + 7),
            moment(EPISODE),
            Jsonb({"name": "fire", "version": "1.0", "sha256": "ab"}),
            Jsonb([{"label": "fire", "score": 0.8, "box": [0.1, 0.2, 0.3, 0.4], "track": 3}]),
            moment(EPISODE + 40_007),
        ],
    )
    apply(connection, [signal()], NOW)
    seen = table.lock(connection, [ID])[ID].seen
    assert seen.detections == (Detection("fire", 0.8, (0.1, 0.2, 0.3, 0.4), 3),)
    assert seen.model == ModelRef(name="fire", version="1.0", sha256="ab")
    assert (seen.captured, seen.detected) == (EPISODE + 7, EPISODE + 40_007)


def test_cap_goes_out_on_raise_change_of_content_and_end_only(connection: Connection) -> None:
    apply(connection, [signal()], NOW)
    apply(connection, [signal(Action.CHANGE, 1, events=("fire-2",))], NOW)
    assert messages(connection) == ["Alert"]
    apply(connection, [signal(Action.CHANGE, 2, Severity.EXTREME)], NOW)
    apply(connection, [signal(Action.CLEAR, 3)], NOW)
    assert messages(connection) == ["Alert", "Update", "End"]
    apply(connection, [signal(Action.CHANGE, 2.5, title="late")], NOW)
    assert messages(connection) == ["Alert", "Update", "End"]
    references = " ".join(reference for _, reference in table.sent_messages(connection, ID)[:2])
    row = connection.execute("SELECT cap FROM warning_step WHERE cap_type = 'End'").fetchone()
    assert row is not None
    xml = row[0]
    assert f"<references>{references}</references>" in xml


def test_a_chain_within_one_transaction_holds_together_too(connection: Connection) -> None:
    apply(connection, [signal(), signal(Action.CHANGE, 1, Severity.EXTREME), signal(Action.CLEAR, 2)], NOW)
    assert messages(connection) == ["Alert", "Update", "End"]


def test_what_ended_before_it_was_known_is_not_alarmed(connection: Connection) -> None:
    apply(connection, [signal(Action.CLEAR, 3)], NOW)
    apply(connection, [signal()], NOW)
    assert messages(connection) == []
    assert table.lock(connection, [ID])[ID].raised == EPISODE


def test_messages_are_tests_until_an_authority_says_otherwise(connection: Connection) -> None:
    apply(connection, [signal()], NOW)
    table.write_authority(connection, Authority("duty@city.example", "Actual", "Restricted", "Staff", "City", 600))
    other = signal(key="demo/gate/yard")
    apply(connection, [other], NOW)
    found = connection.execute("SELECT warning, cap FROM warning_step").fetchall()
    status = {warning: "<status>Test</status>" in cap for warning, cap in found}
    assert status == {ID: True, other.warning: False}


some = st.builds(
    signal,
    action=st.sampled_from(Action),
    after_s=st.integers(0, 4),
    severity=st.sampled_from([Severity.MINOR, Severity.SEVERE]),
    key=st.sampled_from(["demo/gate/lobby", "demo/gate/yard"]),
    episode=st.sampled_from([EPISODE, EPISODE + 60_000_000]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(some, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_never_two_warnings_for_one_identity_whatever_comes_twice(
    connection: Connection, signals: list[Signal], random: Any
) -> None:
    def found() -> list[tuple[object, ...]]:
        return connection.execute(
            "SELECT id, severity, state, sources, events, raised, cleared, content FROM warning ORDER BY id"
        ).fetchall()

    connection.rollback()
    apply(connection, signals, NOW)
    at_once = found()
    assert len(at_once) == len({one.warning for one in signals})
    connection.rollback()
    again = signals * 2
    random.shuffle(again)
    for one in again:
        apply(connection, [one], NOW)
    assert found() == at_once
