"""The golden pictures of the zoo's detectors: drawn, so that they may ship."""

from __future__ import annotations

import cv2
import numpy as np

from models.workshop.sets.data import Image
from vedette.drawn.crowd import square
from vedette.drawn.plate import draw_plate
from vedette.drawn.portraits import Place, portrait
from vedette.drawn.scene import Kind, Scene

SIZE = (416, 234)  # pixels; small enough to travel with every release
LARGE = (640, 480)  # a crowd's heads would be gone in less
# Name of the sample, kind and seed of the scene, where, and when (seconds).
SAMPLES: dict[str, tuple[tuple[str, Kind, int, str, float], ...]] = {
    "fire": (
        ("street", "fire", 21, "street", 17.0),
        ("room", "fire", 22, "room", 16.0),
        ("quiet", "quiet", 23, "street", 5.0),
    ),
    "person": (
        ("street", "people", 21, "street", 4.0),
        ("room", "people", 22, "room", 6.0),
        ("empty", "quiet", 23, "street", 5.0),
    ),
    "vehicle": (
        ("one", "quiet", 22, "street", 5.0),
        ("another", "quiet", 27, "street", 5.0),
        ("none", "quiet", 28, "street", 5.0),
    ),
}
PLATES: tuple[tuple[str, int, str, str], ...] = (
    ("cn-blue", 55, "川A8D2T6", "cn-blue"),
    ("cn-yellow", 44, "川B8K769", "cn-yellow"),
    ("eu", 41, "LM298AB", "eu"),
    ("none", 34, "", ""),
)
"""Name of the sample, seed of the street, what the plate says, and its kind."""
CROWDS: tuple[tuple[str, int, int], ...] = (("full", 41, 120), ("few", 42, 25), ("none", 28, 0))
"""Name of the sample, seed of the street, and people on it."""
FACES: tuple[tuple[str, int, str, tuple[Place, ...]], ...] = (
    ("two", 24, "room", ((0.28, 0.62, 0.36), (0.70, 0.53, 0.46))),
    ("one", 25, "street", ((0.36, 0.55, 0.44),)),
    ("none", 26, "room", ()),
)


def rear(seed: int, text: str, style: str) -> Image:
    """The rear of a car in a street, near the camera, with a plate or, without a text, none. HxWx3 BGR."""
    rng = np.random.default_rng(seed)
    image = Scene("quiet", seed, *SIZE, place="street").frame(5.0).image.copy()
    w, h = SIZE
    # Never in the middle: a mirrored picture must show.
    middle = round((0.5 + 0.14 * (1 if seed % 2 else -1)) * w)
    left, right, top, floor = middle - round(0.26 * w), middle + round(0.26 * w), round(0.16 * h), round(0.9 * h)
    body = tuple(int(v) for v in rng.integers(50, 150, 3))
    cv2.ellipse(image, (middle, floor), (round(0.3 * w), round(0.05 * h)), 0, 0, 360, (35, 35, 35), -1, cv2.LINE_AA)
    for x in (left + 22, right - 22):
        cv2.rectangle(image, (x - 16, floor - 34), (x + 16, floor + 4), (25, 25, 25), -1)
    cv2.rectangle(image, (left, round(0.42 * h)), (right, floor - 12), body, -1, cv2.LINE_AA)
    cabin = [(left + 12, round(0.44 * h)), (left + 40, top), (right - 40, top), (right - 12, round(0.44 * h))]
    cv2.fillPoly(image, [np.array(cabin, np.int32)], body, cv2.LINE_AA)
    glass = [(left + 30, round(0.42 * h)), (left + 52, top + 10), (right - 52, top + 10), (right - 30, round(0.42 * h))]
    cv2.fillPoly(image, [np.array(glass, np.int32)], (70, 60, 50), cv2.LINE_AA)
    for x in (left + 4, right - 34):
        cv2.rectangle(image, (x, round(0.47 * h)), (x + 30, round(0.56 * h)), (40, 30, 170), -1, cv2.LINE_AA)
    cv2.rectangle(image, (left, round(0.74 * h)), (right, floor - 12), tuple(v // 2 for v in body), -1)
    if text:
        plate = draw_plate(text, style)
        wide = round(0.2 * w)
        tall = round(wide * plate.shape[0] / plate.shape[1])
        x, y = middle - wide // 2, round(0.6 * h)
        image[y : y + tall, x : x + wide] = cv2.resize(plate, (wide, tall), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5), np.uint8)


def golden_pictures(name: str) -> list[tuple[str, Image]]:
    """Name and picture (HxWx3 BGR) of each golden sample of a detector.

    Raises `KeyError` naming the detectors that have some.
    """
    if name == "face":
        return [(sample, portrait(seed, places, *SIZE, where=where)[0]) for sample, seed, where, places in FACES]
    if name == "plate":
        return [(sample, rear(seed, text, style)) for sample, seed, text, style in PLATES]
    if name == "crowd":
        return [(sample, square(seed, people, *LARGE)) for sample, seed, people in CROWDS]
    if name not in SAMPLES:
        known = ", ".join([*SAMPLES, "plate", "crowd", "face"])
        raise KeyError(f"no golden pictures for detector '{name}'; known: {known}")
    return [
        (sample, Scene(kind, seed, *SIZE, place=place).frame(t).image) for sample, kind, seed, place, t in SAMPLES[name]
    ]
