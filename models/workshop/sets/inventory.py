"""What there is to learn from and to be measured on, in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from models.workshop.sets.duplicates import NEAR
from models.workshop.sets.licences import allows, licence_of
from models.workshop.sets.merge import LEARNED, Merged, evidence


def report(merged: Merged) -> Iterator[str]:
    """The sets by source and split, boxes by label, licences with what they allow, and what was nearly the same."""
    yield from _slices(merged)
    yield ""
    yield "LICENCES"
    for source in sorted({e.picture.source for e in merged.entries}):
        yield f"  {source:34} {licence_of(source)}: {allows(source)}"
    yield ""
    yield from _duplicates(merged)


def _slices(merged: Merged) -> Iterator[str]:
    pictures: dict[tuple[str, str, str], int] = {}
    kept: dict[tuple[str, str, str], int] = {}
    boxes: dict[tuple[str, str, str], dict[str, int]] = {}
    for e in merged.entries:
        key = (e.set, e.picture.source, e.picture.split)
        pictures[key] = pictures.get(key, 0) + 1
        kept[key] = kept.get(key, 0) + (not e.why)
        labels = boxes.setdefault(key, {})
        for truth in e.picture.truths:
            labels[truth.label] = labels.get(truth.label, 0) + 1
    yield f"{'SET':8} {'SOURCE':34} {'SPLIT':6} {'PICTURES':>8} {'KEPT':>6}  BOXES"
    for key, count in pictures.items():
        labels = boxes[key]
        text = ", ".join(f"{label} {labels[label]}" for label in sorted(labels)) or "none"
        yield f"{key[0]:8} {key[1]:34} {key[2]:6} {count:8} {kept[key]:6}  {text}"
    yield f"{len(merged.entries)} pictures, {sum(kept.values())} kept"


def _duplicates(merged: Merged) -> Iterator[str]:
    yield f"NEARLY THE SAME (at most {NEAR} of 64 bits apart, mirrored or not), pairs across splits and sets"
    for where, count in merged.crossing().items():
        yield f"  {where:34} {count}"
    reasons = {"near a test picture": "near ", "copies within train": "a copy", "not readable": "cannot be read"}
    for reason, begins in reasons.items():
        gone = [e for e in merged.entries if e.why.startswith(begins)]
        places = Counter(f"{e.set}/{e.picture.split}" for e in gone)
        yield f"left out, {reason}: {len(gone)}" + "".join(f", {place} {n}" for place, n in sorted(places.items()))
    for e in merged.entries:
        if e.why.startswith("cannot be read"):
            yield f"  {e.name}: {e.why}"
    learned = sum(e.picture.split in LEARNED for e in merged.entries)
    lost = sum(e.picture.split in LEARNED and bool(e.why) for e in merged.entries)
    yield f"of {learned} pictures of train and val {learned - lost} are learned from"
    seen = evidence(merged)
    yield (
        f"the limit: {seen.mistaken} of {seen.strangers} pairs from different sets are within it, "
        f"{seen.recognised} of {seen.grouped} pictures of a stated group have another of it within"
    )
