"""The picture of a plate, cut out and set straight, for readers that expect characters on a level line."""

from __future__ import annotations

from math import cos, radians, sin, tan

import cv2
import numpy as np

from contract.detections import Box
from edge.vision.picture import Bgr

MARGIN = 0.02, 0.04
"""Share of the plate's width and height that is left around it: characters touch its edges, and boxes are rough."""
STEEPEST, STEP = 20, 2
"""Degrees up to which a slant is looked for, and between two that are tried."""
CLEARER = 1.2
"""How much more uneven than level rows those of a slant must be: bumpers and grilles have lines of their own."""
TALL, LONG = 48, 2000
"""Pixels of height at which slants are tried, and of width at most."""
ROUNDEST = 1.2
"""Width over height of a plate, at least: a box that leaves less to a slant is not slanted so far."""


def cut_out(image: Bgr, box: Box, angle: float = 0.0) -> Bgr:
    """The plate in `box` (shares of the picture, HxWx3 BGR), turned back by `angle` degrees (see `slant`).

    Raises `ValueError` for a box without a pixel in the picture.
    """
    x1, y1, x2, y2 = _pixels(image, box)
    wide, tall = straight(x2 - x1, y2 - y1, angle)
    return _turned(image, ((x1 + x2) / 2, (y1 + y2) / 2), angle, wide * (1 + 2 * MARGIN[0]), tall * (1 + 2 * MARGIN[1]))


def grown(box: Box, share: float) -> Box:
    """A box (shares of the picture) with so much of its sides more on each side, less where negative."""
    x1, y1, x2, y2 = box
    across, down = share * (x2 - x1), share * (y2 - y1)
    return (x1 - across, y1 - down, x2 + across, y2 + down)


def _pixels(image: Bgr, box: Box) -> tuple[float, float, float, float]:
    h, w = image.shape[:2]
    x1, y1, x2, y2 = box[0] * w, box[1] * h, box[2] * w, box[3] * h
    if min(x2, w) - max(x1, 0) < 1 or min(y2, h) - max(y1, 0) < 1:
        raise ValueError(f"plate box {tuple(round(side, 3) for side in box)} has no pixel in a picture of {w}x{h}")
    return x1, y1, x2, y2


def straight(wide: float, tall: float, angle: float) -> tuple[float, float]:
    """Width and height of the plate that, turned by `angle` degrees, fills a box of `wide` x `tall`."""
    c, s = cos(radians(angle)), abs(sin(radians(angle)))
    return (wide * c - tall * s) / (c * c - s * s), (tall * c - wide * s) / (c * c - s * s)


def slant(image: Bgr, box: Box) -> float:
    """Degrees by which the line of the plate in `box` falls to the right, 0 where no slant is clearer than none.

    The rims of a plate, and the heads and feet of its characters, are edges along its line. Where the plate is level
    they fall into few rows; the slant with the most uneven rows is the plate's. Raises `ValueError` as `cut_out` does.
    """
    x1, y1, x2, y2 = _pixels(image, box)
    wide, tall = x2 - x1, y2 - y1
    scale = min(TALL / tall, LONG / wide)
    level = _turned(image, ((x1 + x2) / 2, (y1 + y2) / 2), 0.0, wide, tall, scale)
    edges = np.abs(cv2.Sobel(cv2.cvtColor(level, cv2.COLOR_BGR2GRAY), cv2.CV_32F, 0, 1, ksize=3))
    h, w = edges.shape
    best, found = 0.0, 0.0
    for angle in range(-STEEPEST, STEEPEST + 1, STEP):
        long, high = straight(wide, tall, angle)
        if long < ROUNDEST * high or high < 0.25 * tall:
            continue
        fall = tan(radians(angle))
        sheared = cv2.warpAffine(edges, np.array([[1, 0, 0], [-fall, 1, fall * w / 2]], np.float64), (w, h))
        rows = sheared.sum(1)
        uneven = float((rows * rows).sum() / max(rows.sum(), 1e-6) ** 2) * h
        uneven *= 1.0 if angle else CLEARER
        if uneven > best:
            best, found = uneven, float(angle)
    return found


def _turned(image: Bgr, middle: tuple[float, float], angle: float, wide: float, tall: float, scale: float = 1.0) -> Bgr:
    """A rectangle of the picture around `middle`, turned by `angle`, what lies outside filled from the edge."""
    c, s = cos(radians(angle)), sin(radians(angle))
    size = max(4, round(wide * scale)), max(4, round(tall * scale))
    # From the cut to the picture: each pixel of the cut says where it comes from.
    back = np.array([[c, -s], [s, c]]) / scale
    start = np.array(middle) - back @ ((np.array(size) - 1) / 2)
    return np.asarray(
        cv2.warpAffine(
            image,
            np.column_stack([back, start]),
            size,
            flags=(cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )
