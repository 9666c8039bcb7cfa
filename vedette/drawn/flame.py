"""Flames: noise that rises through a drop-shaped body, coloured by heat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette.drawn.noise import Field, sample, tile

Box = tuple[float, float, float, float]
# Heat 0..1 to light (blue, green, red; 1 = white of the sensor, more saturates): glowing soot looks deep red, orange,
# yellow, and burns out to near white where it is thickest.
HEAT = np.array([0.0, 0.18, 0.38, 0.58, 0.78, 1.0])
LIGHT = np.array(
    [
        [0.00, 0.00, 0.00],
        [0.01, 0.05, 0.42],
        [0.02, 0.25, 0.95],
        [0.07, 0.58, 1.25],
        [0.30, 0.98, 1.40],
        [0.85, 1.30, 1.50],
    ]
)

LIGHT_TABLE = np.stack([np.interp(np.linspace(0, 1, 512), HEAT, LIGHT[:, c]) for c in range(3)], -1).astype(np.float32)


@dataclass(frozen=True)
class Tongue:
    """One tongue of a fire, in units of the fire's width and height."""

    offset: float
    width: float
    height: float
    speed: float
    phase: float


class Flame:
    """A fire that stands at (`x`, `y`), the middle of its foot, in pixels."""

    def __init__(self, rng: np.random.Generator, x: float, y: float) -> None:
        self.x, self.y = x, y
        self.coarse, self.fine = tile(rng, 4, 4), tile(rng, 8, 5)
        count = int(rng.integers(5, 9))
        self.tongues = tuple(
            Tongue(
                offset=float(o + rng.uniform(-0.06, 0.06)),
                width=float(rng.uniform(0.20, 0.36)),
                height=float((1 - 0.5 * abs(o) * 2) * rng.uniform(0.6, 1.1)),
                speed=float(rng.uniform(0.9, 1.5)),
                phase=float(rng.uniform(0, 100)),
            )
            for o in np.linspace(-0.38, 0.38, count)
        )

    def flicker(self, t: float) -> float:
        """The fire's strength at time `t` (seconds), about 1: large fires puff at one to a few hertz."""
        return (
            1
            + 0.10 * math.sin(2 * math.pi * 2.3 * t + self.tongues[0].phase)
            + 0.07 * math.sin(2 * math.pi * 3.9 * t + self.tongues[-1].phase)
        )

    def heat(self, t: float, width: float, height: float, shape: tuple[int, int]) -> tuple[Field, tuple[int, int]]:
        """Heat from 0 to 1 around the fire, and the left and top of that patch in the picture of `shape` (h, w)."""
        height *= self.flicker(t)
        left, right = int(self.x - 1.1 * width), int(self.x + 1.1 * width) + 1
        top, bottom = int(self.y - 1.5 * height), int(self.y + 0.12 * height) + 1
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, shape[1]), min(bottom, shape[0])
        if right - left < 2 or bottom - top < 2:
            return np.zeros((0, 0), np.float32), (left, top)
        px, py = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
        u = (px - np.float32(self.x)) / np.float32(width)
        v = (np.float32(self.y) - py) / np.float32(height)
        grain = 58.0 * width / max(height, width)
        total = np.zeros_like(u)
        for tongue in self.tongues:
            rise = t * tongue.speed
            # The noise stretches upwards and is carried up; the higher, the more it bends the tongue.
            slow = sample(self.coarse, u * grain + tongue.phase * 7, v * 42 - 0 + rise * 95 + tongue.phase)
            quick = sample(self.fine, u * grain * 1.7 + tongue.phase * 3, v * 60 + rise * 170)
            up = np.clip(v, 0, None)
            bend = (slow - 0.5) * 0.95 * up + (quick - 0.5) * 0.22 * np.sqrt(up)
            w = v / np.float32(tongue.height)
            profile = tongue.width * np.clip(1.02 - w, 0, 1) ** 0.62 * (0.62 + 0.75 * np.clip(w, 0, 1) ** 0.7)
            reach = np.abs(u - tongue.offset * (1 - 0.45 * np.clip(w, 0, 1)) + bend) / np.maximum(profile, 1e-3)
            body = np.clip(1.08 - reach, 0, 1) * np.clip(1.25 - w, 0, 1)
            tear = np.clip(1.35 - 1.25 * (1 - quick) * np.clip(w, 0, 1) - 0.5 * (1 - slow) * up, 0, 1)
            total = 1 - (1 - total) * (1 - np.clip(body * tear * 0.9, 0, 1))
        # Gas burns out towards the tips and in patches; the foot ends softly on what burns.
        patches = sample(self.fine, u * grain * 0.9 + 31, v * 38 + t * 120)
        total *= (0.66 + 0.5 * patches) * np.clip(1.12 - 0.42 * np.clip(v, 0, None), 0, 1)
        total *= np.clip(0.75 + v * 16 - 1.2 * (u / 0.75) ** 2 * np.clip(1 - v * 6, 0, 1), 0, 1)
        return np.clip(total, 0, 1).astype(np.float32), (left, top)

    def paint(self, canvas: NDArray[np.float32], t: float, width: float, height: float) -> Box | None:
        """Add the fire, and the bloom it leaves on a lens, to a canvas of light (HxWx3, 0 to 1).

        Returns its box in pixels, or None if it is too small to be seen.
        """
        if width < 3 or height < 4:
            return None
        heat, (left, top) = self.heat(t, width, height, (canvas.shape[0], canvas.shape[1]))
        if not heat.size:
            return None
        light = LIGHT_TABLE[(heat * (len(LIGHT_TABLE) - 1)).astype(np.int32)]
        cover = np.clip((heat - 0.08) * 2.4, 0, 0.94)[..., None]
        patch = canvas[top : top + heat.shape[0], left : left + heat.shape[1]]
        patch[:] = patch * (1 - cover) + light
        bloom(canvas, light, left, top, max(2.0, height * 0.10))
        return box_of(heat > 0.2, left, top)


def bloom(canvas: NDArray[np.float32], light: NDArray[np.float32], left: int, top: int, spread: float) -> None:
    """Add a blurred copy of a patch of light that lies at (`left`, `top`); it reaches out to three times `spread`."""
    coarse = max(1, int(spread / 3))
    edge = int(spread * 3 / coarse) + 1
    small = cv2.resize(light, None, fx=1 / coarse, fy=1 / coarse, interpolation=cv2.INTER_AREA)
    small = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    small = cv2.GaussianBlur(small, (0, 0), spread / coarse)
    wide = np.asarray(cv2.resize(small, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_LINEAR), np.float32)
    x, y = left - edge * coarse, top - edge * coarse
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + wide.shape[1], canvas.shape[1]), min(y + wide.shape[0], canvas.shape[0])
    canvas[y0:y1, x0:x1] += 0.30 * wide[y0 - y : y1 - y, x0 - x : x1 - x]


def box_of(mask: NDArray[np.bool_], left: float, top: float, scale: float = 1.0) -> Box | None:
    """The box around a mask, without the thinnest wisps (half a percent of rows and columns at each side)."""
    rows, columns = mask.sum(1, dtype=np.float64), mask.sum(0, dtype=np.float64)
    if rows.sum() < 12:
        return None
    x0, x1 = span(columns)
    y0, y1 = span(rows)
    return (left + x0 * scale, top + y0 * scale, left + x1 * scale, top + y1 * scale)


def span(weight: NDArray[np.float64]) -> tuple[int, int]:
    """First and one past the last index that hold the middle 99 % of a weight."""
    share = np.cumsum(weight) / weight.sum()
    return int(np.searchsorted(share, 0.005)), int(np.searchsorted(share, 0.995)) + 1
