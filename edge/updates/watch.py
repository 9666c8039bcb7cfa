"""A release on trial: is it as quick and as sound as the one before?"""

import statistics
from enum import Enum, auto
from typing import Final

FRAMES: Final = 100
"""A trial lasts for so many frames."""
SLOWER: Final = 3.0
"""A release that takes more than so many times as long as the one before is taken back."""
_ENOUGH: Final = 20
_MARGIN_MS: Final = 10.0
"""Below this nobody minds: a tiny model's latency is mostly noise."""
FAILURES: Final = 3


class Verdict(Enum):
    """How a trial stands."""

    OPEN = auto()
    PASSED = auto()
    FAILED = auto()


class Watch:
    """One trial.

    Args:
        before_ms: median latency of the release before; 0 where it is not known, and then slowness is not judged.
        frames: how many frames the trial lasts.
    """

    def __init__(self, before_ms: float, frames: int = FRAMES) -> None:
        self._before_ms = before_ms
        self._frames = frames
        self._latencies: list[float] = []
        self._failures = 0
        self.verdict = Verdict.OPEN
        self.reason = ""

    def saw(self, latency_ms: float) -> Verdict:
        """A frame was looked at in ``latency_ms``."""
        self._latencies.append(latency_ms)
        if self.verdict is Verdict.OPEN and len(self._latencies) >= _ENOUGH and self._before_ms > 0:
            median = statistics.median(self._latencies)
            if median > max(SLOWER * self._before_ms, self._before_ms + _MARGIN_MS):
                return self._fail(f"takes {median:.0f} ms a frame; the one before took {self._before_ms:.0f} ms")
        return self._judge()

    def failed(self, reason: str) -> Verdict:
        """A frame could not be looked at."""
        self._failures += 1
        if self.verdict is Verdict.OPEN and self._failures >= FAILURES:
            return self._fail(f"failed {self._failures} times within {self._seen} frames, last: {reason}")
        return self._judge()

    @property
    def _seen(self) -> int:
        return len(self._latencies) + self._failures

    def _fail(self, reason: str) -> Verdict:
        self.verdict, self.reason = Verdict.FAILED, reason
        return self.verdict

    def _judge(self) -> Verdict:
        if self.verdict is Verdict.OPEN and self._seen >= self._frames:
            self.verdict = Verdict.PASSED
        return self.verdict
