"""The detectors that a benchmark measures: those of the zoo that are there."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bench.frame import BenchError
from edge.vision.engine import EngineError
from edge.vision.zoo import shipped_release

T = TypeVar("T")


def each(models: Path | None, names: Sequence[str], measure: Callable[[str, Path], list[T]]) -> list[T]:
    """What ``measure`` (name and folder of a release) gives for each detector; one that cannot be used is left out.

    Args:
        models: folder of releases; None for the zoo.

    Raises:
        BenchError: none can be used; says why, one by one.
    """
    found: list[T] = []
    missing: list[str] = []
    for name in names:
        try:
            found += measure(name, shipped_release(models, name))
        except EngineError as error:
            missing.append(str(error))
    if not found:
        raise BenchError("; ".join(missing))
    return found
