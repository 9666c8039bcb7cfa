"""How long to wait before the next try: twice as long after each failure, up to a limit, never for ever."""

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Counts failures. Time is given with each call, in seconds of a monotonic clock.

    Args:
        first_s: pause after the first failure.
        longest_s: no pause is longer.
        calm_s: after so long without a failure everything is forgotten.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    calm_s: float = 60.0
    _row: int = 0
    _last: float = float("-inf")
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=64))

    def failed(self, now: float, lasted_s: float = 0.0) -> float:
        """Note a failure of something that had worked for ``lasted_s``; gives the seconds to wait."""
        if lasted_s >= self.calm_s:
            self.forget()
        pause = min(self.first_s * 2.0**self._row, self.longest_s)
        self._row = min(self._row + 1, 32)
        self._last = now
        self._recent.append(now)
        return pause

    def forget(self) -> None:
        """It works again: the next failure is the first."""
        self._row = 0
        self._recent.clear()

    def count(self, now: float, within_s: float) -> int:
        """Failures within the last ``within_s`` seconds."""
        return sum(1 for then in self._recent if now - then <= within_s)
