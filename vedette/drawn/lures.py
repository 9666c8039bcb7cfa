"""Small things that are orange, yellow or red and do not burn: cones, lamps, barriers, road markings, stickers, vests.

They are painted on pictures to train with, so that a detector learns a flame by more than its colour. A lamp has
its own light; what does not shine is as bright as the place where it stands.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

from vedette.drawn.noise import Field

Rng = np.random.Generator
Kind = Callable[[Rng, Field, Field], None]

FINE = 96
"""Pixels of a side of the square in which a thing is drawn, before it is made small."""
DARK, WHITE = (0.06, 0.06, 0.07), (0.92, 0.95, 0.95)


def warm(rng: Rng, least: float = 0.0, most: float = 0.155) -> tuple[float, float, float]:
    """A colour from red (hue 0) to yellow (0.155), as blue, green, red from 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(rng.uniform(least, most), rng.uniform(0.7, 1.0), rng.uniform(0.75, 1.0))
    return blue, green, red


def _fill(colour: Field, cover: Field, points: list[tuple[float, float]], paint: tuple[float, float, float]) -> None:
    """A polygon with corners in shares of the square."""
    corners = np.array([[round(x * FINE), round(y * FINE)] for x, y in points], np.int32)
    cv2.fillPoly(colour, [corners], paint)
    cv2.fillPoly(cover, [corners], 1.0)


def _turn(points: list[tuple[float, float]], angle: float) -> list[tuple[float, float]]:
    """Points of the square turned around its middle, by radians."""
    c, s = np.cos(angle), np.sin(angle)
    return [(0.5 + c * (x - 0.5) - s * (y - 0.5), 0.5 + s * (x - 0.5) + c * (y - 0.5)) for x, y in points]


def cone(rng: Rng, colour: Field, cover: Field) -> None:
    """A traffic cone with one or two white bands."""
    paint = warm(rng, 0.02, 0.09)
    _fill(colour, cover, [(0.46, 0.04), (0.54, 0.04), (0.78, 0.88), (0.22, 0.88)], paint)
    _fill(colour, cover, [(0.08, 0.87), (0.92, 0.87), (0.96, 0.98), (0.04, 0.98)], paint)
    for top in (0.3, 0.56)[: int(rng.integers(1, 3))]:
        half, lower = 0.04 + 0.28 * top, 0.04 + 0.28 * (top + 0.14)
        _fill(
            colour,
            cover,
            [(0.5 - half, top), (0.5 + half, top), (0.5 + lower, top + 0.14), (0.5 - lower, top + 0.14)],
            WHITE,
        )


def barrier(rng: Rng, colour: Field, cover: Field) -> None:
    """A board with slanted stripes."""
    paint, other = warm(rng), DARK if rng.random() < 0.5 else WHITE
    top, bottom, lean = 0.3, rng.uniform(0.55, 0.8), rng.uniform(-0.2, 0.2)
    _fill(colour, cover, [(0.0, top), (1.0, top), (1.0, bottom), (0.0, bottom)], paint)
    count = int(rng.integers(2, 6))
    for n in range(count):
        x, wide = (n + 0.2) / count, 0.5 / count
        _fill(colour, cover, [(x, top), (x + wide, top), (x + wide + lean, bottom), (x + lean, bottom)], other)
    cover[: int(top * FINE)] = cover[int(bottom * FINE) + 1 :] = 0


def marking(rng: Rng, colour: Field, cover: Field) -> None:
    """A line, an arrow head or a bar painted on a road, seen at a slant."""
    paint, wide, far = warm(rng, 0.04), rng.uniform(0.06, 0.3), rng.uniform(0.3, 1.0)
    shape = [(0.5 - wide, 0.97), (0.5 + wide, 0.97), (0.5 + wide * far, 0.05), (0.5 - wide * far, 0.05)]
    if rng.random() < 0.3:
        shape = [(0.1, 0.5), (0.5, 0.1), (0.9, 0.5), (0.65, 0.5), (0.65, 0.95), (0.35, 0.95), (0.35, 0.5)]
    _fill(colour, cover, _turn(shape, rng.uniform(-1.6, 1.6)), paint)


def sticker(rng: Rng, colour: Field, cover: Field) -> None:
    """A sign, a label, a poster or a book: one colour, with lines or a disc of another."""
    wide, tall, angle = rng.uniform(0.25, 0.48), rng.uniform(0.25, 0.48), rng.uniform(-0.5, 0.5)

    def place(x: float, y: float, w: float, h: float) -> list[tuple[float, float]]:
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        return _turn([(0.5 + (2 * a - 1) * wide, 0.5 + (2 * b - 1) * tall) for a, b in corners], angle)

    _fill(colour, cover, place(0, 0, 1, 1), warm(rng))
    ink = (DARK, WHITE, warm(rng))[int(rng.integers(3))]
    if rng.random() < 0.4:
        cv2.circle(colour, (FINE // 2, FINE // 2), int(FINE * min(wide, tall) * rng.uniform(0.3, 0.8)), ink, -1)
        return
    for n in range(int(rng.integers(0, 4))):
        _fill(colour, cover, place(0.12, 0.15 + 0.22 * n, rng.uniform(0.3, 0.76), 0.1), ink)


def vest(rng: Rng, colour: Field, cover: Field) -> None:
    """The vest of a worker: two reflecting bands, open in the middle."""
    paint = warm(rng, 0.03, 0.2)
    _fill(colour, cover, [(0.25, 0.02), (0.75, 0.02), (0.85, 0.98), (0.15, 0.98)], paint)
    for y in (0.4, 0.7):
        _fill(colour, cover, [(0.2, y), (0.8, y), (0.81, y + 0.1), (0.19, y + 0.1)], (0.75, 0.78, 0.78))
    _fill(colour, cover, [(0.44, 0.0), (0.56, 0.0), (0.53, 0.98), (0.47, 0.98)], DARK)


def ball(rng: Rng, colour: Field, cover: Field) -> None:
    """Something round: fruit, a balloon, a float; light from above."""
    y, x = np.mgrid[0:FINE, 0:FINE].astype(np.float32) / FINE - 0.5
    light = 1.05 - 1.2 * ((x + 0.1) ** 2 + (y + 0.18) ** 2)
    colour[:] = np.array(warm(rng), np.float32) * light[..., None]
    cover[:] = (x * x + y * y < 0.23).astype(np.float32)


def lamp(rng: Rng, colour: Field, cover: Field) -> None:
    """An indicator, a lantern or a pair of tail lights: bright in the middle, with a glow around it."""
    y, x = np.mgrid[0:FINE, 0:FINE].astype(np.float32) / FINE - 0.5
    paint = np.array(warm(rng, 0.0, 0.13), np.float32)
    for side in (0.0,) if rng.random() < 0.6 else (-0.36, 0.36):
        reach = rng.uniform(0.16, 0.3) if not side else rng.uniform(0.06, 0.13)
        away = np.hypot(x - side, y * rng.uniform(0.8, 1.6)).astype(np.float32) / np.float32(reach)
        burnt = np.exp(-((away / rng.uniform(0.2, 0.6)) ** 4))
        colour += paint * np.exp(-(away**2))[..., None]
        colour += (1 - paint) * np.float32(rng.uniform(0.3, 1.0)) * burnt[..., None]
    cover[:] = np.clip(colour.max(-1), 0, 1)
    colour /= np.maximum(cover, 1e-3)[..., None]


UNLIT: tuple[Kind, ...] = (cone, barrier, marking, sticker, vest, ball)


def paint_lure(rng: Rng, canvas: Field, x: float, y: float, tall: float) -> None:
    """Paint one thing, `tall` pixels high with its middle at (`x`, `y`), into `canvas` (HxWx3, BGR, 0 to 1), in place.

    What would not lie in the canvas as a whole is not painted.
    """
    wide = tall * float(rng.uniform(0.6, 1.6))
    left, top, w, h = round(x - wide / 2), round(y - tall / 2), max(3, round(wide)), max(3, round(tall))
    if left < 0 or top < 0 or left + w > canvas.shape[1] or top + h > canvas.shape[0]:
        return
    colour, cover = np.zeros((FINE, FINE, 3), np.float32), np.zeros((FINE, FINE), np.float32)
    shines = rng.random() < 0.3
    kind = lamp if shines else UNLIT[int(rng.integers(len(UNLIT)))]
    kind(rng, colour, cover)
    # Colours are weighed by their cover, so that no edge takes in the black around it.
    colour = np.asarray(cv2.resize(colour * cover[..., None], (w, h), interpolation=cv2.INTER_AREA), np.float32)
    cover = np.asarray(cv2.resize(cover, (w, h), interpolation=cv2.INTER_AREA), np.float32)
    soft = float(rng.uniform(0.2, 0.9))
    colour, cover = (np.asarray(cv2.GaussianBlur(part, (0, 0), soft), np.float32) for part in (colour, cover))
    patch = canvas[top : top + h, left : left + w]
    light = 1.0 if shines else float(np.clip(2.0 * patch.mean(), 0.3, 1.1))
    patch[:] = patch * (1 - cover[..., None]) + colour * np.float32(light)
