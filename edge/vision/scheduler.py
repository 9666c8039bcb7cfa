"""Whose turn it is: every camera's newest frame, the longest-waiting camera first, none more often than it may.

Nothing queues. When the detectors are too slow for all cameras, each gets fewer looks, and each look is at the newest
frame; what was never looked at is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class _Turn:
    period_s: float
    due_s: float = float("-inf")
    """Not before this time."""
    last_s: float = float("-inf")
    """When it last had its turn."""
    sequence: int = 0
    skipped: int = 0


class Scheduler:
    """Turns of the cameras, by the monotonic clock.

    Args:
        rates: looks a second that each camera may have at most.
    """

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._turns = {camera: _Turn(1.0 / rate) for camera, rate in rates.items()}

    def due(self, now_s: float) -> tuple[str, ...]:
        """Cameras that may be looked at now, the one that has waited longest first."""
        ready = [(turn.last_s, camera) for camera, turn in self._turns.items() if turn.due_s <= now_s]
        return tuple(camera for _, camera in sorted(ready))

    def wait_s(self, now_s: float) -> float:
        """Until the next camera's turn comes that is not due yet; infinite where all are due, or there is none."""
        return min((turn.due_s - now_s for turn in self._turns.values() if turn.due_s > now_s), default=float("inf"))

    def sequence(self, camera: str) -> int:
        """The last frame of the camera that had its turn."""
        return self._turns[camera].sequence

    def skipped(self, camera: str) -> int:
        """Frames that never had a turn, because newer ones came first."""
        return self._turns[camera].skipped

    def take(self, camera: str, sequence: int, now_s: float) -> None:
        """The camera has its turn with frame ``sequence``.

        A turn that comes late does not delay the next one, so that the rate is kept on average; but missed turns are
        not made up for.
        """
        turn = self._turns[camera]
        # A restarted capture process counts from higher up; that gap is no frame we missed.
        gap = sequence - turn.sequence - 1
        turn.skipped += gap if turn.sequence and 0 < gap < _NEW_WRITER else 0
        turn.due_s = max(turn.due_s + turn.period_s, now_s + turn.period_s / 2)
        turn.last_s, turn.sequence = now_s, sequence


_NEW_WRITER = 100_000
"""Sequence numbers of a new writer begin at the microseconds since the machine's start."""
