"""Models of the zoo behind the box's own engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from contract.detections import Detection
from edge.vision.engine import Engine, load_engine
from models import zoo

DATA = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared/data"))


def engine(name: str, target: str | None = None) -> Engine:
    """The engine for this machine's artefact, or for a target."""
    manifest, folder = zoo.load(name)
    return load_engine(manifest, folder, threads=2, target=target)


def clip(name: str, every: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Number and picture of every `every`th frame of a clip of the data folder; skips the test without it."""
    path = DATA / "clips" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there; set VEDETTE_DATA to the data folder")
    capture = cv2.VideoCapture(str(path))
    number = 0
    while capture.grab():
        if number % every == 0:
            yield number, np.asarray(capture.retrieve()[1], np.uint8)
        number += 1
    assert number > 0, f"{path} could not be read"


def has(found: list[Detection], label: str) -> bool:
    """Whether a label is among the detections."""
    return any(d.label == label for d in found)
