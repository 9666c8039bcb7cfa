"""Pictures as bad cameras give them: turned, out of focus, dark, crushed by compression.

What there is to see in a picture stays what it is, and moves with it: boxes become those around the turned boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.workshop.sets.data import Image, Picture, Truth, read_pixels

ANGLE: Final = 8.0
"""Degrees by which a picture is turned, as a camera that hangs askew."""
SIGMA: Final = 1 / 500
"""Standard deviation of the blur, as a share of the picture's longer side."""
LIGHT: Final = 0.2
"""Share of the light that is left."""
NOISE: Final = 4.0
"""Standard deviation of the noise in the dark, of 255."""
QUALITY: Final = 10
"""Of JPEG, 1 to 100."""
WORDS: Final = {
    "turned": f"turned by {ANGLE:g} degrees",
    "blurred": f"blurred, standard deviation {SIGMA:.1%} of the longer side",
    "dark": f"{LIGHT:.0%} of the light, with noise",
    "jpeg": f"JPEG of quality {QUALITY}",
}


@dataclass(frozen=True)
class Degraded(Picture):
    """A picture that is shown in another way; its size, boxes and heads are those of what is shown."""

    way: str = ""

    def read(self, decode: Callable[[Path], Image] = read_pixels) -> Image:
        """The pixels as they are shown, HxWx3 BGR."""
        return spoil(super().read(decode), self.way)


def degrade(pictures: Sequence[Picture], way: str) -> list[Picture]:
    """The pictures in one of the ways of `WORDS`."""
    return [_degraded(picture, way) for picture in pictures]


def spoil(image: Image, way: str) -> Image:
    """A picture (HxWx3 BGR), in one of the ways."""
    h, w = image.shape[:2]
    if way == "turned":
        matrix, width, height = _turn(w, h)
        turned = cv2.warpAffine(image, matrix, (width, height), borderValue=(114, 114, 114))
        return np.asarray(turned, np.uint8)
    if way == "blurred":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(w, h) * SIGMA), np.uint8)
    if way == "dark":
        noise = np.random.default_rng([w, h]).normal(0, NOISE, image.shape)
        return np.clip(image * LIGHT + noise, 0, 255).astype(np.uint8)
    if way == "jpeg":
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    raise ValueError(f"'{way}' is not one of {', '.join(WORDS)}")


def _turn(width: int, height: int) -> tuple[NDArray[np.float64], int, int]:
    """The matrix that turns a picture about its middle, and the sides of what then holds all of it."""
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), ANGLE, 1.0), np.float64)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    wide, high = round(width * cos + height * sin), round(width * sin + height * cos)
    matrix[:, 2] += ((wide - width) / 2, (high - height) / 2)
    return matrix, wide, high


def _degraded(picture: Picture, way: str) -> Degraded:
    kept = {name: getattr(picture, name) for name in Picture.__dataclass_fields__}
    if way == "turned":
        matrix, wide, high = _turn(picture.width, picture.height)
        heads = None if picture.heads is None else tuple(_moved(picture.heads, matrix))
        truths = tuple(Truth(t.label, _around(t.box, matrix)) for t in picture.truths)
        kept |= {"width": wide, "height": high, "heads": heads, "truths": truths}
    return Degraded(**kept, way=way)


def _moved(points: Sequence[tuple[float, float]], matrix: NDArray[np.float64]) -> list[tuple[float, float]]:
    found = np.array(points, np.float64).reshape(-1, 2) @ matrix[:, :2].T + matrix[:, 2]
    return [(float(x), float(y)) for x, y in found]


def _around(box: tuple[float, float, float, float], matrix: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    corners = np.array(_moved([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], matrix))
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    return float(left), float(top), float(right), float(bottom)
