"""What activation functions cost in INT8: the published YOLOX-nano network (SiLU) and ours, quantized the same way.

Ours has ReLU where maps are large (`plan.LARGE_MAPS`).

Each loses against its own FP32 form, on pictures that it can be measured on: the published network on people, ours on
its own set. Times are at the published network's input where ours takes any shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from models.workshop.evaluation.yolox import Yolox
from models.workshop.quantization.judge import Judge, ap50, hold, race, spaced
from models.workshop.quantization.quantize import prepare, quantized, save
from models.workshop.quantization.ranges import Feed, Spread, collect
from models.workshop.quantization.record import Activation, Study
from models.workshop.quantization.settings import Settings
from models.workshop.sets.data import Picture, letterbox, read_set

TARGET = "x86-u8s8"
CALIBRATION, PEOPLE = 64, 100
"""Pictures of people to calibrate the published network on, and to measure it on."""


def compare(
    study: Study, source: Path, judge: Judge, published: Path, data: Path, folder: Path, rounds: int
) -> tuple[Activation, Activation]:
    """Ours, from the rows of its study, and the published network. Raises `FileNotFoundError` without their files."""
    people = [hold(p) for p in spaced(read_set(data / "person", "val"), PEOPLE)]
    teacher = Yolox(published, "person")
    other = folder / "silu.onnx"
    prepared = prepare(published)
    mixed = spaced(read_set(data / "person", "train"), CALIBRATION)
    size, name = teacher.size, teacher.input.name
    spreads = collect(prepared.model, prepared.tensors, lambda: _feeds(mixed, size, name), (len(mixed),))[len(mixed)]
    save(prepared, quantized(prepared, Settings(), spreads), other)
    feed = next(_feeds(people[:1], size, name))
    int8_ms, fp32_ms, time = race(other, published, feed, rounds)
    silu = Activation(
        function="SiLU",
        network=published.stem,
        data=f"{len(people)} pictures of person/val, AP50",
        fp32=ap50(people, "person", teacher),
        int8=ap50(people, "person", Yolox(other, "person")),
        fp32_ms=fp32_ms,
        int8_ms=int8_ms,
        time=time,
        size=f"{size}x{size}",
    )
    other.unlink()
    return _ours(study, source, judge, size, folder, rounds), silu


def _ours(study: Study, source: Path, judge: Judge, size: int, folder: Path, rounds: int) -> Activation:
    spec = judge.spec
    width, height = (size, size) if spec.shape == "fit" else (spec.width, spec.height)
    row = next(r for r in study.rows if r.target == TARGET and r.settings == Settings())
    rng = np.random.default_rng(1)
    feed: Feed = {"images": rng.integers(0, 255, (1, 3, height, width)).astype(np.uint8)}
    path = folder / "ours.onnx"
    prepared = prepare(source)
    # Time does not depend on the ranges, so any will do.
    spreads = {name: _unit() for name in prepared.tensors}
    save(prepared, quantized(prepared, row.settings, spreads), path)
    int8_ms, fp32_ms, time = race(path, source, feed, rounds)
    path.unlink()
    return Activation(
        function="SiLU, ReLU on large maps" if any(n.op_type == "Relu" for n in prepared.model.graph.node) else "SiLU",
        network=f"{study.model}, every layer INT8",
        data=f"{study.data}, mAP50",
        fp32=study.fp32_map50,
        int8=row.map50,
        fp32_ms=fp32_ms,
        int8_ms=int8_ms,
        time=time,
        size=f"{width}x{height}",
    )


def _unit() -> Spread:
    return Spread(0.0, 1.0, np.zeros(1, np.int64))


def _feeds(pictures: Sequence[Picture], size: int, name: str) -> Iterator[Feed]:
    """Pictures as the published network takes them: BGR, 0 to 255, float32."""
    for picture in pictures:
        canvas = letterbox(picture.read(), size, size)[0]
        yield {name: np.ascontiguousarray(canvas.transpose(2, 0, 1))[None].astype(np.float32)}
