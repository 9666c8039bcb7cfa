"""A warning's life: signals in any order make the same warning, and officers' words are never lost in it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloud.warnings.warning import NOTHING_SEEN, Seen, State, StepKind, Warned, begin, fingerprint, join
from contract.detections import Detection
from rules.signal import Action, Severity, Signal
from tests.cloud.warnings.samples import EPISODE, signal

NOW = EPISODE + 1_000_000


def life(signals: list[Signal]) -> Warned:
    known: set[str] = set()
    warned: Warned | None = None
    for one in signals:
        if fingerprint(one) in known:
            continue
        known.add(fingerprint(one))
        warned = begin(one, seen(one), NOW) if warned is None else join(warned, one, seen(one), NOW)[0]
    assert warned is not None
    return warned


def seen(one: Signal) -> Seen:
    if one.action is Action.CLEAR or not one.events:
        return NOTHING_SEEN
    return Seen((Detection("fire", 0.8, (0.1, 0.1, 0.2, 0.2)),), None, one.time, one.time + 1)


signals = st.builds(
    signal,
    action=st.sampled_from(Action),
    after_s=st.integers(0, 6),
    severity=st.sampled_from(Severity),
    title=st.sampled_from(["Fire", "Fire grows"]),
    events=st.sets(st.sampled_from(["a", "b", "c"])).map(lambda names: tuple(sorted(names))),
)


@given(
    st.lists(signals, min_size=1, max_size=8).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some * 2)))
)
def test_any_order_and_repetition_of_signals_makes_the_same_warning(both: tuple[list[Signal], list[Signal]]) -> None:
    in_order, shuffled = both
    assert replace(life(in_order), revision=0) == replace(life(shuffled), revision=0)


@given(st.lists(signals, min_size=1, max_size=8), st.integers(0, 7))
def test_an_officers_answer_holds_until_it_grows_worse(some: list[Signal], place: int) -> None:
    warned = life(some[: place + 1])
    if warned.cleared is not None:
        return
    warned = replace(warned, state=State.ACKNOWLEDGED, answered=warned.severity, acknowledged_by="lin")
    for one in some[place + 1 :]:
        warned, kind = join(warned, one, NOTHING_SEEN, NOW)
        if warned.state is State.OPEN:
            assert kind is StepKind.ESCALATED
            return
        assert warned.state in (State.ACKNOWLEDGED, State.RESOLVED)
        assert (warned.state is State.RESOLVED) == (warned.cleared is not None)


def test_a_cleared_warning_stays_until_somebody_has_seen_it() -> None:
    warned, kind = join(begin(signal(), NOTHING_SEEN, NOW), signal(Action.CLEAR, 9), NOTHING_SEEN, NOW)
    assert (warned.state, warned.cleared, kind) == (State.OPEN, EPISODE + 9_000_000, StepKind.CLEARED)


def test_an_acknowledged_warning_leaves_when_it_clears() -> None:
    seen_by_lin = replace(begin(signal(), NOTHING_SEEN, NOW), state=State.ACKNOWLEDGED, answered=Severity.SEVERE)
    warned, kind = join(seen_by_lin, signal(Action.CLEAR, 9), NOTHING_SEEN, NOW)
    assert (warned.state, kind) == (State.RESOLVED, StepKind.CLEARED)


def test_worse_than_what_was_answered_opens_it_again_but_not_the_same_again() -> None:
    answered = replace(begin(signal(), NOTHING_SEEN, NOW), state=State.CANCELLED, answered=Severity.SEVERE)
    milder, _ = join(answered, signal(Action.CHANGE, 1, Severity.MINOR), NOTHING_SEEN, NOW)
    again, kind = join(milder, signal(Action.CHANGE, 2, Severity.SEVERE), NOTHING_SEEN, NOW)
    assert (again.state, kind) == (State.CANCELLED, StepKind.ESCALATED)
    worse, kind = join(again, signal(Action.CHANGE, 3, Severity.EXTREME), NOTHING_SEEN, NOW)
    assert (worse.state, kind) == (State.OPEN, StepKind.ESCALATED)


def test_site_and_node_are_told_where_there_is_one() -> None:
    warned = begin(signal(), NOTHING_SEEN, NOW)
    assert (warned.site, warned.node) == ("demo", "gate")
    two = replace(warned, sources=("demo/gate/lobby", "demo/yard/co"))
    assert (two.site, two.node) == ("demo", "")
    assert replace(warned, sources=("demo/gate/lobby", "mill/gate/co")).node == ""
