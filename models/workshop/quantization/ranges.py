"""The range of every tensor of a network over the calibration pictures, from which INT8 scales follow.

Two passes, one picture in memory at a time: the first finds the extremes, the second counts values into `BINS` equal
bins between them. Every method then reads its range from the counts, so that trying another one costs no run, and the
memory needed does not grow with the number of pictures (the runtime's own percentile and entropy calibration keep every
tensor of every picture).
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from models.workshop.quantization.settings import METHODS

BINS = 2048
LEVELS = 128
"""Levels on one side of zero, as the entropy method counts them."""
CHECKPOINTS = (32, 128, 512)
"""Numbers of calibration pictures that a study compares."""

Feed = dict[str, NDArray[np.generic]]


@dataclass
class Spread:
    """The values of one tensor: extremes, and how many lie in each of `BINS` equal bins between them."""

    low: float
    high: float
    counts: NDArray[np.int64]

    def range(self, method: str) -> tuple[float, float]:
        """Lowest and highest value that INT8 shall hold; what lies beyond is clipped. Raises `ValueError`."""
        if method == "minmax" or self.high <= self.low:
            return self.low, self.high
        if method == "entropy":
            return self._entropy()
        kind, _, share = method.partition("-")
        if kind != "percentile" or method not in METHODS:
            raise ValueError(f"calibration method '{method}' is not one of {', '.join(METHODS)}")
        return self._percentile(float(share))

    def _percentile(self, share: float) -> tuple[float, float]:
        """Half of what is cut is cut on each side; the value that most of a ReLU's outputs have, zero, stays."""
        below = np.cumsum(self.counts) / max(1, self.counts.sum())
        cut = (1 - share / 100) / 2
        edges = np.linspace(self.low, self.high, BINS + 1)
        first = int(np.searchsorted(below, cut, side="right"))
        last = int(np.searchsorted(below, 1 - cut, side="left"))
        return float(edges[min(first, BINS - 1)]), float(edges[min(last, BINS - 1) + 1])

    def _entropy(self) -> tuple[float, float]:
        """Least Kullback-Leibler divergence between the clipped values and their quantized form.

        After Migacz, "8-bit Inference with TensorRT" (GTC 2017), on absolute values.
        """
        centres = np.linspace(self.low, self.high, BINS + 1)[:-1] + (self.high - self.low) / BINS / 2
        top = max(abs(self.low), abs(self.high))
        folded = np.bincount(
            np.minimum((np.abs(centres) / top * BINS).astype(np.int64), BINS - 1), self.counts, minlength=BINS
        ).astype(np.float64)
        # A ReLU's zeros say nothing about where to clip, and would outweigh all else.
        folded[0] = folded[1]
        best, kept = np.inf, BINS
        for size in range(LEVELS, BINS + 1, 16):
            clipped = folded[:size].copy()
            clipped[-1] += folded[size:].sum()
            divergence = _divergence(clipped, folded[:size])
            if divergence < best:
                best, kept = divergence, size
        limit = top * kept / BINS
        return max(self.low, -limit), min(self.high, limit)


def _divergence(clipped: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Between counts with their tail piled up at the end, and the same in `LEVELS` steps."""
    starts = (np.arange(LEVELS) * len(counts)) // LEVELS
    width = np.diff(np.append(starts, len(counts)))
    filled = counts > 0
    inside = np.maximum(np.add.reduceat(filled.astype(np.float64), starts), 1)
    stepped = np.repeat(np.add.reduceat(counts, starts) / inside, width) * filled
    total, whole = clipped.sum(), stepped.sum()
    if total == 0 or whole == 0:
        return float("inf")
    p, q = clipped / total, np.maximum(stepped / whole, 1e-12)
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / q[seen])).sum())


def tensors(model: onnx.ModelProto, nodes: Iterable[str]) -> list[str]:
    """Names of the tensors that go into or come out of the named nodes, without constants."""
    constant = {t.name for t in model.graph.initializer}
    constant |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    wanted = set(nodes)
    found: dict[str, None] = {}
    for node in model.graph.node:
        if node.name in wanted:
            found.update(dict.fromkeys(n for n in (*node.input, *node.output) if n and n not in constant))
    return list(found)


def collect(
    model: onnx.ModelProto,
    names: Sequence[str],
    feeds: Callable[[], Iterator[Feed]],
    checkpoints: Sequence[int],
    threads: int = 1,
    told: Callable[[], None] = lambda: None,
) -> dict[int, dict[str, Spread]]:
    """The spread of each named tensor after each number of pictures in `checkpoints`.

    `feeds` gives the inputs, the same ones each time it is called, at least as many as the largest checkpoint wants or
    as there are; a checkpoint beyond the end stands for all of them. `told` is called after each run, two for each
    picture. Raises `ValueError` without pictures.
    """
    session = _session(model, names, threads)
    kept = [o.name for o in session.get_outputs() if o.name in set(names) and o.type == "tensor(float)"]
    given = {i.name for i in session.get_inputs()} & set(names)
    most = max(checkpoints)

    def runs() -> Iterator[dict[str, NDArray[np.float32]]]:
        for number, feed in enumerate(feeds()):
            if number >= most:
                return
            values = dict(zip(kept, session.run(kept, feed), strict=True))
            values.update({name: np.asarray(feed[name], np.float32) for name in given})
            told()
            yield {name: value for name, value in values.items() if value.size}

    whole: dict[str, tuple[float, float]] = {}
    upto: dict[int, dict[str, tuple[float, float]]] = {}
    count = 0
    for count, values in enumerate(runs(), 1):
        for name, value in values.items():
            low, high = whole.get(name, (np.inf, -np.inf))
            whole[name] = (min(low, float(value.min())), max(high, float(value.max())))
        if count in checkpoints:
            upto[count] = dict(whole)
    if not count:
        raise ValueError("calibration needs pictures; none were given")
    counts = {name: np.zeros(BINS, np.int64) for name in whole}
    result: dict[int, dict[str, Spread]] = {}
    for number, values in enumerate(runs(), 1):
        for name, value in values.items():
            low, high = whole[name]
            scale = BINS / max(high - low, 1e-12)
            places = np.minimum(((value.ravel() - low) * scale).astype(np.int32), BINS - 1)
            counts[name] += np.bincount(places, minlength=BINS)
        if number in upto:
            result[number] = _until(whole, upto[number], counts)
    end = _until(whole, whole, counts)
    return {n: result.get(n, end) for n in checkpoints}


def _until(
    whole: dict[str, tuple[float, float]],
    extremes: dict[str, tuple[float, float]],
    counts: dict[str, NDArray[np.int64]],
) -> dict[str, Spread]:
    """The counts so far, laid out between the extremes so far."""
    result = {}
    for name, (low, high) in extremes.items():
        widest = whole[name]
        if (low, high) == widest or high <= low:
            laid = counts[name].copy()
        else:
            centres = np.linspace(*widest, BINS + 1)[:-1] + (widest[1] - widest[0]) / BINS / 2
            places = np.clip(((centres - low) / (high - low) * BINS).astype(np.int64), 0, BINS - 1)
            laid = np.bincount(places, counts[name], minlength=BINS).astype(np.int64)
        result[name] = Spread(low, high, laid)
    return result


def _session(model: onnx.ModelProto, names: Sequence[str], threads: int) -> ort.InferenceSession:
    """The network with the named tensors as outputs of their own."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    made = {name for node in opened.graph.node for name in node.output}
    there = {output.name for output in opened.graph.output}
    opened.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name in made and name not in there
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
