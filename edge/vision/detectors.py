"""All detectors on one frame: what they found, how long they took, and which of them failed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from contract.detections import Detection
from contract.records import ModelRef
from edge.analyzers.fire import SLACK
from edge.vision.count_engine import CountEngine
from edge.vision.density import Density
from edge.vision.engine import Engine, EngineError
from edge.vision.engines import Engines
from edge.vision.picture import Bgr

log = structlog.get_logger()

_SMOOTH: Final = 0.1


@dataclass(frozen=True)
class Result:
    """What one detector found, down to ``SLACK`` of its thresholds; the density where it counts."""

    detections: tuple[Detection, ...]
    thresholds: Mapping[str, float]
    model: ModelRef
    density: Density | None = None


@dataclass
class Tally:
    """How one detector has done since the process started. ``streak``: failures since it last succeeded."""

    runs: int = 0
    failures: int = 0
    streak: int = 0
    latency_ms: float = 0.0
    reason: str = ""


@dataclass
class Detectors:
    """Runs the engines in use; a failure is told apart from an empty frame.

    ``missing`` says, by name, why a detector has no engine.
    """

    engines: Engines
    missing: dict[str, str] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    saw: Callable[[str, float], object] = lambda name, took_ms: None
    """Told of each look that went well..."""
    failed: Callable[[str, str], object] = lambda name, reason: None
    """...and of each that did not: the watch over a release on trial."""
    clock_s: Callable[[], float] = time.perf_counter

    def look(self, image: Bgr, names: Sequence[str]) -> tuple[dict[str, Result], dict[str, str]]:
        """Let the detectors ``names`` see a frame.

        Returns:
            Results of those that could look, and reasons of those that could not.
        """
        results: dict[str, Result] = {}
        faults: dict[str, str] = {}
        for name in names:
            tally = self.tallies.setdefault(name, Tally())
            engine = self.engines.current(name)
            if engine is None:
                faults[name] = self.missing.get(name, "no release of it runs")
                continue
            started = self.clock_s()
            try:
                result = _look(engine, image)
            except EngineError as error:
                faults[name] = str(error)
                self._fail(name, tally, str(error))
                self.failed(name, str(error))
                continue
            took_ms = (self.clock_s() - started) * 1000
            self._succeed(tally, took_ms)
            self.saw(name, took_ms)
            results[name] = result
        return results, faults

    def _fail(self, name: str, tally: Tally, reason: str) -> None:
        tally.failures += 1
        tally.streak += 1
        if reason != tally.reason:
            log.error("detector failed", detector=name, reason=reason)
        tally.reason = reason

    def _succeed(self, tally: Tally, took_ms: float) -> None:
        share = _SMOOTH if tally.runs else 1.0
        tally.runs += 1
        tally.latency_ms += share * (took_ms - tally.latency_ms)
        tally.streak, tally.reason = 0, ""


def _look(engine: Engine, image: Bgr) -> Result:
    if isinstance(engine, CountEngine):
        return Result((), engine.thresholds, engine.model, engine.count(image))
    return Result(tuple(engine.detect(image, slack=SLACK)), engine.thresholds, engine.model)
