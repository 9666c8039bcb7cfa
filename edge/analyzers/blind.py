"""Blindness: a camera or sensor that gives nothing is an event of its own."""

from dataclasses import dataclass

from contract.ids import Micros
from contract.records import Event, Phase
from edge.analyzers.events import EventIds, revise


@dataclass(frozen=True)
class BlindSettings:
    """When a source counts as blind, in seconds of the monotonic clock."""

    after_s: float = 15.0
    """Without anything for so long."""
    back_s: float = 5.0
    """It has to give something for so long before it is trusted again: a camera that flaps gives one event."""
    gap_s: float = 3.0
    """A pause longer than this while it comes back starts ``back_s`` anew."""
    change_s: float = 10.0
    """Shortest time between two revisions."""


class BlindAnalyzer:
    """One source. Times with ``_s`` come from the monotonic clock; wall time only stamps the events.

    Attrs of its events: ``reason`` and ``silent_s``.

    Args:
        source: the camera or sensor.
        start_s: monotonic time at which the watch begins; a source that never gives anything is blind too.
        ids: names for events.
        opened: the event that an earlier run left open.
    """

    def __init__(
        self,
        source: str,
        start_s: float,
        ids: EventIds,
        opened: Event | None = None,
        settings: BlindSettings = BlindSettings(),
    ) -> None:
        self._source, self._ids, self._settings = source, ids, settings
        self._last_s = start_s
        self._back_s: float | None = None
        self._told_s = start_s
        self.event = opened
        """The open event, in its last revision."""

    def seen(self, monotonic_s: float) -> None:
        """The source gave something that could be used."""
        if self._back_s is None or monotonic_s - self._last_s > self._settings.gap_s:
            self._back_s = monotonic_s
        self._last_s = monotonic_s

    def silent_s(self, monotonic_s: float) -> float:
        """Seconds since it last gave something."""
        return max(0.0, monotonic_s - self._last_s)

    def check(self, monotonic_s: float, now: Micros, reason: str) -> list[Event]:
        """Time has passed; call it about once a second.

        Args:
            monotonic_s: the time, for counting.
            now: the time, for stamping.
            reason: why nothing comes, as far as is known.

        Returns:
            The revision this gave rise to, if any.
        """
        silent = self.silent_s(monotonic_s)
        if self.event is None:
            return [self._open(silent, monotonic_s, now, reason)] if silent >= self._settings.after_s else []
        if silent > self._settings.gap_s:
            self._back_s = None
            return self._try_change(silent, monotonic_s, now, reason)
        if self._back_s is None or monotonic_s - self._back_s < self._settings.back_s:
            return []
        closed = revise(self.event, Phase.CLOSE, now, detected=now)
        self.event = None
        return [closed]

    def _open(self, silent: float, monotonic_s: float, now: Micros, reason: str) -> Event:
        self._told_s, self._back_s = monotonic_s, None
        self.event = Event(
            id=self._ids(),
            kind="blind",
            phase=Phase.OPEN,
            revision=1,
            time=now,
            started=max(0, now - int(silent * 1_000_000)),
            source=self._source,
            attrs={"reason": reason, "silent_s": round(silent, 1)},
            detected=now,
        )
        return self.event

    def _try_change(self, silent: float, monotonic_s: float, now: Micros, reason: str) -> list[Event]:
        event = self.event
        assert event is not None
        if event.attrs.get("reason") == reason or monotonic_s - self._told_s < self._settings.change_s:
            return []
        self._told_s = monotonic_s
        self.event = revise(
            event, Phase.CHANGE, now, attrs={"reason": reason, "silent_s": round(silent, 1)}, detected=now
        )
        return [self.event]
