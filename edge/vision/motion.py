"""Is it worth looking at this frame? A cheap answer from a small grey copy, so that a detector runs where things move.

The gate may be wrong in one direction only: a picture that stands still is looked at all the same once a second, for a
fire may be small and slow; and while anything is suspected, every frame is looked at.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.vision.picture import Bgr

LUMA_WIDTH: Final = 160
"""Pixels; the height follows the picture's shape."""

Luma = NDArray[np.uint8]
"""``[h, 160]``, brightness, 0 to 255."""


@dataclass(frozen=True)
class MotionSettings:
    """Limits in grey levels, shares and seconds."""

    level: float = 10.0
    """A pixel that differs from the background by more than this has changed."""
    share: float = 0.0003
    """The picture moves where more than this share of its pixels has changed; 160x90 pixels: more than four."""
    settle_s: float = 1.0
    """The background follows the picture within about so long."""
    still_s: float = 1.0
    """A picture that stands still is looked at once in so long."""


@dataclass(frozen=True)
class Background:
    """What the camera usually shows, and when it was last updated (monotonic seconds)."""

    mean: NDArray[np.float32]
    time_s: float


@dataclass(frozen=True)
class Motion:
    """How much of a frame has changed, 0 to 1, and whether that counts as motion."""

    share: float
    moves: bool


def to_luma(picture: Bgr) -> Luma:
    """A frame at ``LUMA_WIDTH`` pixels, averaged, in grey."""
    height, width = picture.shape[:2]
    size = (LUMA_WIDTH, max(1, round(height * LUMA_WIDTH / width)))
    luma = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA)
    return np.asarray(luma, np.uint8)


def evaluate(
    background: Background | None, luma: Luma, now_s: float, settings: MotionSettings = MotionSettings()
) -> tuple[Background, Motion]:
    """Compare a frame with the background, and let the background follow.

    Args:
        background: from the frame before; None for the first one, or after the picture's size has changed.
        luma: see ``to_luma``.
        now_s: monotonic time of the frame.
        settings: the limits.

    Returns:
        The next background, and what moves; the first frame moves as a whole.
    """
    if background is None or background.mean.shape != luma.shape:
        return Background(luma.astype(np.float32), now_s), Motion(1.0, True)
    difference = luma - background.mean
    share = float(np.count_nonzero(np.abs(difference) > settings.level)) / luma.size
    follow = min(1.0, max(0.0, now_s - background.time_s) / settings.settle_s)
    mean = background.mean + np.float32(follow) * difference
    return Background(mean, now_s), Motion(share, share > settings.share)


def worth_looking(
    motion: Motion, since_look_s: float, alert: bool, settings: MotionSettings = MotionSettings()
) -> bool:
    """Whether the detectors shall see this frame: it moves, something is suspected, or the last look is old."""
    return motion.moves or alert or since_look_s >= settings.still_s
