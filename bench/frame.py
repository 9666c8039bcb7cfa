"""The one frame of all benchmarks: what a figure says, and under which conditions it was taken."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from typing import Any, Final


class BenchError(RuntimeError):
    """A benchmark that cannot run here; the text says what it lacks."""


@dataclass(frozen=True)
class Figure:
    """One measured figure beside what it is compared with.

    ``ratio`` is ours over the reference; ``spread`` the distance between the first and the third quartile of ours, in
    ``unit``; ``repeats`` how many single measurements stand behind it.
    """

    name: str
    ours: float
    reference: float | None
    unit: str
    repeats: int
    spread: float
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours over the reference; None without one."""
        return self.ours / self.reference if self.reference else None

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**asdict(self), "ratio": self.ratio}


BENCHMARKS: Final[dict[str, str]] = {
    "alert": "bench.alert",
    "detect": "bench.detect",
    "engines": "bench.engines",
    "ingest": "bench.ingest",
    "outbox": "bench.outbox",
    "rules": "bench.rules",
    "vision": "bench.vision",
}
"""Name -> module with ``run(**options) -> list[Figure]``."""


def run(name: str, **options: Any) -> list[Figure]:
    """Run one benchmark.

    Raises:
        BenchError: no such benchmark, it does not take one of the options, or it cannot run here.
    """
    if name not in BENCHMARKS:
        raise BenchError(f"no benchmark {name!r}; there are: {', '.join(sorted(BENCHMARKS))}")
    measure: Callable[..., list[Figure]] = import_module(BENCHMARKS[name]).run
    taken = signature(measure).parameters
    for option in options:
        if option not in taken:
            known = [one.name for one in taken.values() if one.kind is not one.VAR_KEYWORD]
            raise BenchError(f"benchmark {name!r} takes no option {option!r}; it takes {', '.join(known) or 'none'}")
    return measure(**options)


def conditions(packages: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Cores, processor, system and the versions of what matters."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
        **more,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of the sorted ones lie, straight between neighbours (Hyndman and Fan's
    definition 7)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def quartile_distance(values: Sequence[float]) -> float:
    """Third quartile less the first."""
    return percentile(values, 0.75) - percentile(values, 0.25)


def summarise(
    name: str, ours: Sequence[float], reference: Sequence[float], unit: str, about: dict[str, Any]
) -> list[Figure]:
    """The 50th, 95th and 99th percentile of ours, each beside the reference's, as ``name.p50`` and so on; under the
    bare ``name`` stands the 99th, the one that is promised.

    Raises:
        BenchError: there is nothing to summarise.
    """
    if not ours:
        raise BenchError(f"{name}: not a single measurement was made")
    spread = quartile_distance(ours)

    def figure(suffix: str, share: float) -> Figure:
        other = percentile(reference, share) if reference else None
        return Figure(name + suffix, percentile(ours, share), other, unit, len(ours), spread, about)

    return [figure("", 0.99), figure(".p50", 0.50), figure(".p95", 0.95), figure(".p99", 0.99)]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - one line of a special file
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
