"""People are counted once a second in each place, and too many of them for a while are an event."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.detections import Detection
from contract.records import ModelRef, Phase
from edge.analyzers.crowd import Area, CrowdAnalyzer
from edge.vision.density import Density

from .life import at, check_lives, names

LEFT = Area("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)), limit=3)

MODEL = ModelRef(name="crowd", version="1.0.0", sha256="a" * 64)


def people(count: int, x: float = 0.1) -> list[Detection]:
    return [Detection("person", 0.8, (x + i * 0.01, 0.2, x + i * 0.01 + 0.05, 0.5)) for i in range(count)]


def show(analyzer: CrowdAnalyzer, start: float, seconds: float, detections, step: float = 0.2):
    events, readings = [], []
    for index in range(round(seconds / step)):
        now = at(start + index * step)
        more, counted = analyzer.observe(detections, now, now, None)
        events += more
        readings += counted
    return events, readings


def test_each_place_has_a_reading_a_second():
    analyzer = CrowdAnalyzer("square", [Area(), LEFT], names())
    _, readings = show(analyzer, 0, 10, people(2) + people(3, x=0.7) + [Detection("fire", 0.9, (0.1, 0.1, 0.2, 0.2))])
    whole = [r for r in readings if r.quantity == "person-count"]
    left = [r for r in readings if r.quantity == "person-count-left"]
    assert len(whole) == len(left) == 10
    assert {r.value for r in whole} == {5.0}
    assert {r.value for r in left} == {2.0}
    assert {r.unit for r in readings} == {"{persons}"}


def test_feet_decide_where_somebody_stands():
    triangle = Area("t", ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0)))
    assert triangle.holds((0.4, 0.0, 0.6, 0.9))
    assert not triangle.holds((0.0, 0.8, 0.1, 0.85))


def test_too_many_for_three_seconds_open_an_event_and_too_few_for_ten_close_it():
    analyzer = CrowdAnalyzer("square", [LEFT], names())
    assert show(analyzer, 0, 5, people(3))[0] == []
    (opened,) = show(analyzer, 5, 6, people(4))[0]
    assert (opened.kind, opened.zone, opened.phase) == ("crowd", "left", Phase.OPEN)
    assert opened.attrs == {"persons": 4, "limit": 3}
    assert len(opened.detections) == 4
    assert opened.time - opened.started >= 3_000_000
    assert all(event.phase is Phase.CHANGE for event in show(analyzer, 11, 8, people(2))[0])
    (closed,) = show(analyzer, 19, 8, people(2))[0]
    assert (closed.id, closed.phase) == (opened.id, Phase.CLOSE)
    assert closed.attrs["persons"] == 2


def test_exactly_at_the_limit_an_open_event_stays_open():
    analyzer = CrowdAnalyzer("square", [LEFT], names())
    (opened,) = show(analyzer, 0, 8, people(4))[0]
    assert show(analyzer, 8, 60, people(3))[0] == []
    assert analyzer.events == (opened,)


def test_a_crowd_that_grows_is_told_but_not_at_every_frame():
    analyzer = CrowdAnalyzer("square", [LEFT], names())
    show(analyzer, 0, 8, people(4))
    events = [event for i in range(12) for event in show(analyzer, 8 + i, 1, people(5 + i))[0]]
    assert 1 <= len(events) <= 3
    assert events[-1].attrs["persons"] > 10


def test_one_frame_with_many_is_no_crowd():
    analyzer = CrowdAnalyzer("square", [LEFT], names())
    events = []
    for i in range(20):
        events += show(analyzer, i, 0.8, people(1))[0]
        events += show(analyzer, i + 0.8, 0.2, people(9))[0]
    assert events == []


def test_after_a_restart_the_same_event_goes_on():
    first = CrowdAnalyzer("square", [LEFT], names())
    (opened,) = show(first, 0, 8, people(4))[0]
    again = CrowdAnalyzer("square", [LEFT], names(), [opened])
    assert again.events == (opened,)
    *_, closed = show(again, 8, 15, people(0))[0]
    assert (closed.id, closed.phase) == (opened.id, Phase.CLOSE)


@given(st.lists(st.tuples(st.floats(0.0, 4.0), st.integers(0, 12)), max_size=80))
def test_whatever_is_counted_every_event_has_a_proper_life(frames):
    analyzer, now, events = CrowdAnalyzer("square", [Area(limit=5), LEFT], names()), 0.0, []
    for gap, number in frames:
        now += gap
        events += analyzer.observe(people(number), at(now), at(now), None)[0]
    check_lives(events)


@pytest.mark.parametrize("back", [10.0, 3600.0])
def test_a_clock_that_is_set_back_stops_neither_counting_nor_closing(back):
    analyzer = CrowdAnalyzer("square", [LEFT], names())
    show(analyzer, 10_000, 8, people(4))
    events, readings = show(analyzer, 10_008 - back, 15, people(0))
    assert events[-1].phase is Phase.CLOSE
    assert len(readings) >= 14


def test_a_clock_that_is_set_back_does_not_silence_a_crowd_that_grows():
    analyzer = CrowdAnalyzer("square", [LEFT], names())
    show(analyzer, 10_000, 8, people(4))
    events, _ = show(analyzer, 6_400, 8, people(12))
    assert [event.attrs["persons"] for event in events][-1:] == [12]


def heads(count: float, variance: float = 0.0) -> Density:
    """So many heads in the left half of a picture, in one cell."""
    return Density(np.array([[count, 0]], np.float32), np.array([[variance, 0]], np.float32))


def test_counted_heads_are_a_crowd_that_says_how_sure_it_is():
    analyzer = CrowdAnalyzer("square", [Area(), LEFT], names())
    events, readings = [], []
    for step in range(30):
        now = at(step * 0.2)
        more, counted = analyzer.count(heads(40.4, 16.0), now, now, MODEL)
        events += more
        readings += counted
    assert {(r.quantity, r.value) for r in readings} == {("person-count", 40.0), ("person-count-left", 40.0)}
    (opened,) = events
    assert (opened.kind, opened.zone, opened.detections, opened.model) == ("crowd", "left", (), MODEL)
    assert opened.attrs == {"persons": 40, "limit": 3, "persons_sd": 4.0}
    assert opened.score == pytest.approx(1.0)
    for step in range(30, 60):
        now = at(step * 0.2)
        events += analyzer.count(heads(80, 100.0), now, now, MODEL)[0]
    assert events[-1].phase is Phase.CHANGE
    assert events[-1].attrs == {"persons": 80, "limit": 3, "persons_sd": 10.0}
    for step in range(60, 180):
        now = at(step * 0.2)
        events += analyzer.count(heads(0.2, 0.1), now, now, MODEL)[0]
    assert (events[-1].phase, events[-1].attrs["persons"]) == (Phase.CLOSE, 0)
