"""Gas: readings of one channel against its two set points.

A bad reading says nothing: it opens nothing, and it never ends an alarm nor brings it closer to its end. A reading of
uncertain quality can open an alarm, and cannot end one.
"""

from dataclasses import dataclass

from contract.ids import Micros
from contract.records import Event, Phase, Quality, Reading, Scalar
from edge.analyzers.events import SECOND, EventIds, may_change, revise
from edge.config import GasAlarm

_NONE, _LOW, _HIGH = 0, 1, 2
_NAMES = ("none", "low", "high")


@dataclass(frozen=True)
class GasSettings:
    """How often an open event speaks."""

    change_s: float = 10.0
    """Shortest time between two revisions at the same level; a change of level is told at once."""
    change: float = 0.1
    """The value higher or lower by this share is worth telling."""


class GasAnalyzer:
    """One channel of one sensor.

    An event of kind ``gas`` has attrs ``quantity``, ``value``, ``unit``, ``level`` (``low`` or ``high``), ``limit``
    (the set point of that level), ``worst`` (the value farthest beyond it so far) and ``quality``.

    Args:
        source: the sensor.
        quantity, unit: of the channel.
        alarm: its set points.
        ids: names for events.
        opened: the event that an earlier run left open for this channel.
    """

    def __init__(
        self,
        source: str,
        quantity: str,
        unit: str,
        alarm: GasAlarm,
        ids: EventIds,
        opened: Event | None = None,
        settings: GasSettings = GasSettings(),
    ) -> None:
        self._sign = -1.0 if alarm.falling else 1.0
        self._source, self._quantity, self._unit, self._alarm, self._ids = source, quantity, unit, alarm, ids
        self._settings = settings
        self._reached: dict[int, Micros | None] = {_LOW: None, _HIGH: None}
        self._left: dict[int, Micros | None] = {_LOW: None, _HIGH: None}
        self._level = _NAMES.index(str(opened.attrs.get("level", "low"))) if opened is not None else _NONE
        self.event = opened
        """The open event, in its last revision."""

    def observe(self, reading: Reading, detected: Micros) -> list[Event]:
        """One reading; returns the revision it gave rise to, if any.

        Args:
            reading: of this channel.
            detected: when it was read.
        """
        if reading.quality is Quality.BAD:
            self._left = dict.fromkeys(self._left)
            return self._note_quality(reading, detected)
        for level in (_LOW, _HIGH):
            self._mark(level, reading)
        level = self._decide(reading.time)
        if level == self._level:
            return self._try_change(reading, detected)
        started = self._reached[_LOW] or self._reached[_HIGH] or reading.time
        self._level = level
        if level == _NONE:
            return self._close(reading, detected)
        if self.event is None:
            return [self._open(reading, started, detected)]
        return [self._revise(reading, detected)]

    def _limit(self, level: int) -> float:
        return self._alarm.high if level == _HIGH else self._alarm.low

    def _beyond(self, level: int, value: float) -> bool:
        return self._sign * value >= self._sign * self._limit(level)

    def _mark(self, level: int, reading: Reading) -> None:
        """Note since when the value has been beyond this level's set point, or back from it."""
        now = reading.time
        if self._beyond(level, reading.value):
            self._reached[level] = _earlier(self._reached[level], now)
            self._left[level] = None
            return
        self._reached[level] = None
        good = reading.quality is Quality.GOOD
        self._left[level] = _earlier(self._left[level], now) if good else None

    def _decide(self, now: Micros) -> int:
        """A level begins after ``hold_s`` beyond its set point and ends after ``clear_s`` back from it."""
        above = [level for level in (_LOW, _HIGH) if _lasted(self._reached[level], now, self._alarm.hold_s)]
        over = [level for level in (_LOW, _HIGH) if _lasted(self._left[level], now, self._alarm.clear_s)]
        if above and above[-1] > self._level:
            return above[-1]
        if self._level not in over:
            return self._level
        return _LOW if self._level == _HIGH and _LOW not in over else _NONE

    def _open(self, reading: Reading, started: Micros, detected: Micros) -> Event:
        self.event = Event(
            id=self._ids(),
            kind="gas",
            phase=Phase.OPEN,
            revision=1,
            time=reading.time,
            started=min(started, reading.time),
            source=self._source,
            attrs=self._attrs(reading, reading.value),
            detected=detected,
        )
        return self.event

    def _revise(self, reading: Reading, detected: Micros) -> Event:
        assert self.event is not None
        worst = float(self.event.attrs.get("worst", reading.value))
        worst = reading.value if self._sign * reading.value > self._sign * worst else worst
        self.event = revise(
            self.event, Phase.CHANGE, reading.time, attrs=self._attrs(reading, worst), detected=detected
        )
        return self.event

    def _try_change(self, reading: Reading, detected: Micros) -> list[Event]:
        event = self.event
        if event is None:
            return []
        told = float(event.attrs.get("value", reading.value))
        real = abs(reading.value - told) >= self._settings.change * max(abs(told), 1e-9)
        better = event.attrs.get("quality") != reading.quality.value
        if not (real or better) or not may_change(event, reading.time, self._settings.change_s):
            return []
        return [self._revise(reading, detected)]

    def _note_quality(self, reading: Reading, detected: Micros) -> list[Event]:
        """An open alarm whose sensor fails stays open, and says so once; its last value stands."""
        if self.event is None or self.event.attrs.get("quality") == Quality.BAD.value:
            return []
        attrs = self.event.attrs | {"quality": Quality.BAD.value}
        self.event = revise(self.event, Phase.CHANGE, reading.time, attrs=attrs, detected=detected)
        return [self.event]

    def _close(self, reading: Reading, detected: Micros) -> list[Event]:
        if self.event is None:
            return []
        attrs = self.event.attrs | {"value": reading.value, "quality": reading.quality.value}
        closed = revise(self.event, Phase.CLOSE, reading.time, attrs=attrs, detected=detected)
        self.event = None
        return [closed]

    def _attrs(self, reading: Reading, worst: float) -> dict[str, Scalar]:
        return {
            "quantity": self._quantity,
            "value": reading.value,
            "unit": self._unit,
            "level": _NAMES[self._level],
            "limit": self._limit(self._level),
            "worst": worst,
            "quality": reading.quality.value,
        }


def _earlier(since: Micros | None, now: Micros) -> Micros:
    """A clock that was set back starts the time anew."""
    return now if since is None or since > now else since


def _lasted(since: Micros | None, now: Micros, seconds: float) -> bool:
    return since is not None and now - since >= seconds * SECOND
