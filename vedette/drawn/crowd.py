"""A square full of people, drawn: what counting is tried on before a release may run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.workshop.sets.data import Image
from vedette.drawn.people import paint, walker
from vedette.drawn.scene import Scene

FAR, NEAR = 0.54, 0.98
"""Where people stand, from the far end of the square to the near one, as shares of the picture's height."""
TALL = (0.09, 0.3)
"""Height of a body at the far and at the near end, as shares of the picture's height."""


def square(seed: int, people: int, width: int, height: int) -> Image:
    """A street with so many people on it, the far ones small and close together. HxWx3 BGR."""
    rng = np.random.default_rng(seed)
    canvas = Scene("quiet", seed, width, height, place="street").frame(5.0).image.astype(np.float32)
    canvas /= 255
    # More of them far away: as many to each square metre.
    depths = np.sort(rng.beta(1.2, 2.2, people))
    for depth in depths:
        foot = (FAR + (NEAR - FAR) * depth) * height
        tall = (TALL[0] + (TALL[1] - TALL[0]) * depth) * height * float(rng.uniform(0.93, 1.07))
        who = walker(rng, width, height, ((FAR * height, NEAR * height),))
        paint(canvas, replace(who, x0=float(rng.uniform(0.02, 0.98)) * width, foot=foot, tall=tall), 0.0, 1.0)
    return np.clip(canvas * 255, 0, 255).astype(np.uint8)
