"""Which INT8 settings suit a model: many are tried, each on the same pictures, and the table says why one was chosen.

1. One setting at a time away from the target's plain form, with every layer in INT8.
2. The layers one by one (how much of the scores one layer alone moves), then the smallest set of layers in FP32 with
   which the loss is small enough (`MAX_LOSS` of mAP50, `MAX_F1_LOSS` of F1 at the shipped thresholds): the worst
   first, by every method of calibration, then without each that is not needed. Which method is the best one while a
   layer spoils everything says nothing of the rest.
3. Formats, 7-bit weights and one scale a tensor again, with those layers in FP32; and the settings stated for a model
   without a study.
4. The best few on the whole of `val`: of those whose loss is small enough the quickest is chosen. Time measured on
   another kind of processor than the target's says nothing: there it is the one that loses least.

Every row is kept in the work folder as soon as it is known, so that a study that was broken off goes on.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.workshop.progress import bar
from models.workshop.quantization.judge import Judge, machine, spaced
from models.workshop.quantization.quantize import Prepared, feeds, quantized
from models.workshop.quantization.ranges import CHECKPOINTS, Feed
from models.workshop.quantization.record import MAX_F1_LOSS, MAX_LOSS, Layer, Row, Study
from models.workshop.quantization.settings import METHODS, TARGETS, Settings
from models.workshop.quantization.trial import Bench, Log, key, open_bench
from models.workshop.release.golden import sha256
from models.workshop.session import open_session
from models.workshop.sets.data import Picture

SUBSET, LOOKED = 200, 24
"""Pictures of `val` that each row is measured on, and that each layer is tried on."""
FINALISTS = 4
SEEN = 0.05
"""A score from which a cell counts when a layer is tried."""
HOME = {"x86-u8s8": ("x86_64", "AMD64"), "arm64-s8s8": ("aarch64", "arm64")}


def study(
    source: Path,
    name: str,
    judge: Judge,
    whole: Sequence[Picture],
    calibration: Sequence[Picture],
    folder: Path,
    log: Log,
    targets: Sequence[str] = tuple(TARGETS),
    rounds: int = 20,
    looked: int = LOOKED,
) -> Study:
    """Try settings for the FP32 file `source`, and choose one a target.

    `judge` measures on a subset of `val`, `whole` is all of it; `calibration` are training pictures, mixed, as many as
    the largest of `ranges.CHECKPOINTS` where there are so many. `folder` keeps the rows. Raises `ValueError` without
    pictures, `FileNotFoundError` without the file.
    """
    if not calibration:
        raise ValueError(f"study of '{name}': no pictures to calibrate on")
    bench = open_bench(source, name, judge, calibration, folder, log, rounds)
    layers = _layers(bench, judge.pictures[:looked])
    rows: list[Row] = []
    chosen: dict[str, Settings] = {}
    reasons: dict[str, str] = {}
    for target in targets:
        found = _tried(bench, target, layers, next(iter(chosen.values()), None))
        picked, reason, found = _choose(bench, target, found, whole)
        rows += found
        chosen[target], reasons[target] = picked.settings, reason
        log(f"{target}: {reason}")
    return Study(
        model=name,
        source_sha256=sha256(source),
        machine=machine(),
        data=f"{len(judge.pictures)} of {len(whole)} pictures of val, evenly spaced",
        calibration=f"training pictures, up to {min(max(CHECKPOINTS), len(calibration))}",
        fp32_map50=bench.reference.map50,
        fp32_bytes=source.stat().st_size,
        rows=tuple(rows),
        layers=tuple(layers),
        chosen=chosen,
        reasons=reasons,
    )


def plain(target: str) -> Settings:
    """The plain form of a target: every layer of the body in INT8."""
    return msgspec.structs.replace(TARGETS[target], float_layers=())


def alone(base: Settings) -> dict[str, Settings]:
    """One setting at a time away from `base`, by what is other."""
    other: list[tuple[str, dict[str, object]]] = [
        (f"calibration {method}", {"method": method}) for method in METHODS if method != base.method
    ]
    other += [(f"{count} pictures", {"pictures": count}) for count in CHECKPOINTS if count != base.pictures]
    other += [
        ("not symmetric" if base.symmetric else "symmetric", {"symmetric": not base.symmetric}),
        ("a scale a tensor", {"per_channel": False}),
        ("7-bit weights", {"reduce_range": True}),
        ("QOperator", {"format": "qoperator"}),
    ]
    return {what: msgspec.structs.replace(base, **change) for what, change in other}


def _tried(bench: Bench, target: str, layers: Sequence[Layer], before: Settings | None) -> list[Row]:
    """All rows of a target; `before` is what was chosen for the one before."""
    base = plain(target)
    first = bench.row(target, "every layer INT8", base)
    rows = [first, *(bench.row(target, what, settings) for what, settings in alone(base).items())]
    best = _joined(base, rows)
    if best != base:
        rows.append(bench.row(target, "the best of each", best))
    found, tried = _smallest(bench, target, base, [layer.name for layer in layers], before)
    rows += tried
    for what, settings in alone(found).items():
        if settings.method == found.method and settings.pictures == found.pictures:
            rows.append(bench.row(target, f"those layers FP32, {what}", settings))
    rows.append(bench.row(target, "the stated settings", _known(bench.prepared, TARGETS[target])))
    return list({key(row.settings): row for row in rows}.values())


def _known(prepared: Prepared, settings: Settings) -> Settings:
    """The settings with those of its layers that the network has."""
    layers = tuple(name for name in settings.float_layers if name in prepared.layers)
    return msgspec.structs.replace(settings, float_layers=layers)


def _joined(base: Settings, rows: Sequence[Row]) -> Settings:
    """Of each setting of precision the value with the least loss: method, number of pictures, symmetry, scales."""
    changes: dict[str, object] = {}
    for setting in ("method", "pictures", "symmetric", "per_channel"):
        own = [
            row
            for row in rows
            if row.settings == msgspec.structs.replace(base, **{setting: getattr(row.settings, setting)})
        ]
        changes[setting] = getattr(min(own, key=lambda row: row.excess).settings, setting)
    return msgspec.structs.replace(base, **changes)


def _layers(bench: Bench, pictures: Sequence[Picture]) -> list[Layer]:
    """How much of the scores each layer moves that is alone in INT8, the worst first."""
    path = bench.folder / "layers.json"
    if path.is_file():
        return msgspec.json.decode(path.read_bytes(), type=list[Layer])
    given = list(feeds(pictures, bench.judge.spec))
    before = [_scores(bench.prepared.model.SerializeToString(), feed) for feed in given]
    result = []
    base = plain(next(iter(TARGETS)))
    with bar(f"layers of {bench.source.name}", len(bench.prepared.layers)) as shown:
        for name in bench.prepared.layers:
            model = quantized(bench.prepared, base, bench.ranges(base), frozenset({name}))
            session = open_session(model.SerializeToString())
            moved = []
            for feed, old in zip(given, before, strict=True):
                new = np.asarray(session.run([session.get_outputs()[0].name], feed)[0])
                moved.append(float(np.abs(new - old)[(new >= SEEN) | (old >= SEEN)].sum()))
            result.append(Layer(name=name, moved=float(np.mean(moved))))
            shown.advance()
    result.sort(key=lambda layer: -layer.moved)
    path.write_bytes(msgspec.json.encode(result))
    return result


def _scores(raw: bytes, feed: Feed) -> NDArray[np.float32]:
    session = open_session(raw)
    return np.asarray(session.run([session.get_outputs()[0].name], feed)[0], np.float32)


def _smallest(
    bench: Bench, target: str, start: Settings, worst: Sequence[str], before: Settings | None
) -> tuple[Settings, list[Row]]:
    """The fewest layers in FP32 with which the loss fits, and the rows on the way there.

    As many of the worst as it takes, the number found by doubling and halving, the method by trying all; then each
    again in INT8, from the one that moves least, and left so where the loss still fits. Where nothing fits, the
    settings with the least loss. What the target before needed is tried first: where it fits, it need not be sought.
    """
    rows: list[Row] = []

    def excess(layers: Sequence[str], method: str) -> float:
        settings = msgspec.structs.replace(start, float_layers=tuple(sorted(layers)), method=method)
        what = f"{len(layers)} layers FP32" if layers else "every layer INT8"
        rows.append(bench.row(target, what if method == start.method else f"{what}, {method}", settings))
        return rows[-1].excess

    def best(layers: Sequence[str]) -> tuple[float, str]:
        return min((excess(layers, method), method) for method in METHODS)

    if before is not None and excess(before.float_layers, before.method) <= 1:
        kept, method = [name for name in worst if name in before.float_layers], before.method
    else:
        low, high = -1, 0
        while True:
            least, method = best(worst[:high])
            if least <= 1:
                break
            if high >= len(worst):
                return min(rows, key=lambda row: row.excess).settings, rows
            low, high = high, min(max(1, high * 2), len(worst))
        while high - low > 1:
            middle = (low + high) // 2
            if excess(worst[:middle], method) > 1:
                low = middle
            else:
                high = middle
        kept = list(worst[:high])
    for name in reversed(kept[:]):
        fewer = [other for other in kept if other != name]
        if len(fewer) < len(kept) and fewer and excess(fewer, method) <= 1:
            kept = fewer
    # What just fits on val may not fit elsewhere: with more in FP32 it costs little more time, or none.
    if 2 * len(kept) < len(worst):
        excess(worst[: 2 * len(kept)], method)
    return msgspec.structs.replace(start, float_layers=tuple(sorted(kept)), method=method), rows


def _choose(bench: Bench, target: str, rows: list[Row], whole: Sequence[Picture]) -> tuple[Row, str, list[Row]]:
    """The row to ship, why, and all rows with what was measured of them on the whole of `val`."""
    home = platform.machine() in HOME.get(target, ())

    def order(row: Row) -> tuple[bool, float, float]:
        # Times within a tenth of FP32's are the same: they were measured on a shared machine.
        return row.excess > 1, round(row.time, 1) if home and row.excess <= 1 else row.excess, row.excess

    # A 7-bit weight buys nothing where VNNI or ARM sums without overflow; it is in the table for processors without.
    able = [row for row in rows if not row.settings.reduce_range]
    # The same file is for OpenVINO too, which knows operators of this form alone: reading the other it ended the
    # process. It is also what ONNX Runtime's guide prefers for ARM, whose kernels want weights around zero and take
    # activations around any point: symmetric ones waste a bit behind every ReLU.
    able = [r for r in able if r.settings.format == "qdq"] or able
    judge = replace(bench.judge, pictures=whole)
    reference = bench.reference if len(whole) == len(bench.judge.pictures) else judge.grade(bench.source)
    measured: dict[str, Row] = {}
    for row in sorted(able, key=order)[:FINALISTS]:
        path = bench.write(row.settings)
        grade = judge.grade(path)
        path.unlink()
        measured[key(row.settings)] = msgspec.structs.replace(
            row,
            val_map50=grade.map50,
            val_loss=reference.map50 - grade.map50,
            val_f1_loss=reference.f1 - grade.f1,
        )
    done = list(measured.values())
    rows = [measured.get(key(row.settings), row) for row in rows]
    best = min(done, key=order)
    lost = f"loss {best.val_loss:+.4f}, of F1 {best.val_f1_loss:+.4f}, on {len(whole)} pictures"
    if best.excess <= 1:
        why = "the quickest, or as quick with less loss," if home else "the least loss"
        reason = f"{best.what}: {why} of those that lose at most {MAX_LOSS:g} of mAP50 and {MAX_F1_LOSS:g} of F1 on val"
        if not home:
            reason += f"; time was measured on {platform.machine()} and says nothing about this target"
        return best, f"{reason} ({lost})", rows
    return best, f"{best.what}: loses least on val ({lost}), which is too much; nothing tried fits", rows


def subset(pictures: Sequence[Picture], count: int = SUBSET) -> list[Picture]:
    """The pictures of `val` that every row is measured on."""
    return spaced(pictures, count)
