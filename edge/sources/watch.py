"""Tells a thread that waits from one that hangs: before each step it says how long that step may take."""

import time
from collections.abc import Callable


class Watch:
    """One thread's promise, looked at by another.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._deadline = float("inf")

    def within(self, seconds: float) -> None:
        """The next step takes no longer than this."""
        self._deadline = self._monotonic() + seconds

    def overdue(self) -> bool:
        """Whether the promise has been broken."""
        return self._monotonic() > self._deadline
