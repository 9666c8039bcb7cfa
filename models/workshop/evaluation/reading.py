"""How well plates are read: whole texts right, on true boxes and end to end, and characters.

`O` and `0` are one character here: on plates they are one shape, and label files write either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from contract.detections import Box, Detection, iou
from contract.plates import PROVINCES
from models.workshop.evaluation.degraded import WORDS, Degraded
from models.workshop.evaluation.figures import Figure
from models.workshop.sets.data import Image, Picture

Reads = Callable[[Image, Box], str]
"""From a picture (HxWx3 BGR) and the box of a plate in shares of it to the text on it, empty without one."""
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
OVERLAP = 0.5
"""IoU from which a detection is of a plate."""


@dataclass(frozen=True)
class Asked:
    """A plate whose text is known: what was read in its true box, how long that took, and what was found and read.

    `found` is None where the picture is the plate: there is nothing to find.
    """

    source: str
    file: str
    text: str
    read: str
    ms: float
    found: str | None
    way: str = ""
    """How the picture was degraded (see `degraded`), empty where it was not."""


def ask(
    pictures: Iterable[Picture],
    label: str,
    detect: Callable[[Image], list[Detection]],
    reads: Reads,
    threshold: float,
    faults: list[str],
) -> list[Asked]:
    """Read every plate of `label` with a known text. A picture that cannot be looked at is told in `faults`."""
    result = []
    for picture in pictures:
        try:
            result += list(_ask(picture, label, detect, reads, threshold))
        except (OSError, RuntimeError, ValueError) as error:
            faults.append(str(error) if str(picture.path) in str(error) else f"{picture.path}: {error}")
    return result


def _ask(
    picture: Picture, label: str, detect: Callable[[Image], list[Detection]], reads: Reads, threshold: float
) -> Iterator[Asked]:
    known = [(WHOLE, text) for text in picture.texts]
    if picture.boxed:
        w, h = picture.width, picture.height
        known = [
            ((t.box[0] / w, t.box[1] / h, t.box[2] / w, t.box[3] / h), text)
            for t, text in zip(picture.truths, picture.texts, strict=bool(picture.texts))
            if t.label == label
        ]
    if not known:
        return
    image = picture.read()
    sure = [d for d in detect(image) if d.label == label and d.score >= threshold] if picture.boxed else []
    for box, text in known:
        began = time.perf_counter()
        read = reads(image, box)
        took = 1000 * (time.perf_counter() - began)
        found = None
        if picture.boxed:
            best = max(sure, key=lambda d: iou(d.box, box), default=None)
            found = reads(image, best.box) if best is not None and iou(best.box, box) >= OVERLAP else ""
        way = picture.way if isinstance(picture, Degraded) else ""
        yield Asked(picture.source, picture.path.name, text, read, took, found, way)


def figures(name: str, asked: Sequence[Asked], about: str) -> list[Figure]:
    """`whole_read`, `whole_read_e2e`, `char_acc` and the time of a plate: of all, by source, and by the way in which
    pictures were degraded."""
    plain = [one for one in asked if not one.way]
    result = _figures(name, plain, about, "")
    for source in sorted({one.source for one in plain}):
        result += _figures(name, [one for one in plain if one.source == source], about, f"source={source}")
    for way, words in WORDS.items():
        result += _figures(name, [one for one in asked if one.way == way], f"{about}, {words}", f"look={way}")
    return result


def _figures(name: str, asked: Sequence[Asked], about: str, part: str) -> list[Figure]:
    if not asked:
        return []
    conditions = f"{about}, {len(asked)} plates with a known text, true boxes"
    wrong = tuple(
        {"picture": one.file, "text": one.text, "read": one.read} for one in asked if not same(one.read, one.text)
    )
    result = [
        Figure(f"{name}.whole_read", 1 - len(wrong) / len(asked), "", conditions, part, wrong),
        Figure(f"{name}.char_acc", float(np.mean([correct(o.read, o.text) for o in asked])), "", conditions, part),
        Figure(f"{name}.read_ms", median(o.ms for o in asked), "ms", f"{conditions}, median", part),
    ]
    chinese = [one for one in asked if one.text[:1] in PROVINCES and one.text]
    if chinese:
        right = np.mean([same(one.read[1:], one.text[1:]) for one in chinese])
        counted = f"{about}, {len(chinese)} Chinese plates, without the province, true boxes"
        result.append(Figure(f"{name}.whole_read_no_province", float(right), "", counted, part))
    sought = [one for one in asked if one.found is not None]
    if sought:
        right = np.mean([same(one.found or "", one.text) for one in sought])
        found = f"{about}, {len(sought)} plates, found (IoU {OVERLAP:g}) and read"
        result.append(Figure(f"{name}.whole_read_e2e", float(right), "", found, part))
    return result


def plain(text: str) -> str:
    """A text without what no plate says: spaces, dots and dashes; `O` written as `0`."""
    return "".join(one for one in text.upper() if one.isalnum()).replace("O", "0")


def same(one: str, other: str) -> bool:
    """Whether two texts are the same plate."""
    return plain(one) == plain(other)


def correct(read: str, text: str) -> float:
    """Share of a text's characters that were read: 1 less the edit distance (Levenshtein 1966) over its length."""
    a, b = plain(read), plain(text)
    row = list(range(len(b) + 1))
    for n, one in enumerate(a, 1):
        before, row[0] = row[0], n
        for m, other in enumerate(b, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (one != other))
    return max(0.0, 1 - row[-1] / max(1, len(b)))
