"""What training does to a picture before the network sees it.

A `Sample` is pixels with boxes. `place` puts one picture into the canvas at a random scale, place and flip; `mosaic`
puts four together (Bochkovskiy et al., arXiv:2004.10934); `weather` changes light, colour, noise and sharpness as
cameras do. All randomness comes from the generator passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]
GREY = 114
MIN_SIDE = 3.0  # pixels of the canvas; smaller boxes teach nothing at a stride of 8
MIN_LEFT = 0.25  # share of a box that must stay inside


@dataclass(frozen=True)
class Sample:
    """Pixels HxWx3 BGR, boxes `[n, 4]` in pixels, class numbers `[n]`, and classes that may lack boxes here."""

    image: Image
    boxes: Boxes
    classes: NDArray[np.int64]
    unlabelled: frozenset[int]


def place(rng: np.random.Generator, sample: Sample, width: int, height: int, scale: tuple[float, float]) -> Sample:
    """One picture in the canvas: scaled against its letterbox by `scale`, shifted, mirrored half of the time."""
    h, w = sample.image.shape[:2]
    fit = min(width / w, height / h) * rng.uniform(*scale)
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    sx, sy = fit * stretch, fit / stretch
    room_x, room_y = width - w * sx, height - h * sy
    # Inside when it fits, else the canvas shows some part of the picture.
    tx, ty = rng.uniform(min(room_x, 0), max(room_x, 0)), rng.uniform(min(room_y, 0), max(room_y, 0))
    matrix = np.array([[sx, 0, tx], [0, sy, ty]], np.float64)
    mirrored = rng.random() < 0.5
    if mirrored:
        matrix[0] = [-sx, 0, tx + w * sx]
    image = cv2.warpAffine(
        sample.image,
        matrix,
        (width, height),
        flags=cv2.INTER_AREA if fit < 0.7 else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GREY, GREY, GREY),
    )
    boxes = sample.boxes * np.array([sx, sy, sx, sy], np.float32)
    if mirrored:
        boxes[:, [0, 2]] = w * sx - boxes[:, [2, 0]]
    boxes += np.array([tx, ty, tx, ty], np.float32)
    return clip(Sample(np.asarray(image, np.uint8), boxes, sample.classes, sample.unlabelled), 0, 0, width, height)


def clip(sample: Sample, left: float, top: float, right: float, bottom: float) -> Sample:
    """The sample with boxes cut to a rectangle; boxes of which too little is left are dropped."""
    boxes = sample.boxes.copy()
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(left, right)
    boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(top, bottom)
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = (sides.min(1, initial=np.inf) >= MIN_SIDE) & (sides.prod(1) >= MIN_LEFT * np.maximum(area, 1e-6))
    return Sample(sample.image, boxes[keep], sample.classes[keep], sample.unlabelled)


def mosaic(rng: np.random.Generator, four: Sequence[Sample], width: int, height: int) -> Sample:
    """Four pictures around a random point of the canvas; what any of them may lack boxes for, the whole may lack."""
    cx, cy = int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.3, 0.7) * height)
    canvas = np.full((height, width, 3), GREY, np.uint8)
    boxes, classes = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.int64)]
    for sample, (x, y, w, h) in zip(
        four,
        ((0, 0, cx, cy), (cx, 0, width - cx, cy), (0, cy, cx, height - cy), (cx, cy, width - cx, height - cy)),
        strict=True,
    ):
        part = place(rng, sample, w, h, (0.9, 2.0))
        canvas[y : y + h, x : x + w] = part.image
        boxes.append(part.boxes + np.array([x, y, x, y], np.float32))
        classes.append(part.classes)
    unlabelled = frozenset().union(*(s.unlabelled for s in four))
    return Sample(canvas, np.concatenate(boxes), np.concatenate(classes), unlabelled)


def evening(rng: np.random.Generator, image: Image) -> Image:
    """A part of a picture in the colours of low sun, dry grass or a sodium lamp: what is golden need not burn.

    For pictures without a fire. The part is an ellipse with a soft edge, now and then the whole picture.
    """
    h, w = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    low, high = np.percentile(grey, (2, 98))
    depth = np.clip((grey - low) / max(high - low, 1.0), 0, 1)
    stops = np.array([[5, 22, 55], [25, 115, 210], [115, 205, 250]], np.float32)
    stops *= rng.uniform(0.75, 1.15, (3, 3))
    warm = np.stack([np.interp(depth, (0, 0.5, 1), stops[:, c]) for c in range(3)], -1)
    mask = np.ones((h, w), np.float32)
    if rng.random() < 0.75:
        mask[:] = 0
        centre = (int(rng.uniform(0, w)), int(rng.uniform(0, h)))
        axes = (int(rng.uniform(0.08, 0.5) * w) + 1, int(rng.uniform(0.05, 0.35) * h) + 1)
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.01 * w + 1), np.float32)
    mask *= rng.uniform(0.4, 1.0)
    return np.clip(image * (1 - mask[..., None]) + warm * mask[..., None], 0, 255).astype(np.uint8)


def weather(rng: np.random.Generator, image: Image) -> Image:
    """Light, white balance, saturation, noise, blur and compression, each now and then."""
    x = image
    if rng.random() < 0.8:
        gain = np.exp(rng.uniform(-0.35, 0.3)) * np.exp(rng.uniform(-0.06, 0.06, 3))
        gamma = np.exp(rng.uniform(-0.25, 0.25))
        ramp = np.arange(256)[:, None] / 255.0
        table = (255 * np.clip(ramp**gamma * gain, 0, 1)).astype(np.uint8).reshape(1, 256, 3)
        x = np.asarray(cv2.LUT(x, table), np.uint8)
    if rng.random() < 0.4:
        grey = cv2.cvtColor(cv2.cvtColor(x, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        share = rng.uniform(0.5, 1.3)
        x = np.asarray(cv2.addWeighted(x, share, grey, 1 - share, 0), np.uint8)
    if rng.random() < 0.15:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.4)), np.uint8)
    if rng.random() < 0.2:
        noise = rng.integers(-12, 13, x.shape, np.int16)
        x = np.clip(x.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        _, packed = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
        x = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return x
