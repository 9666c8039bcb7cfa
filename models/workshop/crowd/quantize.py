"""INT8 artefacts of the counter, by settings that were tried on pictures held out of training.

What quantization may not do is count otherwise. A mean error can fall by luck, so the setting is taken whose counts
move least from those of FP32; of those within `ALIKE` of it the quickest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from models.workshop.crowd.recipe import FRAME, INPUT, NAME
from models.workshop.crowd.runner import CountRunner
from models.workshop.progress import Log
from models.workshop.quantization.judge import Held, hold, machine, race
from models.workshop.quantization.quantize import Prepared, calibrate, prepare, quantized, save
from models.workshop.quantization.ranges import Feed
from models.workshop.quantization.record import FILE, RecordError
from models.workshop.quantization.settings import METHODS, Settings
from models.workshop.release.golden import sha256
from models.workshop.sets.data import Picture

ALIKE = 0.005
"""Shares of a count between which there is nothing to choose."""
FLOATS = (0, 1, 3)
"""Numbers of first convolutions that are tried in FP32."""
ACTIVATIONS = {"x86-u8s8": "u8", "arm64-s8s8": "s8"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One way to quantize, measured. `moved` is the mean of what counts differ from those of FP32, as shares of these;
    `time` is its share of FP32's time, one thread, in turns."""

    target: str
    settings: Settings
    mae: float
    moved: float
    ms: float
    time: float
    bytes: int


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """`quantization.json` of a counter: what was tried, and what was chosen."""

    schema: int = 1
    model: str
    source_sha256: str
    machine: str
    data: str
    calibration: str
    fp32_mae: float
    fp32_ms: float
    rows: tuple[Row, ...]
    chosen: dict[str, Settings]


def quantize_counter(
    source: Path, calibration: Sequence[Picture], held: Sequence[Picture], folder: Path, work: Path, log: Log
) -> dict[str, Path]:
    """Try the settings, write the artefact of each target and `quantization.json` into `folder`; files by target.

    `calibration` are training pictures, `held` such as were held out. Raises `FileNotFoundError` without `source`,
    `ValueError` without pictures.
    """
    prepared, shown = prepare(source), [hold(picture) for picture in held]
    spreads = calibrate(prepared, calibration, INPUT)
    true = np.array([len(picture.heads or ()) for picture in held])
    reference = _counts(source, shown)
    noise = np.random.default_rng(1).integers(0, 255, (1, 3, FRAME[1], FRAME[0]))
    feed: Feed = {"images": noise.astype(np.uint8)}
    work.mkdir(parents=True, exist_ok=True)
    rows, fp32_ms = [], []
    for target, settings in ways(prepared):
        path = save(prepared, quantized(prepared, settings, spreads), work / f"{target}.onnx")
        counts = _counts(path, shown)
        ms, other, share = race(path, source, feed)
        fp32_ms.append(other)
        rows.append(
            Row(
                target=target,
                settings=settings,
                mae=round(float(np.abs(counts - true).mean()), 3),
                moved=round(float((np.abs(counts - reference) / np.maximum(reference, 1)).mean()), 4),
                ms=round(ms, 1),
                time=round(share, 3),
                bytes=path.stat().st_size,
            )
        )
        log(f"{target} {described(settings)}: off by {rows[-1].mae}, moved {rows[-1].moved}, time {rows[-1].time}")
    picked = {target: choose([row for row in rows if row.target == target]) for target in ACTIVATIONS}
    made = {}
    for target, row in picked.items():
        made[target] = save(prepared, quantized(prepared, row.settings, spreads), folder / f"{NAME}.{target}.onnx")
    found = Tried(
        model=NAME,
        source_sha256=sha256(source),
        machine=machine(),
        data=f"{len(held)} pictures held out of training",
        calibration=f"{len(calibration)} training pictures",
        fp32_mae=round(float(np.abs(reference - true).mean()), 3),
        fp32_ms=round(float(np.median(fp32_ms)), 1),
        rows=tuple(rows),
        chosen={target: row.settings for target, row in picked.items()},
    )
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return made


def ways(prepared: Prepared) -> Iterator[tuple[str, Settings]]:
    """Every setting that is tried, with its target."""
    for target, activation in ACTIVATIONS.items():
        for method in METHODS:
            for floats in FLOATS:
                yield target, Settings(activation=activation, method=method, float_layers=prepared.layers[:floats])


def choose(rows: Sequence[Row]) -> Row:
    """See above."""
    least = min(row.moved for row in rows)
    return min((row for row in rows if row.moved <= least + ALIKE), key=lambda row: (row.time, row.moved))


def read_tried(folder: Path) -> Tried | None:
    """The record of a release, None where there is none. Raises `RecordError` when it cannot be read."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tried)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path}: {error}; delete it, or make it again with 'vedette models quantize'") from error


def described(settings: Settings) -> str:
    """A setting in few words."""
    floats = len(settings.float_layers)
    return f"{settings.method}, {floats} layers in FP32" if floats else settings.method


def _counts(path: Path, shown: Sequence[Held]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    run = CountRunner(path)
    return np.array([run(picture.read())[0] for picture in shown])
