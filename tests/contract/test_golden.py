"""A golden sample's result is right in any order, and wrong when something is missing or more than doubt is added."""

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from contract.detections import Detection
from contract.golden import difference
from contract.manifest import Tolerance

boxes = st.tuples(*[st.floats(0, 0.4)] * 2, *[st.floats(0.6, 1.0)] * 2)
detections = st.lists(st.builds(Detection, st.sampled_from(["fire", "smoke"]), st.floats(0.5, 1.0), boxes), max_size=6)
LOW = {"fire": 0.4, "smoke": 0.4}


@given(detections, st.randoms(use_true_random=False))
def test_golden_result_is_right_in_any_order(expected: list[Detection], shuffler: random.Random) -> None:
    found = list(expected)
    shuffler.shuffle(found)
    assert difference(expected, found, LOW, Tolerance()) == ""


@given(detections.filter(bool), st.data())
def test_golden_result_that_misses_one_is_wrong(expected: list[Detection], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(expected) - 1))
    found = expected[:gone] + expected[gone + 1 :]
    assert difference(expected, found, LOW, Tolerance()) != ""


@given(detections, detections.filter(bool))
def test_golden_result_that_sees_more_is_wrong(expected: list[Detection], more: list[Detection]) -> None:
    sure = [msgspec.structs.replace(detection, score=0.9) for detection in more]
    assert difference(expected, [*expected, *sure], LOW, Tolerance()) != ""


def test_doubt_within_tolerance_of_the_threshold_is_no_fault() -> None:
    doubt = Detection("fire", 0.55, (0.0, 0.0, 0.5, 0.5))
    assert difference([], [doubt], LOW, Tolerance(score=0.1)) == ""
    assert "not expected" in difference([], [doubt], LOW, Tolerance(score=0.05))
