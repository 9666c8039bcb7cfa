"""How good a detector is: average precision, and precision and recall at the shipped threshold.

Average precision is COCO's (Lin et al., "Microsoft COCO", and `pycocotools`): greedy matching by score, precision made
monotonous, read at 101 recalls. mAP50 is at IoU 0.50, mAP50-95 the mean over 0.50 to 0.95 in steps of 0.05. A picture
in which nobody labelled a class is left out of that class's figures. What is measured is whatever `detect` is: the
box's own engine, if its thresholds are set low enough to see the whole curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.detections import Detection, iou
from models.workshop.data import Image, Picture, data_folder, read_set, slices

Detect = Callable[[Image], list[Detection]]
IOUS = tuple(round(0.5 + 0.05 * n, 2) for n in range(10))
RECALLS = np.linspace(0, 1, 101)
LABELS = {"fire": ("fire", "smoke"), "person": ("person",)}


@dataclass(frozen=True)
class Figure:
    """A measured number. `conditions` says on what data, and how, it was measured."""

    name: str
    value: float
    unit: str
    conditions: str


@dataclass
class Tally:
    """Every detection of one label over a set: its score, and for each IoU of `IOUS` whether it was right."""

    truths: int = 0
    pictures: int = 0
    scores: list[float] = field(default_factory=list)
    right: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(self, found: Sequence[Detection], truths: Sequence[tuple[float, float, float, float]]) -> None:
        """One picture: detections of the label, and true boxes as fractions of the picture."""
        self.pictures += 1
        self.truths += len(truths)
        ordered = sorted(found, key=lambda d: -d.score)
        overlaps = np.array([[iou(d.box, t) for t in truths] for d in ordered]).reshape(len(ordered), len(truths))
        right = np.zeros((len(ordered), len(IOUS)), np.bool_)
        for column, least in enumerate(IOUS):
            taken = np.zeros(len(truths), np.bool_)
            for row in range(len(ordered)):
                free = np.where(taken, -1.0, overlaps[row])
                if len(truths) and free.max() >= least:
                    taken[free.argmax()] = True
                    right[row, column] = True
        self.scores += [d.score for d in ordered]
        self.right += list(right)

    def average_precision(self, least: float = 0.5) -> float:
        """AP at an IoU of `IOUS`, 0 to 1; not a number where there is no truth."""
        if not self.truths:
            return float("nan")
        precision, recall = self._curve(IOUS.index(least))
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, RECALLS, side="left")
        return float(np.where(at < len(envelope), np.append(envelope, 0)[np.minimum(at, len(envelope))], 0).mean())

    def mean_average_precision(self) -> float:
        """Mean AP over all of `IOUS`."""
        return float(np.mean([self.average_precision(least) for least in IOUS]))

    def _curve(self, column: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        order = np.argsort([-s for s in self.scores], kind="stable")
        right = np.array([r[column] for r in self.right], np.float64).reshape(-1)[order]
        hits = np.cumsum(right)
        return hits / np.arange(1, len(hits) + 1), hits / max(self.truths, 1)

    def at(self, threshold: float) -> tuple[float, float]:
        """Precision and recall at IoU 0.50 of what scores at least `threshold`; precision is 1 where nothing does."""
        kept = [bool(r[0]) for s, r in zip(self.scores, self.right, strict=True) if s >= threshold]
        hits = sum(kept)
        return hits / len(kept) if kept else 1.0, hits / self.truths if self.truths else float("nan")

    def best_threshold(self, least_precision: float = 0.0) -> float:
        """The score with the best F1 among those with at least this precision; 0.5 where there is none."""
        best, found = -1.0, 0.5
        for threshold in np.arange(0.1, 0.91, 0.01):
            precision, recall = self.at(float(threshold))
            value = 2 * precision * recall / max(precision + recall, 1e-9)
            if precision >= least_precision and value > best:
                best, found = value, float(threshold)
        return round(found, 2)


def tally(pictures: Iterable[Picture], labels: Sequence[str], detect: Detect) -> dict[str, Tally]:
    """Run a detector over pictures and match what it finds, label by label."""
    tallies = {label: Tally() for label in labels}
    for picture in pictures:
        found = detect(picture.read())
        for label, one in tallies.items():
            if label in picture.unlabelled:
                continue
            truths = [
                (
                    t.box[0] / picture.width,
                    t.box[1] / picture.height,
                    t.box[2] / picture.width,
                    t.box[3] / picture.height,
                )
                for t in picture.truths
                if t.label == label
            ]
            one.add([d for d in found if d.label == label], truths)
    return tallies


def figures(name: str, tallies: dict[str, Tally], thresholds: dict[str, float], conditions: str) -> list[Figure]:
    """The figures of one detector on one set; labels without truths there are left out."""
    known = {label: t for label, t in tallies.items() if t.truths}
    result = []
    if known:
        mean50 = float(np.mean([t.average_precision() for t in known.values()]))
        mean = float(np.mean([t.mean_average_precision() for t in known.values()]))
        result += [Figure(f"{name}.map50", mean50, "", conditions), Figure(f"{name}.map50_95", mean, "", conditions)]
    for label, one in known.items():
        stem = f"{name}.{label}" if label != name or len(tallies) > 1 else name
        about = f"{conditions}, {one.pictures} pictures, {one.truths} boxes"
        result.append(Figure(f"{stem}.ap50", one.average_precision(), "", about))
        if label in thresholds:
            precision, recall = one.at(thresholds[label])
            at = f"{about}, IoU 0.5, score >= {thresholds[label]:g}"
            result += [Figure(f"{stem}.precision", precision, "", at), Figure(f"{stem}.recall", recall, "", at)]
    return result


def evaluate(
    name: str,
    data_dir: Path | None,
    split: str,
    detect: Detect,
    thresholds: dict[str, float] | None = None,
) -> list[Figure]:
    """Measure detector `name` (`fire` or `person`) on a split of its set, whole and source by source.

    `detect` takes a picture (HxWx3 uint8 BGR) and must return detections down to a score of about 0.05, or the curve
    ends early; `thresholds` are the shipped ones, for precision and recall. Figures of a source carry its name in
    `conditions`. Raises `KeyError` for an unknown detector, and what `read_set` raises.
    """
    if name not in LABELS:
        raise KeyError(f"no evaluation for detector '{name}'; known: {', '.join(LABELS)}")
    labels, given = LABELS[name], thresholds or {}
    parts = slices(read_set(data_folder(data_dir) / name, split))
    by_source = {source: tally(pictures, labels, detect) for source, pictures in parts.items()}
    whole = {label: join([t[label] for t in by_source.values()]) for label in labels}
    result = figures(name, whole, given, f"{name}/{split}")
    if len(by_source) > 1:
        for source, tallies in by_source.items():
            result += figures(name, tallies, given, f"{name}/{split}/{source}")
    return result


def join(parts: Sequence[Tally]) -> Tally:
    """Tallies of several sets as one."""
    whole = Tally()
    for part in parts:
        whole.truths += part.truths
        whole.pictures += part.pictures
        whole.scores += part.scores
        whole.right += part.right
    return whole
