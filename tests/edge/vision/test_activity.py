"""Flames and drifting smoke live; walls, lamps and photographs do not."""

import numpy as np

from edge.vision.activity import Activity
from edge.vision.motion import to_luma

from .clips import clip, frames
from .test_motion import burning_frames

BOX = (0.25, 0.25, 0.5, 0.5)


def watch(brightness, seconds: float = 20.0) -> Activity:
    """A scene whose box has ``brightness(time)``, seen five times a second by a camera with noise."""
    random, activity = np.random.default_rng(1), Activity()
    for step in range(round(seconds * 5)):
        luma = random.normal(100, 0.7, (90, 160))
        luma[22:45, 40:80] += brightness(step / 5) - 100
        activity.update(np.clip(luma, 0, 255).astype(np.uint8), step / 5)
    return activity


def test_a_still_thing_however_bright_has_only_the_cameras_noise():
    assert watch(lambda now: 240).within(BOX) < 1.0


def test_a_flickering_thing_lives_and_what_lies_beside_it_does_not():
    activity = watch(lambda now: 200 + 30 * np.sin(now * 17))
    assert activity.within(BOX) > 5.0
    assert activity.within((0.6, 0.6, 0.9, 0.9)) < 1.0


def test_smoke_that_thickens_slowly_lives():
    assert watch(lambda now: 100 + now).within(BOX) > 3.0


def test_a_box_smaller_than_a_pixel_and_one_at_the_edge_have_an_activity():
    activity = watch(lambda now: 200 + 30 * np.sin(now * 17))
    assert activity.within((0.3, 0.3, 0.3001, 0.3001)) > 5.0
    assert activity.within((1.0, 1.0, 1.0, 1.0)) < 1.0
    assert Activity().within(BOX) == 0.0


def test_an_exposure_that_changes_makes_nothing_live():
    random, activity = np.random.default_rng(1), Activity()
    for step in range(100):
        luma = random.normal(100 + 20 * np.sin(step / 5), 0.7, (90, 160))
        activity.update(np.clip(luma, 0, 255).astype(np.uint8), step / 5)
    assert activity.within(BOX) < 1.0


def test_what_passes_through_a_corner_does_not_make_the_rest_live():
    random, activity = np.random.default_rng(1), Activity()
    for step in range(100):
        luma = random.normal(100, 0.7, (90, 160))
        luma[40:, step % 40 + 40 : step % 40 + 52] = 220
        activity.update(np.clip(luma, 0, 255).astype(np.uint8), step / 5)
    assert activity.within(BOX) < 1.0
    assert activity.within((0.4, 0.6, 0.5, 0.9)) > 5.0


def test_real_flames_live():
    burning, activity, found = burning_frames(), Activity(), []
    for now, image in frames(clip("house6.mp4"), 5.0):
        activity.update(to_luma(image), now)
        if now > 1.0:
            found += [activity.within(box) for box in burning.get(round(now * 29.97), [])]
    assert len(found) > 500
    assert np.percentile(found, 2) > 2.0
