"""Where heads are, for want of labelled faces: what a face detector can be held against.

Nobody labelled faces in the data sets. Two things stand in, and figures made with them are *proxies*, named so:

- MoveNet MultiPose (Google, Apache-2.0), a judge of its own making, puts nose, eyes and ears on up to six people of a
  picture. A head whose nose and both eyes it is sure of is *frontal*: its face ought to be covered.
- The crowd set has a point on every head, set by people. A face box without any of them nearby covers something else.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.detections import Box, Detection
from models.workshop.evaluation.matching import Tally
from models.workshop.session import open_session
from models.workshop.sets.data import Image, Picture, letterbox

Detect = Callable[[Image], list[Detection]]
Point = tuple[float, float]  # x, y as fractions of the picture
SIDE = 384  # pixels of the judge's input, both ways
SURE, SEEN = 0.5, 0.2  # keypoint scores: of a frontal face, and of anything that may be a head
PERSON = 0.25
MOST = 6  # people the judge can name; with as many in view it may have left some out
NEAR = 0.5  # a labelled point belongs to a box grown by this share of its sides, half of it on either side


@dataclass(frozen=True)
class Head:
    """A head in a picture: its points (nose, eyes, ears: those seen), and whether it faces the camera."""

    points: tuple[Point, ...]
    face: tuple[Point, ...]
    """Nose and eyes of a frontal head, else empty."""


class MoveNet:
    """MoveNet MultiPose; calling it gives the heads of a picture. Raises `FileNotFoundError` without its weights."""

    def __init__(self, weights: Path) -> None:
        if not weights.is_file():
            raise FileNotFoundError(f"{weights} does not exist; the proxies need it, see the data folder's README")
        self.session = open_session(weights)

    def __call__(self, image: Image) -> list[Head]:
        """The heads in a picture (HxWx3 uint8 BGR); one without a point seen is left out."""
        canvas, scale, left, top = letterbox(image, SIDE, SIDE)
        given = np.ascontiguousarray(canvas[..., ::-1])[None].astype(np.int32)
        rows = self.session.run(None, {"input": given})[0][0]
        h, w = image.shape[:2]
        found = []
        for row in rows:
            if row[55] < PERSON:
                continue
            marks = row[:15].reshape(5, 3)  # nose, left eye, right eye, left ear, right ear: y, x, score
            x, y = (marks[:, 1] * SIDE - left) / scale / w, (marks[:, 0] * SIDE - top) / scale / h
            points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
            seen = tuple(p for p, s in zip(points, marks[:, 2], strict=True) if s >= SEEN)
            if seen:
                found.append(Head(seen, tuple(points[:3]) if marks[:3, 2].min() >= SURE else ()))
        return found


@dataclass(frozen=True)
class Look:
    """One picture: what the detector finds, the heads that stand for the truth, and whether those are all of them."""

    found: tuple[Detection, ...]
    heads: tuple[Head, ...]
    whole: bool


def look(pictures: Iterable[Picture], detect: Detect, judge: MoveNet) -> list[Look]:
    """Detector and judge on the same pictures."""
    result = []
    for picture in pictures:
        image = picture.read()
        heads = judge(image)
        result.append(Look(tuple(detect(image)), tuple(heads), len(heads) < MOST))
    return result


def labelled(pictures: Iterable[Picture], detect: Detect) -> list[Look]:
    """The detector on pictures of a set with `heads` points in its labels."""
    result = []
    for picture in pictures:
        w, h = picture.width, picture.height
        heads = tuple(Head(((x / w, y / h),), ()) for x, y in picture.heads or ())
        result.append(Look(tuple(detect(picture.read())), heads, True))
    return result


def within(box: Box, point: Point, grown: float = 0.0) -> bool:
    """Whether a point lies in a box, grown by a share of its sides, half of it on either side."""
    dx, dy = (box[2] - box[0]) * grown / 2, (box[3] - box[1]) * grown / 2
    return box[0] - dx <= point[0] <= box[2] + dx and box[1] - dy <= point[1] <= box[3] + dy


def covered(looks: Sequence[Look], threshold: float) -> tuple[int, int]:
    """Of the frontal heads, those with nose and eyes in one box of at least this score; and how many there are."""
    hits = total = 0
    for one in looks:
        for head in one.heads:
            if head.face:
                total += 1
                hits += any(d.score >= threshold and all(within(d.box, p) for p in head.face) for d in one.found)
    return hits, total


def on_heads(looks: Sequence[Look], threshold: float, grown: float = 0.0) -> tuple[int, int]:
    """Of the boxes of at least this score, those with a point of a head in them; and how many there are.

    Pictures in which there may be more heads than those known are left out.
    """
    hits = total = 0
    for one in looks:
        for d in one.found:
            if one.whole and d.score >= threshold:
                total += 1
                hits += any(within(d.box, p, grown) for head in one.heads for p in head.points)
    return hits, total


def agreement(reference: Sequence[Look], other: Sequence[Look], threshold: float) -> Tally:
    """How well another artefact sees what the reference is sure of (at least `threshold`), as if that were the truth.

    What the other finds where the reference is less sure counts neither way.
    """
    tally = Tally()
    for one, two in zip(reference, other, strict=True):
        sure = [d.box for d in one.found if d.score >= threshold]
        tally.add(two.found, sure, [d.box for d in one.found if d.score < threshold])
    return tally
