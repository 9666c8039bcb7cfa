"""Officers' words: each a step with who and when, none of them over somebody else's."""

from typing import Any

import psycopg
import pytest

from cloud.warnings import table
from cloud.warnings.actions import Act, ActionKind, ConflictError, UnknownWarningError, act
from cloud.warnings.lifecycle import apply
from cloud.warnings.warning import State
from rules.signal import Action, Severity
from tests.cloud.warnings.samples import EPISODE, signal

Connection = psycopg.Connection[Any]
NOW = EPISODE + 5_000_000
ID = signal().warning


def do(connection: Connection, kind: str, by: str = "lin", **more: Any) -> State:
    return act(connection, ID, Act(kind=ActionKind(kind), by=by, **more), NOW).state


def messages(connection: Connection) -> list[str]:
    return [kind for kind, _ in table.sent_messages(connection, ID)]


@pytest.fixture(autouse=True)
def raised(connection: Connection) -> None:
    apply(connection, [signal()], NOW)


def test_acknowledging_is_a_step_with_a_name(connection: Connection) -> None:
    assert do(connection, "acknowledge", note="on my way") is State.ACKNOWLEDGED
    step = connection.execute("SELECT revision, kind, by, note, state FROM warning_step ORDER BY revision").fetchall()[
        -1
    ]
    assert step == (2, "acknowledged", "lin", "on my way", "acknowledged")
    assert table.lock(connection, [ID])[ID].acknowledged_by == "lin"


def test_what_was_acknowledged_leaves_when_it_clears(connection: Connection) -> None:
    do(connection, "acknowledge")
    apply(connection, [signal(Action.CLEAR, 9)], NOW)
    assert table.lock(connection, [ID])[ID].state is State.RESOLVED
    assert messages(connection) == ["Alert", "End"]


def test_what_cleared_leaves_when_it_is_acknowledged(connection: Connection) -> None:
    apply(connection, [signal(Action.CLEAR, 9)], NOW)
    assert do(connection, "acknowledge") is State.RESOLVED
    assert messages(connection) == ["Alert", "End"]


def test_of_two_officers_the_second_is_told_who_was_first(connection: Connection) -> None:
    do(connection, "acknowledge", by="lin", revision=1)
    with pytest.raises(ConflictError, match="revision 2, you saw 1"):
        do(connection, "resolve", by="chen", revision=1)
    with pytest.raises(ConflictError, match="acknowledged by lin already"):
        do(connection, "acknowledge", by="chen", revision=2)


def test_a_false_alarm_is_taken_back_and_opens_again_when_it_grows(connection: Connection) -> None:
    assert do(connection, "cancel", note="a sunset") is State.CANCELLED
    assert messages(connection) == ["Alert", "Cancel"]
    apply(connection, [signal(Action.CHANGE, 2)], NOW)
    assert messages(connection) == ["Alert", "Cancel"]
    apply(connection, [signal(Action.CHANGE, 3, Severity.EXTREME)], NOW)
    assert table.lock(connection, [ID])[ID].state is State.OPEN
    assert messages(connection) == ["Alert", "Cancel", "Alert"]


def test_assigning_and_noting_leave_the_state_alone(connection: Connection) -> None:
    assert do(connection, "assign", to="chen") is State.OPEN
    assert do(connection, "note", note="fire brigade called") is State.OPEN
    assert table.lock(connection, [ID])[ID].assigned_to == "chen"
    assert messages(connection) == ["Alert"]


def test_what_is_off_the_list_takes_a_note_and_nothing_else(connection: Connection) -> None:
    do(connection, "resolve")
    with pytest.raises(ConflictError, match="resolved already"):
        do(connection, "acknowledge")
    assert do(connection, "note", note="cause: a candle") is State.RESOLVED


def test_an_unknown_warning_is_named(connection: Connection) -> None:
    with pytest.raises(UnknownWarningError, match="'nothing'"):
        act(connection, "nothing", Act(kind=ActionKind.ACKNOWLEDGE, by="lin"), NOW)
