"""Labels from a teacher: what a published detector is sure of becomes a box, what it is unsure of is painted over.

A student that sees an unsure region as background unlearns what the teacher half saw; grey teaches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contract.detections import iou
from models.workshop.data import Image, Picture, Truth, letterbox

GREY = 114
Found = list[tuple[float, tuple[float, float, float, float]]]
"""Score and box (x1, y1, x2, y2 in pixels of the picture)."""


class CocoTeacher:
    """People found by a YOLOX network in ONNX: BGR 0-255 `[1, 3, S, S]` in, `[1, A, 85]` out, COCO's classes."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.size = int(self.input.shape[2])
        cells = [(x, y, s) for s in (8, 16, 32) for y in range(self.size // s) for x in range(self.size // s)]
        self.cells = np.array(cells, np.float32)

    def people(self, image: Image, floor: float = 0.08) -> Found:
        """People in a picture (HxWx3 BGR), best first, doubles suppressed at IoU 0.5; seen plain and mirrored."""
        plain = self._run(image, floor)
        width = image.shape[1]
        mirrored = self._run(np.ascontiguousarray(image[:, ::-1]), floor)
        flipped = [(score, (width - b[2], b[1], width - b[0], b[3])) for score, b in mirrored]
        kept: Found = []
        for score, box in sorted(plain + flipped, key=lambda found: -found[0]):
            if all(iou(box, other) < 0.5 for _, other in kept):
                kept.append((score, box))
        return kept

    def _run(self, image: Image, floor: float) -> Found:
        canvas, scale, left, top = letterbox(image, self.size, self.size)
        out = self.session.run(None, {self.input.name: canvas.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
        score = out[:, 4] * out[:, 5]
        keep = score > floor
        out, cells, score = out[keep], self.cells[keep], score[keep]
        centre = (out[:, :2] + cells[:, :2]) * cells[:, 2:]
        half = np.exp(out[:, 2:4]) * cells[:, 2:] / 2
        edges = np.concatenate([centre - half, centre + half], 1)
        boxes = (edges - np.array([left, top, left, top], np.float32)) / scale
        h, w = image.shape[:2]
        boxes = boxes.clip(0, np.array([w, h, w, h], np.float32))
        return [(float(s), tuple(map(float, b))) for s, b in zip(score, boxes, strict=True)]  # type: ignore[misc]


def taught(
    pictures: Sequence[Picture],
    people: Callable[[Image], Found],
    crops: int = 1,
    sure: float = 0.45,
    seed: int = 1,
) -> Iterator[tuple[str, str, Image, list[Truth]]]:
    """Pictures as `write_set` takes them, labelled by `people`.

    With `crops` above 1 each picture gives that many random parts of it instead, half to whole of its sides: small
    people in large pictures become large enough to learn from.
    """
    rng = np.random.default_rng(seed)
    for picture in pictures:
        whole = picture.read()
        for n in range(crops):
            image = part(rng, whole) if crops > 1 else whole.copy()
            found = people(image)
            truths = [Truth("person", box) for score, box in found if score >= sure]
            cover(image, [box for score, box in found if score < sure], [t.box for t in truths])
            yield f"{picture.path.stem}-{n}.jpg", "train", image, truths


def part(rng: np.random.Generator, image: Image) -> Image:
    """A random part of a picture, 40 to 80 % of its sides."""
    h, w = image.shape[:2]
    share = rng.uniform(0.4, 0.8)
    high, wide = int(h * share), int(w * share)
    y, x = int(rng.integers(0, h - high + 1)), int(rng.integers(0, w - wide + 1))
    return np.ascontiguousarray(image[y : y + high, x : x + wide])


def cover(image: Image, unsure: Sequence[tuple[float, ...]], kept: Sequence[tuple[float, ...]]) -> None:
    """Paint unsure boxes grey, in place; what belongs to a kept box stays."""
    mask: NDArray[np.uint8] = np.zeros(image.shape[:2], np.uint8)
    for boxes, value in ((unsure, 1), (kept, 0)):
        for box in boxes:
            x1, y1, x2, y2 = (round(v) for v in box)
            cv2.rectangle(mask, (x1, y1), (x2, y2), value, -1)
    image[mask > 0] = GREY
