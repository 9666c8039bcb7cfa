"""The image sets as one: every picture with its licence, and whether it may be trained on.

Pictures of a scene that a test split shows teach the answer, so those of `train` and `val` that are nearly the same as
one outside of them are left out, across all sets. Copies of one picture within `train` are kept once. The result is
`data.json` in the work folder; training reads it and goes nowhere without it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from models.workshop.provenance import write_json
from models.workshop.sets.data import Picture, read_set
from models.workshop.sets.duplicates import NEAR, SAME, Pair, Print, Prints, pairs
from models.workshop.sets.licences import allows, licence_of

SETS = ("fire", "person", "plate", "crowd")
LEARNED = ("train", "val")
"""The splits that training and the choice of thresholds may look at. All others are tests."""
FORMAT = 1
FILE = "data.json"


class DataError(ValueError):
    """The work folder's `data.json` is missing, or was made for other label files."""


@dataclass(frozen=True)
class Entry:
    """A picture of a set; `group` is the near-duplicate group that the label file states, empty where it states none.
    `why` says for what it was left out, and is empty where it is kept."""

    set: str
    image: str
    group: str
    picture: Picture
    print: Print | None
    why: str = ""

    @property
    def name(self) -> str:
        """`fire/train/x.webp`."""
        return f"{self.set}/{self.image}"


@dataclass(frozen=True)
class Merged:
    """All pictures, and the pairs of them that are nearly the same (places in `entries`)."""

    entries: tuple[Entry, ...]
    near: tuple[Pair, ...]

    def crossing(self) -> dict[str, int]:
        """Near pairs by where their pictures lie, such as `fire/train - fire/test`; none within one split."""
        counted: dict[str, int] = {}
        for pair in self.near:
            ends = sorted(
                (f"{e.set}/{e.picture.split}" for e in (self.entries[pair.first], self.entries[pair.second])),
                reverse=True,
            )
            if ends[0] != ends[1]:
                counted[" - ".join(ends)] = counted.get(" - ".join(ends), 0) + 1
        return dict(sorted(counted.items()))


def merge(data: Path, work: Path, sets: Sequence[str] = SETS) -> Merged:
    """Read the sets, hash every picture, find what is nearly the same, decide, and write `work/data.json`.

    Hashes are kept in `work/hashes.jsonl`, so a run that was broken off goes on. Raises `FileNotFoundError` for a set
    without labels. A picture that cannot be read is left out, and says so.
    """
    found = [entry for name in sets for entry in _entries(data / name, name)]
    prints = Prints(work / "hashes.jsonl").of([e.picture.path for e in found])
    read = [
        Entry(e.set, e.image, e.group, e.picture, None, f"cannot be read: {p}")
        if isinstance(p, ValueError)
        else Entry(e.set, e.image, e.group, e.picture, p)
        for e, p in zip(found, prints, strict=True)
    ]
    merged = decide(read)
    write_json(work / FILE, _document(merged, {name: labels_hash(data / name) for name in sets}))
    return merged


def _entries(folder: Path, name: str) -> list[Entry]:
    groups = {}
    pictures = read_set(folder)
    for line in (folder / "labels.jsonl").read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            row = json.loads(line)
            groups[str(row["image"])] = str(row.get("group", ""))
    images = [picture.path.relative_to(folder).as_posix() for picture in pictures]
    return [Entry(name, i, groups.get(i, ""), p, None) for i, p in zip(images, pictures, strict=True)]


def decide(entries: Sequence[Entry]) -> Merged:
    """Which pictures are left out of training, and why."""
    hashed = [n for n, e in enumerate(entries) if e.print is not None]
    prints = [p for e in entries if (p := e.print) is not None]
    near = tuple(Pair(hashed[p.first], hashed[p.second], p.distance) for p in pairs(prints, NEAR))
    why: dict[int, str] = {}
    for pair in sorted(near, key=lambda p: p.distance):
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if entries[one].picture.split in LEARNED and entries[other].picture.split not in LEARNED:
                why.setdefault(one, f"near {entries[other].name}, {pair.distance} bits apart")
    # Of copies the one is kept that says most: nothing unlabelled, many boxes.
    best = sorted(
        (n for n in hashed if entries[n].picture.split == "train" and n not in why),
        key=lambda n: (len(entries[n].picture.unlabelled), -len(entries[n].picture.truths), n),
    )
    copies: dict[int, list[int]] = {}
    for pair in near:
        if pair.distance <= SAME and entries[pair.first].set == entries[pair.second].set:
            copies.setdefault(pair.first, []).append(pair.second)
            copies.setdefault(pair.second, []).append(pair.first)
    wanted = set(best)
    for n in best:
        if n not in why:
            for other in copies.get(n, ()):
                if other in wanted:
                    why.setdefault(other, f"a copy of {entries[n].name}")
    kept = [Entry(e.set, e.image, e.group, e.picture, e.print, e.why or why.get(n, "")) for n, e in enumerate(entries)]
    return Merged(tuple(kept), near)


@dataclass(frozen=True)
class Evidence:
    """How well the limit tells the same scene from others: pairs of pictures from different sets, and how many of them
    are within it; pictures that share a stated group with others, and how many have one of these within it."""

    strangers: int
    mistaken: int
    grouped: int
    recognised: int


def evidence(merged: Merged) -> Evidence:
    """Measure the limit `NEAR` on what the sets themselves say: groups, and pictures that have nothing in common."""
    entries, sizes, groups = merged.entries, dict[str, int](), dict[tuple[str, str], int]()
    for e in entries:
        if e.print is not None:
            sizes[e.set] = sizes.get(e.set, 0) + 1
            groups[e.set, e.group] = groups.get((e.set, e.group), 0) + 1
    total = sum(sizes.values())
    mistaken, recognised = 0, set[int]()
    for pair in merged.near:
        one, other = entries[pair.first], entries[pair.second]
        mistaken += one.set != other.set
        if one.set == other.set and one.group and one.group == other.group:
            recognised |= {pair.first, pair.second}
    return Evidence(
        strangers=sum(n * (total - n) for n in sizes.values()) // 2,
        mistaken=mistaken,
        grouped=sum(n for (_, group), n in groups.items() if group and n > 1),
        recognised=len(recognised),
    )


def labels_hash(folder: Path) -> str:
    """SHA-256 of a set's label file."""
    return sha256((folder / "labels.jsonl").read_bytes()).hexdigest()


def _document(merged: Merged, labels: dict[str, str]) -> dict[str, Any]:
    pictures = []
    for e in merged.entries:
        boxes: dict[str, int] = {}
        for truth in e.picture.truths:
            boxes[truth.label] = boxes.get(truth.label, 0) + 1
        row: dict[str, Any] = {"set": e.set, "image": e.image, "split": e.picture.split, "source": e.picture.source}
        row |= {"boxes": boxes, "hash": None if e.print is None else f"{e.print[0]:016x}"}
        pictures.append(row | {"kept": not e.why, "why": e.why})
    sources = sorted({e.picture.source for e in merged.entries})
    return {
        "format": FORMAT,
        "limits": {"near": NEAR, "same": SAME, "of": 64},
        "labels": labels,
        "licences": {s: {"licence": licence_of(s), "allows": allows(s)} for s in sources},
        "crossing": merged.crossing(),
        "pictures": pictures,
    }


def training(folder: Path, work: Path, split: str = "train") -> list[Picture]:
    """The pictures of a set's split that may be learned from: those that `work/data.json` keeps.

    Raises `DataError` when there is no `data.json`, or one that was made for another label file, and what `read_set`
    raises.
    """
    pictures = read_set(folder, split)
    gone = left_out(folder, work)
    return [p for p in pictures if p.path.relative_to(folder).as_posix() not in gone]


def left_out(folder: Path, work: Path) -> frozenset[str]:
    """Pictures of a set (as its label file names them) that must not be learned from. Raises as `training` does."""
    path = work / FILE
    again = "run: vedette models data --work " + str(work)
    if not path.is_file():
        raise DataError(f"{path} does not exist, so nobody knows which pictures are also in a test; {again}")
    form, labels, gone = _read(path, path.stat().st_mtime_ns)
    if form != FORMAT:
        raise DataError(f"{path} is of another version of the workshop (format {form}, needed {FORMAT}); {again}")
    if folder.name not in labels:
        raise DataError(f"{path} does not know the set '{folder.name}'; {again}")
    if labels[folder.name] != labels_hash(folder):
        raise DataError(f"{folder / 'labels.jsonl'} is not the one that {path} was made from; {again}")
    return gone.get(folder.name, frozenset())


@cache
def _read(path: Path, _changed: int) -> tuple[object, dict[str, str], dict[str, frozenset[str]]]:
    try:
        document = json.loads(path.read_text())
        gone: dict[str, set[str]] = {}
        for row in document.get("pictures", ()):
            if not row["kept"]:
                gone.setdefault(row["set"], set()).add(row["image"])
        return document.get("format"), document.get("labels", {}), {name: frozenset(g) for name, g in gone.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is broken ({error!r}); delete it and run vedette models data again") from error
