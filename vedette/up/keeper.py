"""Keeps the parts of the system alive: starts them in order, restarts the dead, gives up when it is of no use."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog

from cloud.servers.server import Server

log = structlog.get_logger()

BACK_OFF_S: Final = 0.2
LONGEST_BACK_OFF_S: Final = 5.0
DEATHS: Final = 5
WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 15.0
SILENT_S: Final = 12.0
"""A part that runs and has not answered for so long is stalled: it is killed, and comes back like any dead one."""
_LOOK_S: Final = 0.05
_ASK_S: Final = 1.0


class PartFailedError(RuntimeError):
    """A part did not start, or died too often; the text names it and ends with what it said last."""


class State(StrEnum):
    """How a part is."""

    WAITING = "waiting"
    STARTING = "starting"
    UP = "up"
    DEAD = "dead"


@dataclass
class Kept:
    """A part and its child process."""

    part: Server
    output: Path
    child: subprocess.Popen[bytes] | None = None
    state: State = State.WAITING
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))
    restarts: int = 0
    start_at: float = 0.0
    answered_at: float = 0.0

    def tail(self, lines: int = 12) -> str:
        """What it said last."""
        try:
            return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


class Keeper:
    """All parts of one system.

    Args:
        parts: in the order of their start; they are stopped in the opposite one.
        logs: folder for their output, one file a part.
        ready_within_s: how long the first start of one part may take.
        monotonic: seconds.
        changed: told of every change of a part's state.
    """

    def __init__(
        self,
        parts: Sequence[Server],
        logs: Path,
        ready_within_s: float = 90.0,
        monotonic: Callable[[], float] = time.monotonic,
        changed: Callable[[Kept], None] = lambda _: None,
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.kept = [Kept(part, logs / f"{part.name}.log") for part in parts]
        self._ready_within_s = ready_within_s
        self._monotonic = monotonic
        self._changed = changed

    def start(self, name: str, stop: threading.Event) -> None:
        """Start one part and wait until it answers, or ``stop`` is set.

        Raises:
            ServerError: it could not be prepared.
            PartFailedError: it ended, or did not answer in time.
        """
        kept = next(one for one in self.kept if one.part.name == name)
        self._launch(kept)
        deadline = self._monotonic() + self._ready_within_s
        while not stop.is_set() and not kept.part.ready():
            assert kept.child is not None
            if (code := kept.child.poll()) is not None:
                raise PartFailedError(f"{name} ended with {_spell(code)} while starting:\n{kept.tail()}")
            if self._monotonic() > deadline:
                raise PartFailedError(f"{name} did not answer within {self._ready_within_s:.0f} s:\n{kept.tail()}")
            stop.wait(_LOOK_S)
        self._set(kept, State.UP)

    def keep(self, stop: threading.Event) -> None:
        """Watch over what was started until ``stop`` is set.

        Raises:
            PartFailedError: a part died ``DEATHS`` times within ``WITHIN_S`` seconds.
        """
        askers = [threading.Thread(target=self._ask, args=(kept, stop), daemon=True) for kept in self.kept]
        for asker in askers:
            asker.start()
        while not stop.is_set():
            for kept in self.kept:
                self._look(kept)
            stop.wait(_LOOK_S)

    def stop(self) -> None:
        """Stop everything, the last started first; whatever does not end in time is killed. Safe to call again."""
        for kept in reversed(self.kept):
            child = kept.child
            if child is None:
                continue
            if child.poll() is None:
                child.send_signal(kept.part.stop_signal)
                try:
                    child.wait(STOP_WITHIN_S)
                except subprocess.TimeoutExpired:
                    log.warning("part killed", part=kept.part.name, reason=f"still there after {STOP_WITHIN_S:.0f} s")
                    child.kill()
                    child.wait()
            kept.child = None
            self._set(kept, State.WAITING)

    def _look(self, kept: Kept) -> None:
        now = self._monotonic()
        if kept.state is State.DEAD:
            if now >= kept.start_at:
                kept.restarts += 1
                self._relaunch(kept)
        elif kept.child is not None and (code := kept.child.poll()) is not None:
            self._note_death(kept, _spell(code), now)
        elif kept.child is not None and now - kept.answered_at > self._patience_s(kept):
            log.warning("part stalled", part=kept.part.name, silent_s=round(now - kept.answered_at))
            kept.child.kill()

    def _patience_s(self, kept: Kept) -> float:
        return SILENT_S if kept.state is State.UP else self._ready_within_s

    def _ask(self, kept: Kept, stop: threading.Event) -> None:
        """In a thread of its own, since an answer may take seconds: whether the part does its work."""
        while not stop.is_set():
            if kept.state in (State.STARTING, State.UP) and kept.part.ready():
                kept.answered_at = self._monotonic()
                if kept.state is State.STARTING:
                    self._set(kept, State.UP)
            stop.wait(_ASK_S if kept.state is State.UP else _LOOK_S)

    def _note_death(self, kept: Kept, how: str, now: float) -> None:
        kept.deaths.append(now)
        if len(kept.deaths) == DEATHS and now - kept.deaths[0] < WITHIN_S:
            raise PartFailedError(
                f"{kept.part.name} died {DEATHS} times in {WITHIN_S:.0f} s, last with {how}; "
                f"its log is {kept.output}:\n{kept.tail()}"
            )
        recent = sum(now - death < WITHIN_S for death in kept.deaths)
        kept.start_at = now + min(LONGEST_BACK_OFF_S, BACK_OFF_S * 2 ** (recent - 1))
        log.warning("part died", part=kept.part.name, how=how, restart_in_s=round(kept.start_at - now, 1))
        self._set(kept, State.DEAD)

    def _relaunch(self, kept: Kept) -> None:
        """A start that fails before there is a child counts as a death: what is in the way may go away."""
        try:
            self._launch(kept)
        except (OSError, RuntimeError) as error:
            log.warning("part could not be started", part=kept.part.name, error=str(error))
            self._note_death(kept, str(error), self._monotonic())

    def _launch(self, kept: Kept) -> None:
        kept.part.prepare()
        shim = [sys.executable, "-m", "vedette.up.child", str(int(kept.part.stop_signal)), str(os.getpid())]
        with kept.output.open("ab") as output:
            kept.child = subprocess.Popen(
                [*shim, *kept.part.command],
                env={**os.environ, **kept.part.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, in our order
            )
        kept.answered_at = self._monotonic()
        self._set(kept, State.STARTING)

    def _set(self, kept: Kept, state: State) -> None:
        if kept.state is not state:
            kept.state = state
            self._changed(kept)


def _spell(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
