"""The gate saves work on still pictures, and never hides a fire."""

import xml.etree.ElementTree as ElementTree

import numpy as np

from edge.vision.motion import Background, evaluate, to_luma, worth_looking

from .clips import clip, frames


def scene(height: int = 360, width: int = 640) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    grey = (100 + 40 * np.sin(columns / 50) * np.cos(rows / 40)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def looks(pictures) -> list[bool]:
    background: Background | None = None
    last = float("-inf")
    decisions = []
    for now, image in pictures:
        background, motion = evaluate(background, to_luma(image), now)
        look = worth_looking(motion, now - last, alert=False)
        last = now if look else last
        decisions.append(look)
    return decisions


def test_a_still_picture_is_looked_at_once_a_second():
    decisions = looks((step * 0.1, scene()) for step in range(101))
    assert 10 <= sum(decisions) <= 12


def test_noise_of_a_camera_is_no_motion():
    random = np.random.default_rng(3)
    noisy = (
        (step * 0.1, np.clip(scene() + random.normal(0, 8, (360, 640, 1)), 0, 255).astype(np.uint8))
        for step in range(101)
    )
    assert sum(looks(noisy)) <= 13


def test_a_small_thing_that_moves_is_looked_at_at_every_frame():
    def moving(step: int) -> np.ndarray:
        image = scene()
        image[200:216, step * 4 : step * 4 + 16] = 255
        return image

    assert sum(looks((step * 0.1, moving(step)) for step in range(100))) >= 95


def test_while_something_is_suspected_every_frame_is_looked_at():
    background, _ = evaluate(None, to_luma(scene()), 0.0)
    _, motion = evaluate(background, to_luma(scene()), 0.1)
    assert not worth_looking(motion, 0.1, alert=False)
    assert worth_looking(motion, 0.1, alert=True)


def test_another_size_of_picture_starts_anew():
    background, _ = evaluate(None, to_luma(scene()), 0.0)
    _, motion = evaluate(background, to_luma(scene(240, 320)[:, :160]), 0.1)
    assert motion.moves


def test_one_row_of_pixels_has_a_luma():
    assert to_luma(np.zeros((1, 640, 3), np.uint8)).shape == (1, 160)


def burning_frames() -> dict[int, list[tuple[float, float, float, float]]]:
    root = ElementTree.parse(clip("house6.xml")).getroot()
    boxes = {}
    for frame in root.find("frames"):
        values = [[int(n) for n in (a.text or "").split()] for a in frame.find("annotations")]
        boxes[int(frame.findtext("frameNumber"))] = [
            (x / 426, y / 240, (x + w) / 426, (y + h) / 240) for x, y, w, h in values
        ]
    return boxes


def test_a_real_fire_is_never_hidden_longer_than_a_second():
    burning = burning_frames()
    pictures = list(frames(clip("house6.mp4"), 10.0))
    decisions = looks(pictures)
    last = 0.0
    for (now, _), look in zip(pictures, decisions, strict=True):
        last = now if look else last
        assert now - last < 1.0 or not burning.get(round(now * 29.97))
    share = sum(decisions) / len(decisions)
    print(f"house6.mp4 at 10 frames a second: {share:.0%} looked at")
    assert share > 0.8


def test_an_empty_room_costs_few_looks_and_a_person_in_it_is_seen_at_once():
    pictures = list(frames(clip("one-by-one-person-detection.mp4"), 10.0, limit=230))
    decisions = looks(pictures)
    empty = [look for (now, _), look in zip(pictures, decisions, strict=True) if now <= 5.8]
    somebody = [look for (now, _), look in zip(pictures, decisions, strict=True) if 6.5 <= now <= 19.0]
    print(f"empty: {sum(empty)} of {len(empty)} looked at; somebody: {sum(somebody)} of {len(somebody)}")
    assert sum(empty) <= len(empty) * 0.15
    assert sum(somebody) >= len(somebody) * 0.9
