"""Where a picture lives: flames flicker and smoke drifts; a lamp, a sunset's glow, a photograph on a wall does not."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.detections import Box
from edge.vision.motion import Luma


@dataclass(frozen=True)
class ActivitySettings:
    """Times in seconds."""

    usual_s: float = 10.0
    """A pixel's usual brightness follows within about so long: slow enough that drifting smoke stands out from it."""
    recent_s: float = 2.0
    """Over about so long the distance from it is averaged."""


class Activity:
    """How far each pixel of a small grey picture has been from its usual brightness lately, in grey levels.

    What the whole picture does alike does not count: an exposure that follows a passing car is no smoke.
    """

    def __init__(self, settings: ActivitySettings = ActivitySettings()) -> None:
        self._settings = settings
        self._usual: NDArray[np.float32] | None = None
        self._recent: NDArray[np.float32] | None = None
        self._time_s = 0.0

    def update(self, luma: Luma, now_s: float) -> None:
        """The next frame; another size of picture starts anew."""
        if self._usual is None or self._recent is None or self._usual.shape != luma.shape:
            self._usual = luma.astype(np.float32)
            self._recent = np.zeros_like(self._usual)
            self._time_s = now_s
            return
        step = max(0.0, now_s - self._time_s)
        self._time_s = now_s
        distance = luma - self._usual
        self._usual += np.float32(min(1.0, step / self._settings.usual_s)) * distance
        own = np.abs(distance - np.median(distance))
        self._recent += np.float32(min(1.0, step / self._settings.recent_s)) * (own - self._recent)

    def within(self, box: Box) -> float:
        """Median activity in a box of the picture, in grey levels: what passes through a corner of the box does not
        make the rest of it live. 0 before there were two frames."""
        if self._recent is None:
            return 0.0
        height, width = self._recent.shape
        left, top = min(width - 1, int(box[0] * width)), min(height - 1, int(box[1] * height))
        right, bottom = max(left + 1, math.ceil(box[2] * width)), max(top + 1, math.ceil(box[3] * height))
        return float(np.median(self._recent[top:bottom, left:right]))
