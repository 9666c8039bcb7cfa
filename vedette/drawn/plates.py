"""Chinese plates on real cars: pictures to train with, where there are only plates of Europe and America.

The plates of a picture are covered by others, cut out of pictures of Chinese cars; some are given the colours of other
Chinese plates. What is there besides, a detector sees as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from models.workshop.sets.data import Image, Picture, Truth

GROWN = 0.06
"""Share by which a new plate is larger than the old one, to cover it."""
LEAST = 8.0
"""Width in pixels of an old plate, at least; smaller ones stay as they are."""
YELLOW, GREEN = 0.25, 0.15
"""Shares of plates with these colours: blue ones have the others."""


def plate_set(
    pictures: Sequence[Picture], plates: Sequence[Picture], count: int, seed: int
) -> Iterator[tuple[str, str, Image, list[Truth]]]:
    """`count` pictures, each of one of `pictures` with plates of `plates` over its own: as `write_set` takes them.

    Raises `ValueError` when no picture shows a plate.
    """
    known = [p for p in pictures if any(t.label == "plate" for t in p.truths)]
    if not known or not plates:
        raise ValueError("no picture with a plate to cover, or no plate to cover it with")
    crops: dict[int, Image] = {}
    for n in range(count):
        rng = np.random.default_rng([seed, n])
        picture = known[int(rng.integers(len(known)))]
        image = picture.read()
        sx, sy = image.shape[1] / picture.width, image.shape[0] / picture.height
        truths = []
        for truth in picture.truths:
            if truth.label != "plate":
                continue
            box = np.array(truth.box) * [sx, sy, sx, sy]
            if box[2] - box[0] >= LEAST:
                chosen = int(rng.integers(len(plates)))
                if chosen not in crops:
                    crops[chosen] = plates[chosen].read()
                box = cover(rng, image, coloured(rng, crops[chosen]), box)
            truths.append(Truth("plate", (float(box[0]), float(box[1]), float(box[2]), float(box[3]))))
        yield f"plated-{n}.jpg", "train", image, truths


def coloured(rng: np.random.Generator, plate: Image) -> Image:
    """A blue plate as it is, or as a yellow or green one with dark characters."""
    drawn = rng.random()
    if drawn >= YELLOW + GREEN:
        return plate
    # The negative of a blue plate with white characters is a yellow one with black characters.
    turned = np.asarray(255 - plate, np.uint8)
    if drawn < GREEN:
        hsv = cv2.cvtColor(turned, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(35, 50))) % 180
        hsv[..., 1] = (hsv[..., 1] * rng.uniform(0.4, 0.8)).astype(np.uint8)
        turned = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)
    return turned


def cover(rng: np.random.Generator, image: Image, plate: Image, box: np.ndarray) -> np.ndarray:
    """Put a plate over a box (x1, y1, x2, y2 in pixels), a little larger and a little turned, in place.

    Returns the box that holds it, cut to the picture.
    """
    h, w = image.shape[:2]
    middle, sides = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * (1 + GROWN)
    x1, y1 = np.floor(middle - sides).astype(int)
    x2, y2 = np.ceil(middle + sides).astype(int)
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, w), min(y2, h)
    patch = image[top:bottom, left:right]
    angle = rng.normal(0, 0.05)
    c, s = np.cos(angle), np.sin(angle)
    ph, pw = plate.shape[:2]
    turn = np.array([[c, -s], [s, c]]) @ np.diag(sides / [pw, ph])
    start = middle - [left, top] - turn @ [pw / 2, ph / 2]
    matrix = np.column_stack([turn, start])
    size = (patch.shape[1], patch.shape[0])
    ink = cv2.warpAffine(plate, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    mask = cv2.warpAffine(np.ones((ph, pw), np.float32), matrix, size, flags=cv2.INTER_LINEAR)
    inside = mask > 0.5
    if inside.any():
        # As bright as what it covers, more or less: a plate in the shade stays in the shade.
        light = (patch[inside].mean() + 20) / (ink[inside].mean() + 20)
        ink *= np.clip(light, 0.5, 1.6) * rng.uniform(0.85, 1.15)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.6)[..., None]
    patch[:] = np.clip(patch * (1 - mask) + ink * mask, 0, 255).astype(np.uint8)
    corners = np.array([[0, 0], [pw, 0], [pw, ph], [0, ph]]) @ turn.T + start + [left, top]
    return np.concatenate([corners.min(0), corners.max(0)]).clip(0, [w, h, w, h])
