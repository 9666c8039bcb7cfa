"""How good a detector is on a labelled set, whole and slice by slice.

Average precision (see `matching`), precision, recall and F1 at the shipped threshold, calibration (see `calibration`),
and how often it fires where nothing is (see `negatives`). What is measured is whatever `detect` is: the box's own
engine, if its thresholds are set low enough to see the whole curve.

Classes that the detector does not know are background. On what is labelled as its like (`person-like`: statues,
mannequins) it must stay silent: a detection there is false, as anywhere else, and `like_rate` says how often that
happens. A picture in which nobody labelled a class is left out of that class's figures.

Broken labels stop a measurement before it begins; a picture that cannot be read is left out, counted and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.detections import Box, Detection
from models.workshop.evaluation import slices
from models.workshop.evaluation.degraded import WORDS, degrade
from models.workshop.evaluation.figures import Figure, figures, of_size, stem, trust
from models.workshop.evaluation.matching import IOUS, SPAN, Tally, as_array, ious, join, match
from models.workshop.evaluation.negatives import Look, Quiet, fired, is_negative, other_sets
from models.workshop.sets.data import LIKE, UNSURE, Image, Picture, data_folder, read_set

__all__ = ["IOUS", "Detect", "Figure", "Report", "Tally", "evaluate", "examine", "figures", "join", "tally"]

Detect = Callable[[Image], list[Detection]]
Read = Callable[[Path], Image]
Track = Callable[[Sequence[Picture], str], Iterable[Picture]]
LABELS = {
    "fire": ("fire", "smoke"),
    "person": ("person",),
    "vehicle": ("vehicle",),
    "plate": ("plate",),
    "face": ("face",),
}
SETS = {"fire": "fire", "person": "person", "vehicle": "plate", "plate": "plate", "crowd": "crowd"}
"""Where in the data folder a model's own set lies."""


@dataclass(frozen=True)
class Report:
    """What was measured. `faults` are pictures that could not be, `notes` what the reader has to know besides."""

    figures: tuple[Figure, ...]
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A picture, what was found in it, and how bright it is (see `slices.brightness`)."""

    picture: Picture
    found: tuple[Detection, ...]
    light: float

    def truths(self, label: str) -> list[Box]:
        """The true boxes of a class, as fractions of the picture."""
        w, h = self.picture.width, self.picture.height
        boxes = (t.box for t in self.picture.truths if t.label == label)
        return [(x1 / w, y1 / h, x2 / w, y2 / h) for x1, y1, x2, y2 in boxes]

    def of(self, label: str) -> list[Detection]:
        """The detections of a class."""
        return [d for d in self.found if d.label == label]

    def counts_for(self, label: str) -> bool:
        """Whether somebody labelled the class here."""
        return self.picture.boxed and label not in self.picture.unlabelled


def evaluate(
    name: str,
    data_dir: Path | None,
    split: str,
    detect: Detect,
    thresholds: Mapping[str, float] | None = None,
) -> list[Figure]:
    """The figures of `examine`, for data that must be whole: raises `ValueError` where a picture could not be read."""
    report = examine(name, data_dir, split, detect, thresholds)
    if report.faults:
        raise ValueError(f"{len(report.faults)} pictures could not be measured: {report.faults[0]}")
    return list(report.figures)


def examine(
    name: str,
    data_dir: Path | None,
    split: str,
    detect: Detect,
    thresholds: Mapping[str, float] | None = None,
    labels: Sequence[str] | None = None,
    negatives: Sequence[Quiet] | None = None,
    read: Read | None = None,
    track: Track = lambda pictures, title: pictures,
    ways: Sequence[str] = (),
) -> Report:
    """Measure detector `name` on a split of its set in the data folder, or of any folder in the label format.

    Args:
        name: of the detector; what its figures begin with.
        data_dir: the data folder (None: see `data_folder`), or a folder with a `labels.jsonl` of its own.
        split: any that occurs there.
        detect: takes a picture (HxWx3 uint8 BGR), gives detections down to a score of about 0.05, or the curve ends
            early. A picture on which it raises `RuntimeError` or `ValueError` is a fault.
        thresholds: the shipped ones, for precision, recall and negatives.
        labels: what the detector knows; those of `LABELS` when left out.
        negatives: other sets without a truth; those of `other_sets` when left out.
        read: reads a picture; `Picture.read` when left out.
        track: shows how far it has come.
        ways: in which the pictures are degraded and measured once more each (see `degraded`).

    Raises:
        KeyError: no such detector.
        FileNotFoundError: no data folder, or no labels in it.
        ValueError: labels that cannot be used, no such split, nothing in it that could be measured.
    """
    if labels is None and name not in LABELS:
        raise KeyError(f"no evaluation for detector '{name}'; known: {', '.join(LABELS)}")
    known, given = tuple(labels or LABELS[name]), dict(thresholds or {})
    folder, own = set_folder(name, data_dir)
    pictures = read_set(folder, split, anywhere=False)
    if negatives is None:
        negatives = other_sets(name, split, folder.parent) if own else []
    quiet = {other.name: other.pictures(known) for other in negatives} if given else {}
    notes = check_classes(f"{folder.resolve().name}/{split}", pictures, known)
    useful = [p for p in pictures if p.boxed and not p.unlabelled >= set(known)]
    faults: list[str] = []
    title = f"{name} on {folder.resolve().name}/{split}"
    seen = look(track(useful, title), detect, read, faults)
    if not seen:
        raise ValueError(f"{title}: not one picture could be measured" + "".join(f"\n  {f}" for f in faults[:20]))
    about = f"{folder.resolve().name}/{split}" + (f" ({len(faults)} pictures unread)" if faults else "")
    result = [*whole(name, known, seen, given, about, split), *by_slice(name, known, seen, given, about)]
    for way in ways:
        spoilt = look(track(degrade(useful, way), f"{title}, {way}"), detect, read, [])
        result += figures(name, count(spoilt, known), given, f"{about}, {WORDS[way]}", f"look={way}")
    looks = {
        f"{folder.resolve().name}/{split}": [Look(s.picture, s.found) for s in seen if is_negative(s.picture, known)]
    }
    for key, others in quiet.items():
        looked = look(track(others, f"{name} on {key}, nothing to find"), detect, read, faults)
        looks[key] = looks.get(key, []) + [Look(s.picture, s.found) for s in looked]
    result += fired(name, looks, given)
    if faults:
        rows = tuple({"fault": fault} for fault in faults)
        result.append(Figure(f"{name}.unread", len(faults), "pictures", about, "", rows))
    return Report(tuple(result), tuple(faults), tuple(notes))


def set_folder(name: str, data_dir: Path | None) -> tuple[Path, bool]:
    """The folder whose labels measure a detector, and whether it is its own set in the data folder.

    Raises `FileNotFoundError`, and `ValueError` for a detector that has no set there.
    """
    data = data_folder(data_dir)
    if (data / "labels.jsonl").is_file():
        return data, False
    if name not in SETS:
        raise ValueError(
            f"{data} has no set for detector '{name}'; give a folder with a labels.jsonl that has boxes of its labels"
        )
    folder = data / SETS[name]
    if not (folder / "labels.jsonl").is_file():
        raise FileNotFoundError(
            f"{folder / 'labels.jsonl'} does not exist, nor does {data / 'labels.jsonl'}; see docs/models.md"
        )
    return folder, True


def check_classes(about: str, pictures: Sequence[Picture], labels: Sequence[str]) -> list[str]:
    """What to say of the classes that are labelled and of those that are not.

    Raises `ValueError` where boxes are drawn and none of them is for this detector, or where nothing is labelled.
    """
    counts: dict[str, int] = {}
    for picture in pictures:
        for truth in picture.truths:
            counts[truth.label] = counts.get(truth.label, 0) + 1
    aside = {f"{label}{end}" for label in labels for end in (LIKE, UNSURE)}
    strange = {label: count for label, count in counts.items() if label not in labels and label not in aside}
    listed = ", ".join(f"{label} ({count} boxes)" for label, count in strange.items())
    wanted = " or ".join(labels)
    if not any(picture.boxed for picture in pictures):
        raise ValueError(f"{about}: no line has 'boxes'; an empty list would say that there is nothing in a picture")
    if strange and not any(label in counts for label in (*labels, *aside)):
        raise ValueError(
            f"{about}: no box of {wanted}; labelled are {listed}. To measure how often the detector fires on such "
            "pictures, give the folder with --negatives"
        )
    notes = [f"{about}: {listed} unknown to the detector: background"] if strange else []
    missing = [label for label in labels if label not in counts]
    if missing:
        notes.append(f"{about}: no box of {', '.join(missing)}: no average precision, precision or recall for it")
    for label in labels:
        silent = sorted({p.source for p in pictures if p.boxed and label in p.unlabelled})
        if silent:
            count = sum(label in p.unlabelled for p in pictures if p.boxed)
            notes.append(f"{about}: {count} pictures of {', '.join(silent)} left out for {label}, not labelled there")
    unboxed = sum(not picture.boxed for picture in pictures)
    if unboxed:
        notes.append(f"{about}: {unboxed} pictures left out, their lines have no 'boxes'")
    flat = sum(picture.flat for picture in pictures)
    if flat:
        notes.append(f"{about}: {flat} boxes without an area left out")
    return notes


def look(pictures: Iterable[Picture], detect: Detect, read: Read | None, faults: list[str]) -> list[Seen]:
    """Run a detector over pictures. One that cannot be read, or looked at, is told in `faults`."""
    seen = []
    for picture in pictures:
        try:
            image = picture.read() if read is None else picture.read(read)
            check_shape(picture, image)
            seen.append(Seen(picture, tuple(detect(image)), slices.brightness(image)))
        except (OSError, RuntimeError, ValueError) as error:
            text = str(error)
            faults.append(text if str(picture.path) in text else f"{picture.path}: {text}")
    return seen


def check_shape(picture: Picture, image: Image) -> None:
    """Raises `ValueError` where a picture has not the shape that its label says; another scale of it may be."""
    height, width = image.shape[:2]
    scale = width / picture.width
    if abs(picture.height * scale - height) > max(1.0, scale):
        raise ValueError(
            f"{picture.path} has {width}x{height} pixels; its label says {picture.width}x{picture.height}, another "
            "shape, so its boxes would lie wrong"
        )


def tally(pictures: Iterable[Picture], labels: Sequence[str], detect: Detect) -> dict[str, Tally]:
    """Run a detector over pictures and match what it finds, label by label. Raises what `Picture.read` raises."""
    return count((Seen(p, tuple(detect(p.read())), 0.0) for p in pictures), labels)


def count(seen: Iterable[Seen], labels: Sequence[str], span: tuple[float, float] = SPAN) -> dict[str, Tally]:
    """What was found against what is there, label by label; `span` as in `Tally.add`."""
    tallies = {label: Tally() for label in labels}
    for one in seen:
        for label, own in tallies.items():
            if one.counts_for(label):
                own.add(one.of(label), one.truths(label), one.truths(label + UNSURE), span)
    return tallies


def whole(
    name: str, labels: Sequence[str], seen: Sequence[Seen], thresholds: Mapping[str, float], about: str, split: str
) -> list[Figure]:
    """The figures of a set as a whole. A temperature is fitted on `val` alone."""
    tallies = count(seen, labels)
    result = [*figures(name, tallies, thresholds, about), *trust(name, tallies, about, split == "val")]
    for label in labels:
        if label in thresholds:
            result += likes(stem(name, label, labels), label, seen, thresholds[label], about)
    return result


def by_slice(
    name: str, labels: Sequence[str], seen: Sequence[Seen], thresholds: Mapping[str, float], about: str
) -> list[Figure]:
    """The figures of every slice that is there (see `slices`)."""
    parts: dict[str, list[Seen]] = {}
    for one in seen:
        for part in slices.names(one.picture, one.light):
            parts.setdefault(part, []).append(one)
    if sum(part.startswith("source=") for part in parts) == 1:
        parts = {part: inside for part, inside in parts.items() if not part.startswith("source=")}
    result = []
    for part in slices.order(list(parts)):
        words = slices.WORDS.get(part, part.partition("=")[2])
        result += figures(name, count(parts[part], labels), thresholds, f"{about}, {words}", part)
    for part, span in slices.SIZES.items():
        sized = count(seen, labels, span)
        result += of_size(name, sized, thresholds, f"{about}, {slices.WORDS[part]}", part)
    return result


def likes(begin: str, label: str, seen: Sequence[Seen], threshold: float, about: str) -> list[Figure]:
    """The share of boxes labelled as a label's like on which the label is found (IoU 0.5); none where there are none.

    A detection that finds a true box is not held against it: a person may stand before a statue.
    """
    total = hits = 0
    for one in seen:
        alike = one.truths(label + LIKE)
        if not alike:
            continue
        total += len(alike)
        sure = sorted((d for d in one.of(label) if d.score >= threshold), key=lambda d: -d.score)
        boxes, true = as_array([d.box for d in sure]), as_array(one.truths(label))
        right, _ = match(ious(boxes, true), np.zeros(len(true), np.bool_))
        hits += int((ious(boxes[~right[:, 0]], as_array(alike)) >= IOUS[0]).any(axis=0).sum())
    conditions = f"{about}, {hits} of {total} {label + LIKE} boxes, IoU 0.5, score >= {threshold:g}"
    return [Figure(f"{begin}.like_rate", hits / total, "", conditions)] if total else []
