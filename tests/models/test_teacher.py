"""Several looks make one label; what they do not agree on is left open."""

from pathlib import Path

import numpy as np
import pytest

from models.workshop.evaluation.matching import suppress
from models.workshop.sets.data import Picture, Truth, read_set, write_set
from models.workshop.training.teacher import BEST, SURE, UNSURE, Seen, fuse, taught

NOTHING = (np.zeros(0, np.float32), np.zeros((0, 4), np.float32))


def look(*found: tuple[float, tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in found], np.float32), np.array([b for _, b in found], np.float32)


def test_one_look_alone_is_believed_by_a_third() -> None:
    ((score, box),) = fuse([look((0.9, (10, 10, 50, 90))), NOTHING, NOTHING, NOTHING, NOTHING])
    assert score == pytest.approx(0.9 / BEST)
    assert box == pytest.approx((10, 10, 50, 90))


def test_looks_that_agree_make_one_box_between_them() -> None:
    looks = [look((0.9, (10, 10, 50, 90))), look((0.3, (14, 10, 54, 90))), look((0.6, (10, 12, 50, 92))), NOTHING]
    ((score, box),) = fuse(looks)
    assert score == pytest.approx(0.6)
    assert 10 < box[0] < 14
    assert 90 < box[3] < 92


def test_two_people_side_by_side_stay_two_and_no_box_votes_twice() -> None:
    pair = look((0.8, (10, 10, 50, 90)), (0.7, (30, 10, 70, 90)))
    fused = fuse([pair, pair, pair])
    assert [round(score, 3) for score, _ in fused] == [0.8, 0.7]


def test_nothing_seen_is_nothing() -> None:
    assert fuse([NOTHING, NOTHING]) == []
    assert suppress(*NOTHING, 0.5).tolist() == []


def test_what_is_doubtful_is_written_so_and_what_people_labelled_stays(tmp_path: Path) -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    own = [Truth("person", (10.0, 10.0, 40.0, 90.0)), Truth("person-like", (60.0, 10.0, 90.0, 90.0))]
    write_set(tmp_path, [("x.png", "train", image, own)], "made")
    seen = [
        Seen("person", 0.9, (0.0, 0.0, 9.0, 9.0)),
        Seen("vehicle", SURE["vehicle"], (1.0, 2.0, 30.0, 40.0)),
        Seen("vehicle", UNSURE, (50.0, 50.0, 90.0, 90.0)),
    ]

    def labelled(picture: Picture) -> frozenset[str]:
        return frozenset({"person"})

    ((name, split, shown, truths),) = taught(read_set(tmp_path), lambda _: seen, labelled=labelled)
    assert (name, split) == ("x-w.jpg", "train")
    assert np.array_equal(shown, read_set(tmp_path)[0].read())
    vehicles = [Truth("vehicle", (1.0, 2.0, 30.0, 40.0)), Truth("vehicle?", (50.0, 50.0, 90.0, 90.0))]
    assert truths == own + vehicles
    parts = list(taught(read_set(tmp_path), lambda _: seen, crops=2, labelled=labelled))
    assert [name for name, *_ in parts] == ["x-w.jpg", "x-0.jpg", "x-1.jpg"]
    assert all(35 <= side <= 75 for _, _, shown, _ in parts[1:] for side in shown.shape[:2])
