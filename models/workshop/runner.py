"""An artefact run plainly, before there is a manifest: what the workshop measures with.

The box has an engine of its own, with deadlines and checks; a test holds that both see the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contract.detections import Detection
from contract.manifest import Input
from models.workshop.session import open_session
from models.workshop.sets.data import Image, letterbox

FLOOR = 0.05


class Runner:
    """A detector from one ONNX file, on one thread of the CPU; calling it is a `Detect`.

    `input` says which shapes it takes. Raises `FileNotFoundError` when there is no such file.
    """

    def __init__(self, path: Path, labels: Sequence[str], input: Input, floor: float = FLOOR) -> None:  # noqa: A002
        if not path.is_file():
            raise FileNotFoundError(f"artefact {path} does not exist; run export and quantize first")
        self.session = open_session(path)
        self.input, self.labels, self.floor = input, tuple(labels), floor

    def __call__(self, image: Image) -> list[Detection]:
        """What is in a picture (HxWx3 uint8 BGR), down to the floor, best first."""
        canvas, scale, left, top = letterbox(image, *self.input.fit(image.shape[1], image.shape[0]))
        pixels = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))[None]
        rows = self.session.run(None, {"images": pixels})[0]
        h, w = image.shape[:2]
        corner = np.array([left, top, left, top], np.float64)
        boxes = ((rows[:, :4] - corner) / scale / np.array([w, h, w, h])).clip(0, 1)
        found = [
            Detection(self.labels[int(row[5])], float(row[4]), (box[0], box[1], box[2], box[3]))
            for row, box in zip(rows, boxes.tolist(), strict=True)
            if row[4] >= self.floor
        ]
        return sorted(found, key=lambda d: -d.score)
