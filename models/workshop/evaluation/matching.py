"""Which detection found which truth, and what that makes of a detector: average precision, precision, recall.

As in COCO (Lin et al., "Microsoft COCO", and `pycocotools`), but without its limit of 100 detections a picture: greedy
matching by score, precision made monotonous, read at 101 recalls. Some truths may be ignored (those of another size, or
that nobody is sure of): a detection that finds one of them counts neither for nor against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.detections import Box, Detection

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
IOUS = tuple(round(0.5 + 0.05 * n, 2) for n in range(10))
RECALLS = np.linspace(0, 1, 101)
SPAN = (0.0, 2.0)
"""Every area, as a share of the picture."""


def ious(found: Array, truths: Array) -> Array:
    """Intersection over union of boxes `[n, 4]` with boxes `[m, 4]` (x1, y1, x2, y2): `[n, m]`, 0 to 1."""
    upper = np.minimum(found[:, None, 2:], truths[None, :, 2:])
    lower = np.maximum(found[:, None, :2], truths[None, :, :2])
    shared = np.clip(upper - lower, 0.0, None).prod(axis=2)
    union = areas(found)[:, None] + areas(truths)[None, :] - shared
    result: Array = np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)
    return result


def overlap_of_one(boxes: NDArray[Any], place: int, others: NDArray[Any]) -> Array:
    """Intersection over union of the box at `place` with each of the others: `[m]`."""
    result: Array = ious(boxes[place : place + 1].astype(np.float64), others.astype(np.float64))[0]
    return result


def suppress(scores: NDArray[Any], boxes: NDArray[Any], same: float, most: int = 400) -> NDArray[np.int64]:
    """Places of the boxes (scores `[n]`, boxes `[n, 4]`) that no better one overlaps by `same` or more, best first.

    Only the `most` best are looked at.
    """
    order, kept = np.argsort(-scores, kind="stable")[:most], []
    while len(order):
        kept.append(order[0])
        order = order[1:][overlap_of_one(boxes, order[0], boxes[order[1:]]) < same]
    return np.array(kept, np.int64)


def areas(boxes: Array) -> Array:
    """Area of each box `[n, 4]`."""
    result: Array = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return result


def as_array(boxes: Sequence[Box]) -> Array:
    """Boxes as `[n, 4]`, also where there are none."""
    return np.array(boxes, np.float64).reshape(-1, 4)


def match(overlaps: Array, ignored: Mask) -> tuple[Mask, Mask]:
    """Which detections are right, and which do not count, at each of `IOUS`.

    `overlaps` is `[detections, truths]`, the surest detection first; `ignored` marks truths. A truth that counts goes
    before an ignored one, and each is found once. Returns two masks `[detections, 10]`.
    """
    count, many = overlaps.shape
    right, skipped = np.zeros((count, len(IOUS)), np.bool_), np.zeros((count, len(IOUS)), np.bool_)
    if not many:
        return right, skipped
    taken = np.zeros((len(IOUS), many), np.bool_)
    least, columns = np.array(IOUS)[:, None] - 1e-9, np.arange(len(IOUS))
    for row in np.flatnonzero(overlaps.max(axis=1) >= IOUS[0] - 1e-9):
        near = overlaps[row] * ~taken
        near[near < least] = 0.0
        counting, other = near * ~ignored, near * ignored
        choice = np.where(counting.any(axis=1), counting.argmax(axis=1), other.argmax(axis=1))
        hit = near[columns, choice] > 0
        taken[columns[hit], choice[hit]] = True
        right[row], skipped[row] = hit & ~ignored[choice], hit & ignored[choice]
    return right, skipped


@dataclass
class Tally:
    """Every detection of one label over a set: its score, and for each IoU of `IOUS` whether it was right."""

    truths: int = 0
    pictures: int = 0
    _scores: list[Array] = field(default_factory=list)
    _right: list[Mask] = field(default_factory=list)
    _skipped: list[Mask] = field(default_factory=list)

    def add(
        self,
        found: Sequence[Detection],
        truths: Sequence[Box],
        unsure: Sequence[Box] = (),
        span: tuple[float, float] = SPAN,
    ) -> None:
        """One picture: detections of the label, and true boxes as fractions of the picture.

        Boxes that are `unsure` are ignored, and so are truths whose area (a share of the picture)
        is not in `span`, lower end included; detections of another area that find nothing do not count either.
        """
        ordered = sorted(found, key=lambda d: -d.score)
        boxes, true = as_array([d.box for d in ordered]), as_array([*truths, *unsure])
        ignored = ~_within(true, span)
        ignored[len(truths) :] = True
        right, skipped = match(ious(boxes, true), ignored)
        skipped |= ~right & ~_within(boxes, span)[:, None]
        self.pictures += 1
        self.truths += int((~ignored).sum())
        self._scores.append(np.array([d.score for d in ordered], np.float64))
        self._right.append(right)
        self._skipped.append(skipped)

    @property
    def scores(self) -> Array:
        """The score of every detection that counts at IoU 0.5."""
        return self.curve(0)[0]

    def curve(self, column: int) -> tuple[Array, Mask]:
        """Scores, and which are right, of the detections that count at an IoU of `IOUS` (by its place there)."""
        if not self._scores:
            return np.zeros(0), np.zeros(0, np.bool_)
        kept = ~np.concatenate(self._skipped)[:, column]
        return np.concatenate(self._scores)[kept], np.concatenate(self._right)[kept, column]

    def average_precision(self, least: float = 0.5) -> float:
        """AP at an IoU of `IOUS`, 0 to 1; not a number where there is no truth."""
        if not self.truths:
            return float("nan")
        scores, right = self.curve(IOUS.index(least))
        hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
        precision, recall = hits / np.arange(1, len(hits) + 1), hits / self.truths
        envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        return float(envelope[np.searchsorted(recall, RECALLS, side="left")].mean())

    def mean_average_precision(self) -> float:
        """Mean AP over all of `IOUS`."""
        return float(np.mean([self.average_precision(least) for least in IOUS]))

    def at(self, threshold: float) -> tuple[float, float]:
        """Precision and recall at IoU 0.50 of what scores at least `threshold`; precision is 1 where nothing does."""
        scores, right = self.curve(0)
        kept = right[scores >= threshold]
        hits = int(kept.sum())
        return hits / len(kept) if len(kept) else 1.0, hits / self.truths if self.truths else float("nan")

    def best_threshold(self, least_precision: float = 0.0) -> float:
        """The score with the best F1 among those with at least this precision; 0.5 where there is none."""
        best, found = -1.0, 0.5
        for threshold in np.arange(0.1, 0.91, 0.01):
            precision, recall = self.at(float(threshold))
            value = f1(precision, recall)
            if precision >= least_precision and value > best:
                best, found = value, float(threshold)
        return round(found, 2)

    def take(self, other: Tally) -> None:
        """Count another set in."""
        self.truths += other.truths
        self.pictures += other.pictures
        self._scores += other._scores
        self._right += other._right
        self._skipped += other._skipped


def f1(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall; 0 where both are."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def join(parts: Sequence[Tally]) -> Tally:
    """Tallies of several sets as one."""
    whole = Tally()
    for part in parts:
        whole.take(part)
    return whole


def _within(boxes: Array, span: tuple[float, float]) -> Mask:
    size = areas(boxes)
    result: Mask = (size >= span[0]) & (size < span[1])
    return result
