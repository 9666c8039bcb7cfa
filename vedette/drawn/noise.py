"""Smooth noise that flames, smoke and surfaces are made of."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
PERIOD = 256  # pixels after which a tile repeats


def tile(rng: np.random.Generator, coarse: int = 4, octaves: int = 5) -> Field:
    """A `PERIOD` x `PERIOD` field from 0 to 1 that repeats without a seam.

    Sums `octaves` of value noise, each twice as fine and half as strong as the one before (Perlin's fractal sum);
    `coarse` is the number of cells of the first.
    """
    total = np.zeros((PERIOD, PERIOD), np.float32)
    for octave in range(octaves):
        cells = coarse * 2**octave
        if cells > PERIOD:
            break
        grid = rng.random((cells, cells), np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        step = PERIOD // cells
        fine = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += np.asarray(fine, np.float32)[2 * step : 2 * step + PERIOD, 2 * step : 2 * step + PERIOD] / 2**octave
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / (high - low), 0, 1), np.float32)


def sample(field: Field, x: Field, y: Field) -> Field:
    """The repeating field at any coordinates (pixels), between pixels linearly."""
    found = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(found, np.float32)


def plane(field: Field, width: int, height: int, zoom: float, shift: tuple[float, float] = (0.0, 0.0)) -> Field:
    """The field spread over a picture: `zoom` pixels of the picture to one of the field."""
    x, y = np.meshgrid(
        np.arange(width, dtype=np.float32) / zoom + shift[0], np.arange(height, dtype=np.float32) / zoom + shift[1]
    )
    return sample(field, x.astype(np.float32), y.astype(np.float32))
