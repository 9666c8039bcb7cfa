"""How a release takes over in the vision process: tried in a thread, switched between two frames, watched, taken back.

The vision loop does four things: ``start`` each detector, ``offer`` what a notice names, tell ``saw`` or ``failed`` for
each frame, and let the engines ``settle`` between two frames. The rest happens in one thread here.
"""

import queue
import statistics
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from contract.records import ModelHealth
from edge.updates.slots import Accepted, BuildEngine, ModelSlots
from edge.updates.state import Slot
from edge.updates.watch import FRAMES, Verdict, Watch
from edge.vision.engine import Engine, EngineError, read_release
from edge.vision.engines import Engines

log = structlog.get_logger()

_RECENT: Final = 50


class ReleaseSwitch:
    """The releases of a vision process.

    Args:
        slots: what lies on the box.
        engines: what runs; this alone swaps.
        build_engine: from a release to an engine.
        shipped: the folder of the release that the box came with, by detector.
        frames: how many frames a trial lasts.
    """

    def __init__(
        self,
        slots: ModelSlots,
        engines: Engines,
        build_engine: BuildEngine,
        shipped: Callable[[str], Path],
        frames: int = FRAMES,
    ) -> None:
        self._slots = slots
        self._engines = engines
        self._build = build_engine
        self._shipped = shipped
        self._frames = frames
        self._started: set[str] = set()
        self._lock = threading.Lock()
        self._watches: dict[str, Watch] = {}
        self._latencies: dict[str, deque[float]] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="releases", daemon=True)
        self._thread.start()

    def start(self, name: str) -> None:
        """Load the release of ``name`` that is to run, warm, and queue it for ``Engines.settle``.

        Raises:
            EngineError: neither a slot nor what the box came with can be loaded.
        """
        self._started.add(name)
        slot = self._slots.start(name)
        engine = self._load(name, slot)
        record = self._slots.record(name)
        if record.trial:
            with self._lock:
                self._watches[name] = Watch(record.before_ms, self._frames)
        self._engines.swap(name, engine, engine.model.version)

    def resume(self) -> None:
        """Try the offers that came while nobody listened; call it after ``start``."""
        for name, slot in self._slots.waiting():
            self._offer(name, slot)

    def offer(self, name: str, version: str) -> None:
        """Try what the update client brought for ``name``; returns at once."""
        for waiting, slot in self._slots.waiting():
            if waiting == name and slot.version == version:
                self._offer(name, slot)

    def saw(self, name: str, latency_ms: float) -> None:
        """A frame was looked at in ``latency_ms`` milliseconds."""
        self._latencies.setdefault(name, deque(maxlen=_RECENT)).append(latency_ms)
        with self._lock:
            watch = self._watches.get(name)
        if watch is not None:
            self._judge(name, watch, watch.saw(latency_ms))

    def failed(self, name: str, reason: str) -> None:
        """A frame could not be looked at."""
        with self._lock:
            watch = self._watches.get(name)
        if watch is not None:
            self._judge(name, watch, watch.failed(reason))

    def health(self, name: str) -> ModelHealth:
        """What to report of a detector."""
        engine = self._engines.current(name)
        return self._slots.health(name, engine.model if engine else None, round(self._median(name), 2))

    def close(self) -> None:
        """End in good order: what is being tried is let go of, and a release on trial is not blamed."""
        self._tasks.put(None)
        self._thread.join()
        for name in self._engines.names():
            self._slots.stopped(name)

    def _offer(self, name: str, slot: Slot) -> None:
        self._tasks.put(lambda: self._try(name, slot))

    def _try(self, name: str, slot: Slot) -> None:
        if name not in self._started or not self._slots.wanted(name, slot):
            return  # no camera asks for it, or it was tried a moment ago
        outcome = self._slots.try_release(name, slot, self._build)
        if isinstance(outcome, Accepted):
            self._engines.swap(name, outcome.engine, slot.version, lambda: self._took_over(name, slot))

    def _took_over(self, name: str, slot: Slot) -> None:
        """Called by the vision loop, between two frames."""
        before_ms = self._median(name)
        self._latencies.pop(name, None)
        with self._lock:
            self._watches[name] = Watch(before_ms, self._frames)
        self._tasks.put(lambda: self._slots.commit(name, slot, before_ms))

    def _judge(self, name: str, watch: Watch, verdict: Verdict) -> None:
        if verdict is Verdict.OPEN:
            return
        with self._lock:
            self._watches.pop(name, None)
        if verdict is Verdict.PASSED:
            self._tasks.put(lambda: self._slots.keep(name))
        else:
            self._tasks.put(lambda: self._back(name, watch.reason))

    def _back(self, name: str, reason: str) -> None:
        slot = self._slots.roll_back(name, reason)
        try:
            engine = self._load(name, slot)
        except EngineError as error:
            log.error("nothing to go back to", model=name, reason=str(error))
            return
        self._latencies.pop(name, None)
        self._engines.swap(name, engine, engine.model.version)

    def _load(self, name: str, slot: Slot | None) -> Engine:
        folder = self._slots.folder(name, slot) if slot is not None else self._shipped(name)
        try:
            engine = self._build(read_release(folder), folder)
            engine.warm_up()
        except EngineError as error:
            if slot is None:
                raise
            log.error("release cannot be loaded", model=name, version=slot.version, reason=str(error))
            return self._load(name, self._slots.roll_back(name, str(error)))
        return engine

    def _median(self, name: str) -> float:
        recent = self._latencies.get(name)
        return statistics.median(recent) if recent else 0.0

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception as error:  # noqa: BLE001 - a full disk must not end the thread that can take a release back
                log.error("release could not be handled", reason=f"{type(error).__name__}: {error}")
