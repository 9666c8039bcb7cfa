"""The engines in use, by detector, and the switch to another between two frames."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from edge.vision.engine import Engine

log = structlog.get_logger()


@dataclass
class _Slot:
    engine: Engine | None = None
    version: str = ""
    waiting: list[tuple[Engine, str, Callable[[], None] | None]] = field(default_factory=list)


class Engines:
    """Which engine looks for what.

    Any thread may ``swap`` a warmed-up engine in; the vision loop calls ``settle`` between two frames, and only then
    ``current`` changes. So no frame is looked at by half an engine, and none waits for a model to load.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}

    def current(self, name: str) -> Engine | None:
        """The engine of detector ``name``; None where no release of it runs."""
        with self._lock:
            slot = self._slots.get(name)
            return slot.engine if slot is not None else None

    def version(self, name: str) -> str:
        """The release's version; empty where none runs."""
        with self._lock:
            slot = self._slots.get(name)
            return slot.version if slot is not None else ""

    def names(self) -> tuple[str, ...]:
        """Detectors with an engine."""
        with self._lock:
            return tuple(name for name, slot in self._slots.items() if slot.engine is not None)

    def swap(self, name: str, engine: Engine, version: str, done: Callable[[], None] | None = None) -> None:
        """Let ``engine`` take over ``name`` before the next frame; ``done`` is called, by the loop, once it has."""
        with self._lock:
            self._slots.setdefault(name, _Slot()).waiting.append((engine, version, done))

    def settle(self) -> tuple[str, ...]:
        """Carry out the switches that wait; returns the detectors that were switched. For the vision loop alone."""
        out: list[Engine] = []
        calls: list[Callable[[], None]] = []
        switched: list[str] = []
        with self._lock:
            for name, slot in self._slots.items():
                for engine, version, done in slot.waiting:
                    if slot.engine is not None:
                        out.append(slot.engine)
                    slot.engine, slot.version = engine, version
                    switched.append(name)
                    calls += [done] if done is not None else []
                slot.waiting.clear()
        for engine in out:
            engine.close()
        for call in calls:
            call()
        if switched:
            log.info("engines switched", detectors=switched)
        return tuple(dict.fromkeys(switched))

    def close(self) -> None:
        """Close every engine, also those that still wait."""
        self.settle()
        with self._lock:
            engines = [slot.engine for slot in self._slots.values() if slot.engine is not None]
            self._slots.clear()
        for engine in engines:
            engine.close()
