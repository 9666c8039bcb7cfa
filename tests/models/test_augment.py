"""Augmentation: boxes stay on what they name."""

import numpy as np
import pytest

from models.workshop.training.augment import Sample, evening, mosaic, place, weather


def sample(rng: np.random.Generator, unlabelled: frozenset[int] = frozenset()) -> Sample:
    """A grey picture with one white rectangle, boxed."""
    image = np.full((120, 160, 3), 60, np.uint8)
    x, y = int(rng.integers(10, 80)), int(rng.integers(10, 60))
    image[y : y + 40, x : x + 50] = 255
    return Sample(image, np.array([[x, y, x + 50, y + 40]], np.float32), np.array([0]), unlabelled)


@pytest.mark.parametrize("seed", range(12))
def test_a_box_follows_its_thing_through_scale_shift_and_mirror(seed: int) -> None:
    rng = np.random.default_rng(seed)
    moved = place(rng, sample(rng), 320, 192, (0.5, 1.2))
    for x1, y1, x2, y2 in moved.boxes.round().astype(int):
        inner = moved.image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
        assert (inner > 200).mean() > 0.97
    white = (moved.image > 200).all(-1)
    for x1, y1, x2, y2 in moved.boxes.round().astype(int):
        white[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2] = False
    assert len(moved.boxes) == 0 or white.sum() < 20


@pytest.mark.parametrize("seed", range(6))
def test_a_mosaic_keeps_boxes_in_the_canvas_and_what_is_unlabelled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    four = [sample(rng), sample(rng), sample(rng, frozenset({1})), sample(rng)]
    mixed = mosaic(rng, four, 320, 256)
    assert mixed.image.shape == (256, 320, 3)
    assert mixed.unlabelled == {1}
    assert len(mixed.boxes) == len(mixed.classes)
    for x1, y1, x2, y2 in mixed.boxes:
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 256
        inner = mixed.image[round(y1) + 2 : round(y2) - 2, round(x1) + 2 : round(x2) - 2]
        assert inner.size == 0 or (inner > 200).mean() > 0.95


def test_the_same_generator_gives_the_same_picture() -> None:
    image = np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    for change in (weather, evening):
        first, second = (change(np.random.default_rng(5), image) for _ in range(2))
        assert np.array_equal(first, second)
        assert first.shape == image.shape
        assert first.dtype == np.uint8


def test_evening_light_is_warm() -> None:
    image = np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    warmer = [evening(np.random.default_rng(seed), image).mean((0, 1)) - image.mean((0, 1)) for seed in range(20)]
    assert np.mean([change[2] - change[0] for change in warmer]) > 5
