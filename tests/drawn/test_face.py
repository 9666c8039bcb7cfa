"""Drawn heads: the same again from a seed, where they were asked for, and marked as drawn."""

import numpy as np

from vedette.drawn.face import face, paint_face
from vedette.drawn.golden import golden_pictures
from vedette.drawn.portraits import portrait


def test_the_same_seed_draws_the_same_picture() -> None:
    one, where = portrait(7, ((0.5, 0.5, 0.4),), 320, 180)
    again, there = portrait(7, ((0.5, 0.5, 0.4),), 320, 180)
    assert np.array_equal(one, again)
    assert where == there
    assert not np.array_equal(one, portrait(8, ((0.5, 0.5, 0.4),), 320, 180)[0])


def test_a_head_is_painted_at_its_place_and_nowhere_else() -> None:
    canvas = np.zeros((240, 400, 3), np.float32)
    x1, y1, x2, y2 = paint_face(canvas, face(np.random.default_rng(3), 120, 90, 100))
    assert 70 < x1 < 120 < x2 < 170
    assert 40 < y1 < 90 < y2 < 150
    assert canvas[round(y1) : round(y2), round(x1) : round(x2)].mean() > 0.1
    assert canvas[:, 260:].max() == 0
    assert 0 <= canvas.min() <= canvas.max() <= 1


def test_a_head_may_reach_out_of_the_picture() -> None:
    canvas = np.zeros((120, 160, 3), np.float32)
    x1, _, _, y2 = paint_face(canvas, face(np.random.default_rng(3), 5, 110, 100))
    assert x1 < 0
    assert y2 > 120
    assert canvas[60:, :40].max() > 0


def test_eyes_and_mouth_are_darker_than_the_cheeks() -> None:
    canvas = np.zeros((400, 400, 3), np.float32)
    paint_face(canvas, face(np.random.default_rng(4), 200, 200, 200))
    half = 100
    cheek = canvas[200 + int(0.3 * half), 200 - int(0.4 * half)].mean()
    brow = canvas[200 - int(0.26 * half) : 200 - int(0.14 * half), 160:185].mean(axis=2).min()
    mouth = canvas[200 + int(0.45 * half) : 200 + int(0.7 * half), 190:210].mean(axis=2).min()
    assert max(brow, mouth) < 0.6 * cheek


def test_the_golden_pictures_of_faces_are_marked_as_drawn() -> None:
    pictures = dict(golden_pictures("face"))
    assert set(pictures) == {"two", "one", "none"}
    for image in pictures.values():
        assert (image[4:16, 4:50] > 200).sum() > 50, "the word DRAWN, upper left"
