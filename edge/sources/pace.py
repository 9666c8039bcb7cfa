"""Which frames are looked at: so many a second, evenly, and none that is late."""

from typing import Final

BEHIND_S: Final = 1.0
"""So long without once having had to wait for the camera, and frames must be piling up somewhere."""
_REORDERED_S: Final = 1.0
WAITED_S: Final = 0.001
"""A wait of at least this means that nothing lay ready: what came then is fresh."""


class Sampler:
    """Picks frames evenly by their own time, ``fps`` a second; fewer where the stream has fewer.

    Args:
        fps: frames a second.
    """

    def __init__(self, fps: float) -> None:
        self._period = 1.0 / fps
        self._next = float("-inf")
        self._last = float("-inf")

    def due(self, time_s: float) -> bool:
        """Whether a frame of that time would be picked now."""
        # Half a millisecond: times in ticks of a time base do not add up to the period exactly.
        return time_s >= self._next - 0.0005 or self._jumped_back(time_s)

    def pick(self, time_s: float) -> bool:
        """Pick the frame if it is due."""
        if not self.due(time_s):
            return False
        # After a gap, or when time has jumped back, the even row begins anew.
        even = self._next + self._period
        self._next = even if time_s < even and not self._jumped_back(time_s) else time_s + self._period
        self._last = time_s
        return True

    def _jumped_back(self, time_s: float) -> bool:
        # Frames that are not yet in order lie less than this behind others.
        return time_s < self._last - _REORDERED_S


class Freshness:
    """Tells whether packets come as the camera sends them, or from a queue that has formed because we are slow.

    It does not trust the stream's own times, which many cameras set at will: whoever had to wait for a packet has
    nothing left to catch up with. Times are seconds of a monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._waited = now

    def came(self, asked: float, now: float) -> None:
        """A packet was asked for at ``asked`` and came at ``now``."""
        if now - asked >= WAITED_S:
            self._waited = now

    def behind(self, now: float) -> bool:
        """Whether what comes now is late."""
        return now - self._waited > BEHIND_S
