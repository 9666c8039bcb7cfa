"""The proxies: what counts as a covered head, and as a box on a head."""

from pathlib import Path

import pytest

from contract.detections import Box, Detection
from models.workshop.evaluation.heads import Head, Look, MoveNet, agreement, covered, on_heads, within

FRONTAL = Head(((0.50, 0.55), (0.48, 0.50), (0.52, 0.50)), ((0.50, 0.55), (0.48, 0.50), (0.52, 0.50)))
TURNED = Head(((0.20, 0.50),), ())
OVER: Box = (0.45, 0.45, 0.55, 0.60)


def seen(*found: tuple[float, Box], heads: tuple[Head, ...] = (FRONTAL,), whole: bool = True) -> Look:
    return Look(tuple(Detection("face", score, box) for score, box in found), heads, whole)


def test_a_frontal_head_is_covered_by_one_box_with_nose_and_both_eyes() -> None:
    assert covered([seen((0.9, OVER))], 0.5) == (1, 1)
    assert covered([seen((0.4, OVER))], 0.5) == (0, 1)
    half: Box = (0.45, 0.45, 0.51, 0.60)
    rest: Box = (0.51, 0.45, 0.55, 0.60)
    assert covered([seen((0.9, half), (0.9, rest))], 0.5) == (0, 1)


def test_a_turned_head_is_asked_of_nobody() -> None:
    assert covered([seen(heads=(TURNED,))], 0.5) == (0, 0)


def test_a_box_counts_with_any_point_of_a_head_in_it() -> None:
    look = seen((0.9, OVER), (0.9, (0.1, 0.4, 0.3, 0.6)), (0.9, (0.7, 0.7, 0.9, 0.9)), heads=(FRONTAL, TURNED))
    assert on_heads([look], 0.5) == (2, 3)


def test_where_heads_may_be_missing_boxes_are_not_judged() -> None:
    assert on_heads([seen((0.9, OVER), whole=False)], 0.5) == (0, 0)


def test_a_labelled_point_may_lie_a_little_beside_the_box() -> None:
    beside = (0.5, 0.43)
    assert not within(OVER, beside)
    assert within(OVER, beside, 0.5)
    assert not within(OVER, (0.5, 0.40), 0.5)


def test_agreement_takes_the_references_sure_boxes_as_the_truth() -> None:
    far: Box = (0.7, 0.7, 0.9, 0.9)
    reference = seen((0.9, OVER), (0.1, far))
    both = agreement([reference], [seen((0.8, OVER), (0.3, far))], 0.5)
    assert (both.truths, both.average_precision()) == (1, 1.0)
    assert both.at(0.05) == (1.0, 1.0), "what the reference itself was unsure of counts neither way"
    none = agreement([reference], [seen((0.8, (0.0, 0.0, 0.1, 0.1)))], 0.5)
    assert none.average_precision() == 0.0


def test_missing_weights_of_the_judge_are_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"ghost\.onnx does not exist; the proxies need it"):
        MoveNet(Path("ghost.onnx"))
