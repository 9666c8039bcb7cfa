"""A limit for how long one inference may take."""

import threading
import time
from typing import Protocol


class Stoppable(Protocol):
    """What can be told to end: ONNX Runtime's ``RunOptions``, looked at between two nodes of the graph."""

    terminate: bool


class Deadline:
    """One watching thread for one engine; it ends an inference that runs longer than ``limit_s``.

    The thread looks four times within the limit instead of being woken for each frame: an inference ends between once
    and one and a quarter times ``limit_s``.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._lock = threading.Lock()
        self._running: tuple[Stoppable, float] | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="inference-deadline", daemon=True)
        self._thread.start()

    def begin(self, run: Stoppable) -> None:
        """``run`` has been started now."""
        with self._lock:
            self._running = (run, time.monotonic() + self.limit_s)

    def end(self) -> bool:
        """The run is over; True where it was this deadline that ended it."""
        with self._lock:
            run, self._running = self._running, None
            return run is not None and run[0].terminate

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self.limit_s / 4):
            with self._lock:
                if self._running is not None and time.monotonic() >= self._running[1]:
                    self._running[0].terminate = True
