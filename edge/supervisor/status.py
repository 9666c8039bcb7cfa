"""A part's sign of life: one small JSON file, renewed about once a second, read by the supervisor and by delivery."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from contract.ids import Micros

BEAT_S: Final = 1.0
"""A beat sooner than this after the last one is not written, unless the state has changed."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a part says of itself."""

    part: str
    pid: int
    state: str
    """``ok``, ``degraded`` or ``down``."""
    reason: str = ""
    monotonic: float
    """Seconds, by the monotonic clock all processes of the machine share; the age of a beat is told by this."""
    time: Micros
    detail: dict[str, Any] = {}


class PartStatus:
    """The writing side, in the part's process. Call ``beat`` only from the loop that does the work: a beat says that
    the loop turns, and a part without beats is killed.

    Args:
        folder: ``NodePaths.status``.
        part: the part's name, such as ``capture.lobby``.
        monotonic: seconds.
        wall: microseconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        part: str,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], Micros] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.part = part
        self._path = folder / f"{part}.json"
        self._monotonic = monotonic
        self._wall = wall
        self._written = float("-inf")
        self._state = ""

    def beat(self, detail: msgspec.Struct | dict[str, Any] | None = None, state: str = "ok", reason: str = "") -> None:
        """Say that the part is alive and how it is. Cheap: at most one write a second, unless ``state`` changed."""
        now = self._monotonic()
        if now - self._written < BEAT_S and state == self._state:
            return
        self._written, self._state = now, state
        status = Status(
            part=self.part,
            pid=os.getpid(),
            state=state,
            reason=reason,
            monotonic=now,
            time=self._wall(),
            detail=msgspec.to_builtins(detail if detail is not None else {}),
        )
        # No fsync: the file is of no use after a power cut, and lies in memory anyway.
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(status))
        fresh.replace(self._path)


def read_status(path: Path) -> Status | None:
    """One part's last beat; None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def read_all(folder: Path) -> dict[str, Status]:
    """The last beat of every part, by the part's name."""
    found = (read_status(path) for path in sorted(folder.glob("*.json")))
    return {status.part: status for status in found if status is not None}
