"""A fire is believed soon, a flash is not, and a blind camera never ends one."""

import itertools
import random
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.detections import Box, Detection
from contract.records import ModelRef, Phase
from edge.analyzers.fire import FireAnalyzer, _covered

from ..vision.clips import clip
from .life import at, check_lives, names

MODEL = ModelRef(name="fire", version="1.0.0")
THRESHOLD = 0.4


def flame(x: float = 0.4, score: float = 0.7, size: float = 0.1, label: str = "fire") -> Detection:
    return Detection(label, score, (x, 0.4, min(1.0, x + size), 0.4 + size))


class Watch:
    """An analyzer that is shown frames, five a second unless told otherwise."""

    def __init__(self, opened=None, activity: float = 8.0, label: str = "fire") -> None:
        self.activity = activity
        self.analyzer = FireAnalyzer("yard", label, names(), opened)
        self.now = 0.0
        self.shake = random.Random(1)

    def show(self, seconds: float, *detections: Detection, step: float = 0.2) -> list:
        events = []
        for _ in range(round(seconds / step)):
            self.now += step
            events += self.observe(*detections)
        return events

    def flicker(self, seconds: float, *detections: Detection, step: float = 0.2) -> list:
        events = []
        for _ in range(round(seconds / step)):
            self.now += step
            grown = [
                Detection(d.label, d.score, (*d.box[:2], d.box[2] + self.shake.uniform(0, 0.03), d.box[3]))
                for d in detections
            ]
            events += self.observe(*grown)
        return events

    def observe(self, *detections: Detection) -> list:
        return self.analyzer.observe(
            list(detections), THRESHOLD, at(self.now), at(self.now) + 20_000, MODEL, lambda box: self.activity
        )


def test_a_flame_opens_an_event_within_a_second_and_it_says_what_was_seen():
    watch = Watch()
    watch.show(5)
    (event,) = watch.flicker(1, flame())
    assert event.phase is Phase.OPEN
    assert (event.kind, event.source, event.model) == ("fire", "yard", MODEL)
    assert event.started == at(5.2)
    assert event.time - event.started <= 800_000
    assert event.detected == event.time + 20_000
    assert event.attrs["area_share"] == pytest.approx(0.011, abs=0.004)
    assert event.attrs["growth"] == 1.0
    assert event.score == pytest.approx(0.7)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_flash_opens_nothing(frames):
    watch = Watch()
    for _ in range(10):
        assert watch.flicker(frames * 0.2, flame(score=0.95)) == []
        assert watch.show(3) == []


def test_headlights_that_wander_through_the_picture_are_not_one_place():
    watch = Watch()
    for step in range(6):
        assert watch.show(0.2, flame(x=step * 0.16)) == []


def test_weak_sightings_need_more_of_them():
    weak, strong = Watch(), Watch()
    (late,) = weak.flicker(3, flame(score=0.41))
    (soon,) = strong.flicker(3, flame(score=0.9))
    assert soon.time - soon.started < late.time - late.started


def test_a_photograph_of_a_fire_is_no_fire_until_its_pixels_live():
    watch = Watch(activity=0.3)
    assert watch.show(60, flame()) == []
    assert watch.analyzer.alert
    watch.activity = 8.0
    (event,) = watch.flicker(3, flame())
    assert event.attrs["flicker"] > 1.0


def test_one_frame_a_second_is_enough():
    watch = Watch()
    (event,) = watch.flicker(5, flame(), step=1.0)
    assert event.phase is Phase.OPEN


def test_an_open_event_lives_on_what_would_open_none_and_closes_after_quiet():
    watch = Watch()
    watch.flicker(2, flame())
    assert all(event.phase is Phase.CHANGE for event in watch.flicker(40, flame(score=0.3)))
    assert watch.show(19) == []
    (closed,) = watch.show(3)
    assert closed.phase is Phase.CLOSE
    assert watch.show(60) == []
    assert Watch().flicker(40, flame(score=0.3)) == []


def test_a_camera_that_was_blind_does_not_end_a_fire():
    watch = Watch()
    watch.flicker(2, flame())
    watch.now += 3600
    assert watch.show(10) == []
    assert [event.phase for event in watch.flicker(2, flame())] == []
    (closed,) = watch.show(25)
    assert closed.phase is Phase.CLOSE


def test_growth_is_told_and_a_steady_fire_is_not_told_again():
    watch = Watch()
    (opened,) = watch.flicker(2, flame())
    assert watch.flicker(20, flame()) == []
    changes = watch.flicker(20, flame(size=0.3))
    assert changes
    assert changes[-1].attrs["growth"] > 4
    assert changes[-1].attrs["area_share"] > 0.08
    check_lives([opened, *changes])


def test_after_a_restart_the_same_event_goes_on():
    watch = Watch()
    (opened,) = watch.flicker(2, flame())
    again = Watch(opened)
    again.now = watch.now
    assert again.flicker(3, flame()) == []
    (closed,) = again.show(25)
    assert (closed.id, closed.revision, closed.started) == (opened.id, 2, opened.started)


def test_a_clock_that_is_set_back_neither_opens_nor_ends_anything():
    watch = Watch()
    watch.flicker(0.4, flame())
    watch.now -= 1000
    assert watch.flicker(0.4, flame()) == []
    (opened,) = watch.flicker(2, flame())
    watch.now -= 1000
    assert watch.show(19) == []
    (closed,) = watch.show(2)
    assert closed.id == opened.id


def test_a_clock_that_is_set_back_does_not_silence_a_fire_that_grows():
    watch = Watch()
    watch.flicker(2, flame())
    watch.now -= 3600
    told = watch.flicker(4, flame(size=0.4))
    assert [event.phase for event in told][:1] == [Phase.CHANGE]


def test_smoke_is_another_event():
    watch = Watch()
    assert watch.flicker(5, flame(label="smoke")) == []


def test_a_wall_in_changing_light_is_no_smoke_and_a_plume_is():
    wall = flame(label="smoke", size=0.3)
    watch = Watch(label="smoke")
    assert watch.show(20, wall) == []
    opened, *_ = watch.flicker(20, flame(label="smoke"))
    assert (opened.kind, opened.phase) == ("smoke", Phase.OPEN)


box = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.01, 0.5), st.floats(0.01, 0.5)).map(
    lambda b: (b[0], b[1], min(1.0, b[0] + b[2]), min(1.0, b[1] + b[3]))
)
detection = st.builds(Detection, st.sampled_from(["fire", "smoke"]), st.floats(0.1, 1.0), box)


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.lists(detection, max_size=3)), max_size=60))
def test_whatever_is_seen_every_event_has_a_proper_life(frames):
    analyzer, now, events = FireAnalyzer("yard", "fire", names()), 0.0, []
    for gap, detections in frames:
        now += gap
        events += analyzer.observe(detections, THRESHOLD, at(now), at(now), MODEL, lambda box: 8.0)
    for life in check_lives(events):
        changes = [event.time for event in life if event.phase is not Phase.CLOSE]
        assert all(b - a >= 2_000_000 for a, b in itertools.pairwise(changes))
        assert all(0 <= float(event.attrs["area_share"]) <= 1 for event in life)


@given(st.lists(box, max_size=6))
def test_the_covered_area_is_that_of_the_boxes_drawn(boxes: list[Box]):
    area = _covered(boxes)
    assert max((_covered([b]) for b in boxes), default=0.0) - 1e-9 <= area
    assert area <= min(1.0, sum((b[2] - b[0]) * (b[3] - b[1]) for b in boxes)) + 1e-9


def test_boxes_of_a_real_fire_open_one_event_and_it_stays_open():
    root = ElementTree.parse(clip("house6.xml")).getroot()
    shake, events = random.Random(2), []
    analyzer = FireAnalyzer("house", "fire", names())
    for frame in list(root.find("frames"))[::6]:
        number = int(frame.findtext("frameNumber"))
        seen = []
        for annotation in frame.find("annotations"):
            x, y, w, h = (int(value) for value in annotation.text.split())
            if shake.random() < 0.6:  # a detector misses some
                seen.append(
                    Detection("fire", shake.uniform(0.3, 0.9), (x / 426, y / 240, (x + w) / 426, (y + h) / 240))
                )
        events += analyzer.observe(seen, THRESHOLD, at(number / 29.97), at(number / 29.97), MODEL, lambda box: 8.0)
    (life,) = check_lives(events)
    assert life[0].time <= at(3.0)
    assert life[-1].phase is not Phase.CLOSE
    assert len(life) <= 12
