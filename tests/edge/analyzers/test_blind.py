"""What gives nothing is an event; what flaps is one event, not twenty."""

from hypothesis import given
from hypothesis import strategies as st

from contract.records import Phase
from edge.analyzers.blind import BlindAnalyzer

from .life import at, check_lives, names


def blind(start: float = 0.0, opened=None) -> BlindAnalyzer:
    return BlindAnalyzer("gate", start, names(), opened)


def live(analyzer: BlindAnalyzer, start: int, seconds: int, seen: bool, reason: str = "no answer") -> list:
    events = []
    for second in range(start, start + seconds):
        if seen:
            analyzer.seen(second)
        events += analyzer.check(second, at(second), reason)
    return events


def test_silence_opens_an_event_with_its_reason():
    analyzer = blind()
    assert live(analyzer, 0, 20, seen=True) == []
    (event,) = live(analyzer, 20, 30, seen=False)
    assert (event.kind, event.phase, event.source) == ("blind", Phase.OPEN, "gate")
    assert event.attrs == {"reason": "no answer", "silent_s": 15.0}
    assert event.started == at(19)


def test_a_source_that_never_gave_anything_is_blind_too():
    assert [event.phase for event in live(blind(), 0, 30, seen=False)] == [Phase.OPEN]


def test_it_closes_once_the_source_has_come_back_for_good():
    analyzer = blind()
    (opened,) = live(analyzer, 0, 20, seen=False)
    (closed,) = live(analyzer, 20, 10, seen=True)
    assert (closed.id, closed.phase, closed.time) == (opened.id, Phase.CLOSE, at(25))


def test_a_source_that_flaps_gives_one_event():
    analyzer = blind()
    events = live(analyzer, 0, 20, seen=False)
    for start in range(20, 400, 10):
        events += live(analyzer, start, 2, seen=True)
        events += live(analyzer, start + 2, 8, seen=False)
    assert len(events) == 1


def test_another_reason_is_told():
    analyzer = blind()
    live(analyzer, 0, 20, seen=False)
    (change,) = live(analyzer, 20, 20, seen=False, reason="answered 401")
    assert (change.phase, change.attrs["reason"]) == (Phase.CHANGE, "answered 401")


def test_wall_time_that_jumps_makes_nobody_blind():
    analyzer = blind()
    for second in range(100):
        analyzer.seen(second)
        assert analyzer.check(second, at(second * 1000), "") == []


def test_after_a_restart_the_same_event_goes_on():
    (opened,) = live(blind(), 0, 20, seen=False)
    again = blind(500.0, opened)
    assert live(again, 500, 60, seen=False, reason="no answer") == []
    (closed,) = live(again, 560, 10, seen=True)
    assert (closed.id, closed.revision) == (opened.id, 2)


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.sampled_from(["a", "b"])), max_size=40))
def test_whatever_happens_every_event_has_a_proper_life(spans):
    analyzer, now, events = blind(), 0, []
    for seconds, seen, reason in spans:
        events += live(analyzer, now, seconds, seen, reason)
        now += seconds
    check_lives(events)
