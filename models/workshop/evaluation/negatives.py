"""How often a detector sees something where nothing is: the share of real pictures without any truth on which it fires.

Such pictures are those of the measured split in which all of the detector's labels are labelled and none is there, and
the pictures of other sets, which were made for other things: nobody burns in a set of number plates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.detections import Detection
from models.workshop.evaluation.figures import Figure
from models.workshop.evaluation.intervals import share_upper
from models.workshop.sets.data import Picture, read_set

SHOWN = 50
"""Rows of the table of pictures that fired."""
OTHERS: Mapping[str, Mapping[str, Sequence[tuple[str, str]]]] = {
    "fire": {
        "val": (("person", "val"), ("plate", "val")),
        "test": (
            ("person", "test"),
            ("person", "val"),
            ("plate", "test"),
            ("plate", "val"),
            ("plate", "read"),
            ("crowd", "test"),
        ),
    }
}
"""By detector and measured split, the sets and splits of the data folder that are real negatives besides. A measurement
on `val`, by which thresholds may be chosen, looks at no `test` picture of any set."""


@dataclass(frozen=True)
class Quiet:
    """A set of which every picture that is no truth's is a negative; `name` is what it is called in a report."""

    folder: Path
    split: str | None
    name: str

    def pictures(self, labels: Sequence[str]) -> list[Picture]:
        """Its negatives for a detector of `labels`. Raises what `read_set` raises, `ValueError` when there is none."""
        found = [p for p in read_set(self.folder, self.split, anywhere=False) if is_negative(p, labels)]
        if not found:
            raise ValueError(f"{self.name}: every picture shows {' or '.join(labels)}, or may; none is a negative")
        return found


def quiet_set(text: str) -> Quiet:
    """A set from `DIR` or `DIR:SPLIT`. Raises `ValueError` where there is no `labels.jsonl` in it."""
    for path, split in ((text, ""), tuple(text.rsplit(":", 1)) if ":" in text else (text, "")):
        folder = Path(path)
        if (folder / "labels.jsonl").is_file():
            return Quiet(folder, split or None, f"{folder.resolve().name}/{split or 'all'}")
    raise ValueError(f"negatives '{text}': no labels.jsonl there; give a folder in the label format, or FOLDER:SPLIT")


def other_sets(name: str, split: str, data: Path) -> list[Quiet]:
    """The sets of `OTHERS` that are in the data folder."""
    wanted = OTHERS.get(name, {}).get(split, ())
    found = ((folder, part) for folder, part in wanted if (data / folder / "labels.jsonl").is_file())
    return [Quiet(data / folder, part, f"{folder}/{part}") for folder, part in found]


def is_negative(picture: Picture, labels: Sequence[str]) -> bool:
    """Whether nothing of `labels` is in a picture, for certain."""
    seen = {truth.label.rstrip("?") for truth in picture.truths} | ({"person"} if picture.heads else set())
    return not (seen | picture.unlabelled) & set(labels)


@dataclass(frozen=True)
class Look:
    """A negative picture, and what was found in it."""

    picture: Picture
    found: tuple[Detection, ...]

    def fired(self, thresholds: Mapping[str, float]) -> list[Detection]:
        """What reaches its threshold, the surest first."""
        return sorted((d for d in self.found if d.score >= thresholds.get(d.label, 2.0)), key=lambda d: -d.score)


def fired(name: str, sets: Mapping[str, Sequence[Look]], thresholds: Mapping[str, float]) -> list[Figure]:
    """The share of negatives that fire, and its upper bound: of all sets together, and set by set as slices.

    A table beside the whole share names the pictures that did, at most `SHOWN` of them.
    """
    known = {key: looks for key, looks in sets.items() if looks}
    if not known or not thresholds:
        return []
    at = ", ".join(f"{label} >= {value:g}" for label, value in thresholds.items())
    every = [look for looks in known.values() for look in looks]
    parts = {"": every} | ({f"negatives={key}": looks for key, looks in known.items()} if len(known) > 1 else {})
    result = []
    for part, looks in parts.items():
        hot = [look for look in looks if look.fired(thresholds)]
        where = part.partition("=")[2] or ", ".join(f"{key} {len(looks)}" for key, looks in known.items())
        about = f"{where}: {len(hot)} of {len(looks)} pictures without a truth, {at}"
        rows = () if part else tuple(_row(look, thresholds) for look in hot[:SHOWN])
        bound = share_upper(len(hot), len(looks))
        result += [
            Figure(f"{name}.negatives.fired", len(hot) / len(looks), "", about, part, rows),
            Figure(f"{name}.negatives.fired_upper", bound, "", f"{about}; one-sided 95 %, Clopper-Pearson", part),
        ]
    return result


def _row(look: Look, thresholds: Mapping[str, float]) -> dict[str, Any]:
    best = look.fired(thresholds)[0]
    return {"image": str(look.picture.path), "label": best.label, "score": round(best.score, 4)}
