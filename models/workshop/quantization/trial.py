"""One way to quantize tried after the other: the network, its ranges, and the rows measured so far.

Every row is on disk as soon as it is known, under a name that the network, the pictures and the calibration give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from models.workshop.progress import bar
from models.workshop.quantization.judge import Grade, Judge, hold, race
from models.workshop.quantization.quantize import Prepared, check_labels, feeds, prepare, quantized, save
from models.workshop.quantization.ranges import CHECKPOINTS, Spread, collect
from models.workshop.quantization.record import Row
from models.workshop.quantization.settings import Settings
from models.workshop.release.golden import sha256
from models.workshop.sets.data import Picture

Log = Callable[[str], None]


@dataclass
class Bench:
    """A study on its way: the network, its ranges by number of pictures, the judge, and the rows so far."""

    source: Path
    prepared: Prepared
    spreads: dict[int, dict[str, Spread]]
    judge: Judge
    reference: Grade
    folder: Path
    kept: dict[str, Row]
    rounds: int
    log: Log

    def ranges(self, settings: Settings) -> dict[str, Spread]:
        """The ranges of the number of pictures that the settings want. Raises `ValueError` for another number."""
        if settings.pictures not in self.spreads:
            known = ", ".join(map(str, self.spreads))
            raise ValueError(f"{settings.pictures} calibration pictures were not collected; there are {known}")
        return self.spreads[settings.pictures]

    def write(self, settings: Settings) -> Path:
        """The artefact of the settings, in the study's folder."""
        path = self.folder / f"{key(settings)}.onnx"
        return save(self.prepared, quantized(self.prepared, settings, self.ranges(settings)), path)

    def row(self, target: str, what: str, settings: Settings) -> Row:
        """The settings measured on the subset, or as they were measured before."""
        name = f"{target} {key(settings)}"
        if name not in self.kept:
            path = self.write(settings)
            grade = self.judge.grade(path)
            feed = next(feeds(self.judge.pictures[:1], self.judge.spec))
            ms, fp32_ms, share = race(path, self.source, feed, self.rounds)
            self.kept[name] = Row(
                target=target,
                what=what,
                settings=settings,
                map50=grade.map50,
                loss=self.reference.map50 - grade.map50,
                f1_loss=self.reference.f1 - grade.f1,
                bytes=path.stat().st_size,
                ms=ms,
                fp32_ms=fp32_ms,
                time=share,
            )
            path.unlink()
            self.keep()
            one = self.kept[name]
            self.log(
                f"{target}: {what}: loss {one.loss:+.4f}, of F1 {one.f1_loss:+.4f}, "
                f"time {one.time:.2f} of FP32, {one.bytes / 1e6:.2f} MB"
            )
        return self.kept[name]

    def keep(self) -> None:
        """Write the rows so far, whole or not at all."""
        path = self.folder / "rows.json"
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self.kept))
        part.replace(path)


def open_bench(
    source: Path,
    name: str,
    judge: Judge,
    calibration: Sequence[Picture],
    folder: Path,
    log: Log,
    rounds: int,
) -> Bench:
    """Prepare the network, collect its ranges, and read the rows that are there. See `study.study`."""
    prepared = prepare(source)
    check_labels(prepared, source, judge.labels)
    count = min(max(CHECKPOINTS), len(calibration))
    pictures = calibration[:count]
    with bar(f"quantize {name}: ranges", 2 * count) as shown:
        spreads = collect(
            prepared.model, prepared.tensors, lambda: feeds(pictures, judge.spec), CHECKPOINTS, told=shown.advance
        )
    held = replace(judge, pictures=[hold(picture) for picture in judge.pictures])
    # Rows of another network or threshold, of other pictures or another calibration are no rows of this study.
    parts = [sha256(source), str(dict(judge.thresholds)), *(str(p.path) for p in (*judge.pictures, *pictures))]
    inside = folder / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    inside.mkdir(parents=True, exist_ok=True)
    rows = inside / "rows.json"
    kept = msgspec.json.decode(rows.read_bytes(), type=dict[str, Row]) if rows.is_file() else {}
    if kept:
        log(f"{len(kept)} rows of this study are there already")
    return Bench(source, prepared, spreads, held, held.grade(source), inside, kept, rounds, log)


def key(settings: Settings) -> str:
    """A name for the settings."""
    return hashlib.sha256(msgspec.json.encode(settings)).hexdigest()[:16]
