"""What quantization costs and gains: mAP50 and F1 on the same pictures, time beside the FP32 file in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort

from contract.manifest import Input
from models.workshop.evaluation.evaluate import Detect, Tally, tally
from models.workshop.evaluation.matching import f1
from models.workshop.quantization.ranges import Feed
from models.workshop.runner import Runner
from models.workshop.session import open_session
from models.workshop.sets.data import Image, Picture, read_pixels

ROUNDS = 20
"""Times that each of two files runs in turn, to compare their time."""


@dataclass(frozen=True)
class Held(Picture):
    """A picture that stays decoded in memory: a study looks at it some sixty times."""

    image: Image | None = field(default=None, compare=False, repr=False)

    def read(self, decode: Callable[[Path], Image] = read_pixels) -> Image:
        """The pixels, HxWx3 BGR."""
        return super().read(decode) if self.image is None else self.image


def hold(picture: Picture) -> Held:
    """A picture with its pixels. Raises what `Picture.read` raises."""
    return Held(
        **{name: getattr(picture, name) for name in Picture.__dataclass_fields__},
        image=picture.read(),
    )


def spaced(pictures: Sequence[Picture], count: int) -> list[Picture]:
    """So many of the pictures, evenly spaced; all of them where `count` is 0 or more than there are."""
    if not count or count >= len(pictures):
        return list(pictures)
    return [pictures[n * len(pictures) // count] for n in range(count)]


class Grade(NamedTuple):
    """AP50, and F1 at the shipped thresholds: means over the labels that have a truth in the pictures."""

    map50: float
    f1: float


@dataclass(frozen=True)
class Judge:
    """Measures artefacts of one detector on the same pictures."""

    thresholds: Mapping[str, float]
    spec: Input
    pictures: Sequence[Picture]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the detector finds."""
        return tuple(self.thresholds)

    def grade(self, path: Path) -> Grade:
        """How good an artefact is. Raises `ValueError` where the pictures show none of the labels."""
        tallies = tally(self.pictures, self.labels, Runner(path, self.labels, self.spec))
        at = [f1(*one.at(self.thresholds[label])) for label, one in tallies.items() if one.truths]
        return Grade(mean_ap50(tallies), float(np.mean(at)))


def mean_ap50(tallies: Mapping[str, Tally]) -> float:
    """Mean AP50 of the labels with truths. Raises `ValueError` where there is no truth at all."""
    known = [one.average_precision() for one in tallies.values() if one.truths]
    if not known:
        raise ValueError(f"the pictures show none of {', '.join(tallies)}; nothing can be measured on them")
    return float(np.mean(known))


def ap50(pictures: Sequence[Picture], label: str, detect: Detect) -> float:
    """AP50 of one label. Raises `ValueError` where the pictures do not show it."""
    return mean_ap50(tally(pictures, (label,), detect))


def race(one: Path, other: Path, feed: Feed, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Milliseconds of two files on the same input, one thread, and the first's share of the second's time.

    They take turns, so that what else the machine does falls on both; medians of `rounds` after a warm-up.
    """
    times: tuple[list[float], list[float]] = ([], [])
    runs: list[Callable[[], object]] = [_run(path, feed) for path in (one, other)]
    for number in range(rounds + 2):
        for run, kept in zip(runs, times, strict=True):
            began = time.perf_counter()
            run()
            if number >= 2:
                kept.append(1000 * (time.perf_counter() - began))
    share = statistics.median(a / b for a, b in zip(*times, strict=True))
    return statistics.median(times[0]), statistics.median(times[1]), share


def _run(path: Path, feed: Feed) -> Callable[[], object]:
    session = open_session(path)
    return lambda: session.run(None, feed)


def machine() -> str:
    """The processor, whether it has what INT8 wants, and the runtime: what times and saturation depend on."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.is_file() else ""
    named = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}
    flags = set(named.get("flags", named.get("Features", "")).split())
    wanted = [flag for flag in ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm") if flag in flags]
    name = named.get("model name", "unknown processor")
    return f"{name} ({', '.join(wanted) or 'no INT8 instructions'}), ONNX Runtime {ort.__version__}"
