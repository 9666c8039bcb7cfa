"""The clips of the data folder, for tests that skip where it is absent."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("VEDETTE_DATA", ROOT.parent / "shared" / "data"))


def clip(name: str) -> Path:
    """The clip's path; skips the test where the data folder is absent."""
    path = DATA / "clips" / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set VEDETTE_DATA to the folder of test data")
    return path


def frames(path: Path, fps: float, limit: int | None = None) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The clip's frames at about ``fps``, with their times in seconds, no more than ``limit``."""
    video = cv2.VideoCapture(str(path))
    try:
        step = max(1, round(video.get(cv2.CAP_PROP_FPS) / fps))
        rate = video.get(cv2.CAP_PROP_FPS)
        number = given = 0
        while (limit is None or given < limit) and video.grab():
            if number % step == 0:
                good, image = video.retrieve()
                if not good:
                    return
                given += 1
                yield number / rate, image
            number += 1
    finally:
        video.release()
