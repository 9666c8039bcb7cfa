"""Keeps the parts of a node running: each a process, restarted alone when it dies or stalls, and never given up."""

import selectors
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from contract.records import PartHealth
from edge.supervisor.backoff import Backoff
from edge.supervisor.child import Child
from edge.supervisor.status import PartStatus, Status, read_status

_log = structlog.get_logger()


@dataclass(frozen=True)
class Part:
    """What to run: its name, such as ``capture.lobby``, and the command."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """Times of the supervisor, in seconds."""

    stall_s: float = 15.0
    """A part whose last beat is older is killed."""
    warm_up_s: float = 60.0
    """So long the first beat may take: models load, interpreters start on slow cards."""
    stop_s: float = 5.0
    """A part that has not ended by then after SIGTERM gets SIGKILL."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    calm_s: float = 60.0
    """After so long a run a part counts as healthy again."""
    deaths: int = 5
    """So many deaths within ``calm_s`` make a part ``degraded``."""
    tick_s: float = 0.25


@dataclass
class _Kept:
    """A part and how it has fared."""

    part: Part
    backoff: Backoff
    child: Child | None = None
    due: float = float("-inf")
    restarts: int = 0
    degraded: bool = False
    reason: str = ""
    status: Status | None = None
    killed: str = field(default="")


class Supervisor:
    """Starts, watches and restarts parts until told to stop.

    Args:
        parts: what to run, started in this order.
        folder: of the parts' status files.
        limits: its times.
        monotonic: seconds; the clock the parts' beats are stamped with.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        folder: Path,
        limits: Limits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or Limits()
        self._folder = folder
        self._monotonic = monotonic
        self._selector = selectors.DefaultSelector()
        self._kept = [
            _Kept(part, Backoff(self._limits.first_pause_s, self._limits.longest_pause_s, self._limits.calm_s))
            for part in parts
        ]
        self._status = PartStatus(folder, "supervisor", monotonic)

    def run(self, stop: threading.Event) -> None:
        """Keep the parts running until ``stop`` is set, then end them all.

        Call it in the thread that outlives the parts: the kernel ends them with the thread that started them.
        """
        try:
            while not stop.is_set():
                self._look()
                self._status.beat({"parts": self.parts()})
                self._hear(self._limits.tick_s)
        finally:
            self._end()
            self._selector.close()

    def parts(self) -> list[PartHealth]:
        """How each part is: ``ok``, ``starting``, ``degraded`` or ``down``."""
        return [self._health(kept) for kept in self._kept]

    def _look(self) -> None:
        now = self._monotonic()
        for kept in self._kept:
            if kept.child is None:
                if now >= kept.due:
                    self._start(kept)
                continue
            ended = kept.child.ended()
            if ended is not None:
                self._bury(kept, kept.child, kept.killed or ended, now)
            elif not kept.killed:
                self._check_beat(kept, kept.child, now)

    def _start(self, kept: _Kept) -> None:
        kept.killed, kept.status = "", None
        try:
            kept.child = Child(kept.part.name, kept.part.command, self._selector, self._monotonic)
        except OSError as error:
            now = self._monotonic()
            kept.reason = f"cannot be started: {error.strerror}"
            kept.due = now + kept.backoff.failed(now)
            _log.error("part.not_started", part=kept.part.name, reason=kept.reason)
            return
        _log.info("part.started", part=kept.part.name, pid=kept.child.pid, restarts=kept.restarts)

    def _bury(self, kept: _Kept, child: Child, reason: str, now: float) -> None:
        child.close()
        pause = kept.backoff.failed(now, now - child.started)
        kept.child, kept.due, kept.reason = None, now + pause, reason
        kept.restarts += 1
        kept.degraded = kept.degraded or kept.backoff.count(now, self._limits.calm_s) >= self._limits.deaths
        _log.error("part.ended", part=kept.part.name, reason=reason, again_in_s=round(pause, 1))

    def _check_beat(self, kept: _Kept, child: Child, now: float) -> None:
        status = read_status(self._folder / f"{kept.part.name}.json")
        if status is not None and status.pid == child.pid:
            kept.status = status
            last, limit = status.monotonic, self._limits.stall_s
        else:
            last, limit = child.started, self._limits.warm_up_s
        if now - child.started >= self._limits.calm_s:
            kept.backoff.forget()
            kept.degraded = False
        if now - last > limit:
            kept.killed = f"no sign of life for {now - last:.0f} s"
            _log.error("part.stalled", part=kept.part.name, reason=kept.killed)
            child.signal(signal.SIGKILL)

    def _health(self, kept: _Kept) -> PartHealth:
        name, reason = kept.part.name, kept.reason
        if kept.degraded:
            state = "degraded"
        elif kept.child is None:
            state = "down"
        elif kept.status is None:
            state = "starting"
        else:
            state, reason = kept.status.state, kept.status.reason or reason
        return PartHealth(part=name, state=state, restarts=kept.restarts, reason=reason)

    def _hear(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            key.data()

    def _end(self) -> None:
        """SIGTERM to all at once; SIGKILL to those that are left."""
        running = [kept.child for kept in self._kept if kept.child is not None]
        for child in running:
            child.signal(signal.SIGTERM)
        end = self._monotonic() + self._limits.stop_s
        while any(child.ended() is None for child in running) and self._monotonic() < end:
            self._hear(0.05)
        for child in running:
            if child.ended() is None:
                _log.warning("part.killed", part=child.part, reason="did not end after SIGTERM")
            child.close()
            _log.info("part.stopped", part=child.part)
