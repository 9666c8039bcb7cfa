"""What happened while a node was offline is remembered, not alarmed."""

from typing import Any

import psycopg

from cloud.warnings import table
from cloud.warnings.lifecycle import apply
from cloud.warnings.past import remember
from cloud.warnings.warning import State
from contract.records import Event, Phase
from tests.cloud.warnings.samples import EPISODE, signal

Connection = psycopg.Connection[Any]
NOW = EPISODE + 3_600_000_000


def event(name: str = "fire-9", phase: Phase = Phase.CLOSE) -> Event:
    return Event(
        id=name, kind="fire", phase=phase, revision=2, time=EPISODE + 60_000_000, started=EPISODE, source="lobby"
    )


def test_what_is_over_is_remembered_once_without_cap(connection: Connection) -> None:
    (name,) = remember(connection, "demo", "gate", [event()], NOW)
    assert remember(connection, "demo", "gate", [event()], NOW) == []
    warned = table.lock(connection, [name])[name]
    assert (warned.past, warned.state, warned.raised, warned.cleared) == (
        True, State.RESOLVED, EPISODE, EPISODE + 60_000_000,
    )  # fmt: skip
    assert table.sent_messages(connection, name) == []


def test_what_goes_on_is_for_the_rules(connection: Connection) -> None:
    assert remember(connection, "demo", "gate", [event(phase=Phase.OPEN)], NOW) == []


def test_what_was_warned_of_is_not_told_again(connection: Connection) -> None:
    apply(connection, [signal(events=("fire-9",))], NOW)
    assert remember(connection, "demo", "gate", [event()], NOW) == []
    assert len(remember(connection, "demo", "yard", [event()], NOW)) == 1
