"""Drawn pictures for training: a set like any other, from seeds that are never shown."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.workshop.sets.data import Picture, read_set
from vedette.drawn.lures import FINE, UNLIT, Kind, lamp, paint_lure
from vedette.drawn.pictures import FIRST_TRAINING_SEED, FIRST_VALIDATION_SEED, set_alight, write_pictures


def test_the_drawn_set_reads_like_the_others(tmp_path: Path) -> None:
    write_pictures(tmp_path, training=12, validation=3)
    train, val = read_set(tmp_path, "train"), read_set(tmp_path, "val")
    assert (len(train), len(val)) == (12, 3)
    assert {t.label for p in train for t in p.truths} >= {"fire", "smoke", "person"}
    for picture in train:
        assert picture.read().shape[:2] == (picture.height, picture.width)
        assert picture.unlabelled == frozenset()


def test_training_never_meets_the_seeds_that_are_shown() -> None:
    assert min(FIRST_TRAINING_SEED, FIRST_VALIDATION_SEED) > 10_000
    assert abs(FIRST_TRAINING_SEED - FIRST_VALIDATION_SEED) > 10_000


def street(folder: Path) -> Picture:
    path = folder / "street.png"
    cv2.imwrite(str(path), np.full((240, 320, 3), 90, np.uint8))
    return Picture(path, "train", "street", 320, 240, (), frozenset())


def test_flames_have_boxes_and_orange_things_beside_them_have_none(tmp_path: Path) -> None:
    made = list(set_alight([street(tmp_path)], 8))
    for n, (_, split, image, truths) in enumerate(made):
        assert split == "train"
        assert bool(truths) == bool(n % 2)
        changed = np.abs(image.astype(int) - 90).max(-1) > 20
        outside = np.ones((240, 320), np.bool_)
        for truth in truths:
            x1, y1, x2, y2 = (int(v) for v in truth.box)
            assert changed[y1:y2, x1:x2].any()
            # A flame's glow may reach over its box.
            outside[max(0, y1 - 12) : y2 + 12, max(0, x1 - 12) : x2 + 12] = False
        assert (changed & outside).sum() > 5


@pytest.mark.parametrize("kind", [*UNLIT, lamp])
def test_each_thing_is_warm_and_leaves_room_around_it(kind: Kind) -> None:
    for seed in range(20):
        colour, cover = np.zeros((FINE, FINE, 3), np.float32), np.zeros((FINE, FINE), np.float32)
        kind(np.random.default_rng(seed), colour, cover)
        assert cover.min() < 0.2
        assert 0.7 < cover.max() <= 1
        blue, _, red = (colour[..., c][cover > 0.5].mean() for c in range(3))
        assert red > blue


def test_what_does_not_fit_is_not_painted_and_nothing_around_is_touched() -> None:
    canvas = np.full((60, 80, 3), 0.4, np.float32)
    paint_lure(np.random.default_rng(1), canvas, 2, 2, 20)
    assert (canvas == np.float32(0.4)).all()
    paint_lure(np.random.default_rng(1), canvas, 40, 30, 20)
    changed = np.argwhere((canvas != np.float32(0.4)).any(-1))
    assert len(changed)
    assert (np.abs(changed - [30, 40]) <= [11, 17]).all()
