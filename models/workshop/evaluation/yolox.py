"""A published YOLOX network, run as its ONNX file is: what ours is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contract.detections import Detection
from models.workshop.coco import COCO
from models.workshop.evaluation.matching import suppress
from models.workshop.session import open_session
from models.workshop.sets.data import Image, letterbox

SAME = 0.55
FLOOR = 0.05
STRIDES = (8, 16, 32)


class Yolox:
    """Calling it is a `Detect` of one of our labels: BGR 0-255 `[1, 3, S, S]` in, `[1, A, 85]` out, COCO's classes."""

    def __init__(self, path: Path, label: str) -> None:
        self.session = open_session(path)
        self.input = self.session.get_inputs()[0]
        self.label, self.size = label, int(self.input.shape[2])
        cells = [(x, y, s) for s in STRIDES for y in range(self.size // s) for x in range(self.size // s)]
        self.cells = np.array(cells, np.float32)

    def __call__(self, image: Image) -> list[Detection]:
        """What is in a picture (HxWx3 BGR), best first, doubles suppressed."""
        canvas, scale, left, top = letterbox(image, self.size, self.size)
        out = self.session.run(None, {self.input.name: canvas.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        score = out[:, 4] * out[:, [5 + c for c in COCO[self.label]]].max(1)
        best = score > FLOOR
        out, cells, score = out[best], self.cells[best], score[best]
        centre = (out[:, :2] + cells[:, :2]) * cells[:, 2:]
        half = np.exp(out[:, 2:4]) * cells[:, 2:] / 2
        h, w = image.shape[:2]
        corners = (np.concatenate([centre - half, centre + half], 1) - [left, top, left, top]) / scale
        boxes = (corners / [w, h, w, h]).clip(0, 1)
        kept = suppress(score, boxes, SAME)
        return [
            Detection(self.label, s, (b[0], b[1], b[2], b[3]))
            for s, b in zip(score[kept].tolist(), boxes[kept].tolist(), strict=True)
        ]
