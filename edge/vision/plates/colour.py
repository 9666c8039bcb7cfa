"""The colour of a plate's background, from its pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

COLOURS = ("blue", "yellow", "green", "white", "black")
HUES = {"yellow": (11, 36), "green": (36, 92), "blue": (92, 134)}
"""Hues as OpenCV counts them, half degrees from 0 to 180."""
PALE = 60
"""Saturation, 0 to 255, under which a pixel has no hue worth naming: white plates, black ones, a camera at night."""
DARK = 45
"""Value, 0 to 255, under which nothing is seen of a hue."""
CONTRAST = 30
"""Difference of value between characters and background, at least, where there is no hue."""
LEAST = 0.3
"""Share of the pixels that must have a hue for the plate to have it: characters cover up to half of a plate."""


def background(crop: NDArray[np.uint8]) -> str:
    """One of `COLOURS`, for a plate as it was cut out (HxWx3 BGR); empty where the pixels do not say it.

    White and black are only told from each other by their share: on white plates the characters are the dark part.
    """
    h, w = crop.shape[:2]
    inner = crop[h // 8 : h - h // 8, w // 20 : w - w // 20]
    if not inner.size:
        return ""
    hue, saturation, value = (cv2.cvtColor(inner, cv2.COLOR_BGR2HSV)[..., n] for n in range(3))
    vivid = (saturation >= PALE) & (value >= DARK)
    shares = {name: float((vivid & (low <= hue) & (hue < high)).mean()) for name, (low, high) in HUES.items()}
    name = max(shares, key=lambda one: shares[one])
    if shares[name] >= LEAST:
        return name
    if vivid.mean() >= LEAST:
        return ""
    dark, light = float(np.percentile(value, 5)), float(np.percentile(value, 95))
    if light - dark < CONTRAST:
        return ""
    bright = float((value > (dark + light) / 2).mean())
    return "white" if bright > 0.6 else "black" if bright < 0.4 else ""
