"""Drawn scenes: the same from the same seed, honest about being drawn, and with boxes where things are."""

import numpy as np
import pytest

from vedette.drawn.scene import KINDS, Kind, Scene


def warm(image: np.ndarray) -> np.ndarray:
    """Pixels that glow: red well above blue, and bright."""
    b, _, r = (image[..., c].astype(int) for c in range(3))
    return (r > 200) & (r - b > 90)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_every_pixel(kind: Kind) -> None:
    first, second, other = Scene(kind, 5), Scene(kind, 5), Scene(kind, 6)
    later = second.frame(9.0)
    assert np.array_equal(first.frame(3.0).image, second.frame(3.0).image)
    assert np.array_equal(first.frame(9.0).image, later.image)
    assert not np.array_equal(first.frame(3.0).image, other.frame(3.0).image)


@pytest.mark.parametrize("seed", range(6))
def test_a_fire_begins_at_ignition_and_grows(seed: int) -> None:
    scene = Scene("fire", seed, ignition=4.0)
    before, young, old = scene.frame(3.9), scene.frame(5.5), scene.frame(20.0)
    assert not [m for m in before.marks if m.label in ("fire", "smoke")]
    small = next(m.box for m in young.marks if m.label == "fire")
    large = next(m.box for m in old.marks if m.label == "fire")
    assert (large[2] - large[0]) * (large[3] - large[1]) > 1.5 * (small[2] - small[0]) * (small[3] - small[1])
    assert any(m.label == "smoke" for m in old.marks)


@pytest.mark.parametrize("seed", range(6))
def test_the_box_of_a_fire_holds_what_glows(seed: int) -> None:
    scene = Scene("fire", seed, ignition=0.0)
    frame = scene.frame(16.0)
    x1, y1, x2, y2 = (round(v) for v in next(m.box for m in frame.marks if m.label == "fire"))
    glowing = warm(frame.image)
    assert glowing[y1:y2, x1:x2].mean() > 0.12
    # Fire light lies on the walls too, but nowhere as thick as in the flame.
    around = glowing.copy()
    around[y1:y2, x1:x2] = False
    assert glowing[y1:y2, x1:x2].mean() > 4 * around.mean()


def test_a_flame_flickers() -> None:
    scene = Scene("fire", 3, ignition=0.0)
    heights = [next(m.box for m in scene.frame(15 + n / 10).marks if m.label == "fire")[1] for n in range(12)]
    assert max(heights) - min(heights) >= 4


@pytest.mark.parametrize("kind", ["quiet", "people"])
def test_what_is_not_a_fire_has_none(kind: Kind) -> None:
    for seed in range(4):
        assert {m.label for m in Scene(kind, seed).frame(12.0).marks} <= {"person", "vehicle"}


def test_people_walk() -> None:
    scene = Scene("people", 2)
    first, second = ([m.box for m in scene.frame(t).marks if m.label == "person"] for t in (1.0, 2.0))
    assert len(first) >= 2
    assert any(abs(a[0] - b[0]) > 15 for a, b in zip(first, second, strict=False))


def test_boxes_lie_in_the_picture() -> None:
    for kind in KINDS:
        frame = Scene(kind, 11, width=480, height=320, ignition=0.0).frame(10.0)
        assert frame.image.shape == (320, 480, 3)
        for mark in frame.marks:
            x1, y1, x2, y2 = mark.box
            assert 0 <= x1 < x2 <= 480
            assert 0 <= y1 < y2 <= 320


def test_every_picture_says_that_it_is_drawn() -> None:
    corners = [Scene(kind, seed).frame(8.0).image[:28, :70] for kind in KINDS for seed in (1, 2)]
    for corner in corners:
        bright = (corner > 200).all(-1)
        assert np.array_equal(bright, (corners[0] > 200).all(-1))
        assert bright.sum() > 100


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="scene kind 'flood' is not one of fire, quiet, people"):
        Scene("flood", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="32x32 pixels is too small"):
        Scene("fire", 1, width=32, height=32)


def test_parked_cars_are_marked_where_they_stand() -> None:
    boxes = [
        m.box
        for seed in range(12)
        for m in Scene("quiet", seed, place="street").frame(1.0).marks
        if m.label == "vehicle"
    ]
    assert len(boxes) >= 4
    for x1, y1, x2, y2 in boxes:
        assert 0 <= x1 < x2 <= 640
        assert 0 <= y1 < y2 <= 360
        assert y2 > 180
    assert not any(
        m.label == "vehicle" for seed in range(6) for m in Scene("quiet", seed, place="room").frame(1.0).marks
    )
