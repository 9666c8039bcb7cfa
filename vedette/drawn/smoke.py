"""Smoke: puffs that rise, drift and spread, with noise for their edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette.drawn.flame import Box, box_of
from vedette.drawn.noise import Field, plane, tile

COARSE = 4  # smoke is soft: it is summed at a quarter of the resolution
RATE = 9.0  # puffs a second
SHOWN = 0.22  # cover at which smoke can be seen


class Smoke:
    """The plume of a fire whose foot is at (`x`, `y`) pixels."""

    def __init__(self, rng: np.random.Generator, x: float, y: float, unit: float) -> None:
        self.x, self.y, self.unit = x, y, unit
        self.wind = float(rng.uniform(-0.35, 0.35))
        self.shade = float(rng.uniform(0.10, 0.55))
        self.thick = float(rng.uniform(0.72, 0.97))
        self.detail = tile(rng, 4, 6)
        self.jitter = rng.normal(0, 1, (4096, 3)).astype(np.float32)

    def cover(self, t: float, start: float, strength: float, shape: tuple[int, int]) -> Field:
        """How much of what lies behind is hidden, 0 to 1, for a picture of `shape` (h, w); `start` is when it began."""
        height, width = shape[0] // COARSE, shape[1] // COARSE
        density = np.zeros((height, width), np.float32)
        age_max = 7.0
        first, last = max(0, int((t - age_max - start) * RATE)), int((t - start) * RATE)
        for n in range(first, last + 1):
            born = start + n / RATE
            age = t - born
            if age <= 0:
                continue
            j = self.jitter[n % 4096]
            # Young smoke is as strong as the fire was when it left it.
            grown = min(1.0, (born - start + 0.6) / 8.0)
            rise = self.unit * (0.62 * age + 0.20 * age**0.5) * (0.7 + 0.3 * grown)
            x = self.x + j[0] * 0.10 * self.unit * (1 + age * 0.4) + self.wind * self.unit * age**1.25 * 0.55
            y = self.y - rise - 0.25 * self.unit * grown
            radius = self.unit * (0.10 + 0.115 * age) * (0.65 + 0.45 * grown) * (1 + 0.15 * j[1])
            weight = strength * grown * np.exp(-age / 3.6) * min(1.0, age * 3)
            puff(density, x / COARSE, y / COARSE, max(radius / COARSE, 1.0), float(weight))
        # Detail at half of the resolution is enough for smoke.
        half = (shape[1] // 2, shape[0] // 2)
        full = cv2.resize(density, half, interpolation=cv2.INTER_CUBIC)
        zoom = self.unit / 68
        swirl = plane(self.detail, *half, zoom, (-self.wind * t * 9, t * 30))
        slow = plane(self.detail, *half, zoom * 2.3, (50 - self.wind * t * 5, t * 14))
        rough = np.clip(full, 0, None) * (0.12 + 1.15 * swirl * np.sqrt(swirl) + 0.7 * slow)
        cover = cv2.resize(self.thick * (1 - np.exp(-2.3 * rough)), shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(cover, np.float32)

    def paint(
        self, canvas: NDArray[np.float32], cover: Field, light: NDArray[np.float32], fire_glow: Field
    ) -> Box | None:
        """Lay smoke over a canvas (HxWx3, 0 to 1), lit by the scene (`light`, BGR) and from below by the fire."""
        half = (canvas.shape[1] // 2, canvas.shape[0] // 2)
        detail = cv2.resize(plane(self.detail, *half, self.unit / 40), canvas.shape[1::-1])
        tone = (self.shade * (0.72 + 0.5 * detail))[..., None] * light
        tone = tone + fire_glow[..., None] * np.array([0.10, 0.34, 0.75], np.float32)
        canvas[:] = canvas * (1 - cover[..., None]) + tone * cover[..., None]
        return box_of(cover > SHOWN, 0, 0)


def puff(density: Field, x: float, y: float, radius: float, weight: float) -> None:
    """Add one soft ball to a density, in its own pixels."""
    reach = int(radius * 2.2) + 1
    x0, x1 = max(0, int(x) - reach), min(density.shape[1], int(x) + reach + 1)
    y0, y1 = max(0, int(y) - reach), min(density.shape[0], int(y) + reach + 1)
    if x1 <= x0 or y1 <= y0:
        return
    dx = (np.arange(x0, x1, dtype=np.float32) - x) / radius
    dy = (np.arange(y0, y1, dtype=np.float32) - y) / radius
    density[y0:y1, x0:x1] += weight * np.exp(-(dy[:, None] ** 2)) * np.exp(-(dx[None] ** 2))
