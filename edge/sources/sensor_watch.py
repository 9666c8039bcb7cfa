"""One sensor as the sensing process sees it: its readings, its alarms, its blindness, its health."""

from collections import deque
from collections.abc import Iterable

from contract.ids import Micros
from contract.records import Event, Quality, Reading, Record, SourceHealth
from edge.analyzers.blind import BlindAnalyzer, BlindSettings
from edge.analyzers.events import EventIds, left_open
from edge.analyzers.gas import GasAnalyzer
from edge.config import Channel, Sensor
from edge.sources.sensor import Failure, Sample, make_reading

_RATE_S = 30.0
_NOTHING = "nothing that could be used has come"


class SensorWatch:
    """Turns samples and failures into records. Times with ``_s`` come from a monotonic clock.

    Args:
        name, sensor: its name and settings.
        opened: events that an earlier run left open.
        ids: names for events.
        start_s: now.
        period_s: seconds from one sample to the next.
    """

    def __init__(
        self, name: str, sensor: Sensor, opened: Iterable[Event], ids: EventIds, start_s: float, period_s: float
    ) -> None:
        self.name, self._sensor = name, sensor
        opened = [event for event in opened if event.source == name]
        self._gas = {
            channel.quantity: GasAnalyzer(
                name, channel.quantity, channel.unit, channel.alarm, ids, _of_channel(opened, name, channel)
            )
            for channel in sensor.channels
            if channel.alarm is not None
        }
        settings = BlindSettings(
            after_s=max(15.0, 3 * period_s + sensor.timeout_s),
            back_s=max(5.0, 2 * period_s),
            gap_s=max(3.0, 2.5 * period_s),
        )
        self._blind = BlindAnalyzer(name, start_s, ids, left_open(opened, "blind", name), settings)
        self._after_s = settings.after_s
        self._last: dict[str, float] = {}
        self._told_bad = False
        self._bad: tuple[str, ...] = ()
        self._reason = ""
        self._times: deque[float] = deque(maxlen=1024)

    def open_events(self) -> list[Event]:
        """What this sensor has open."""
        gas = [analyzer.event for analyzer in self._gas.values()]
        return [event for event in (*gas, self._blind.event) if event is not None]

    def take(self, sample: Sample, now_s: float) -> list[Record]:
        """A sample: its readings, and the events they give rise to, events first."""
        readings = [self._reading(channel, sample) for channel in self._sensor.channels]
        self._bad = tuple(reading.quantity for reading in readings if reading.quality is Quality.BAD)
        self._reason, self._told_bad = "", False
        self._times.append(now_s)
        if len(self._bad) < len(readings):
            self._blind.seen(now_s)
        return [*self._analyze(readings, sample.time), *readings]

    def fail(self, failure: Failure) -> list[Record]:
        """A failure: one reading of bad quality a quantity, the first time; open alarms stay open and say so."""
        self._reason = failure.reason
        if self._told_bad or not self._last:
            return []
        self._told_bad = True
        readings = [
            make_reading(self.name, channel, failure.time, None, self._last[channel.quantity])
            for channel in self._sensor.channels
            if channel.quantity in self._last
        ]
        return [*self._analyze(readings, failure.time), *readings]

    def check(self, now_s: float, now: Micros) -> list[Event]:
        """Time has passed."""
        return self._blind.check(now_s, now, self._reason or _NOTHING)

    def health(self, now_s: float) -> SourceHealth:
        """How the sensor is."""
        age = now_s - self._times[-1] if self._times else -1.0
        state, reason = "ok", self._reason
        if not self._times:
            state = "down" if reason else "starting"
        elif reason or age > self._after_s:
            state, reason = "down", reason or _NOTHING
        elif self._bad:
            state, reason = "degraded", f"no good value of {', '.join(self._bad)}"
        note = self._sensor.note
        if not note and self._sensor.kind == "csv":
            note = "readings are replayed from a file"
        return SourceHealth(
            source=self.name,
            kind="sensor",
            state=state,
            reason=reason,
            rate_hz=round(sum(1 for then in self._times if now_s - then <= _RATE_S) / _RATE_S, 3),
            age_s=round(age, 3),
            title=self._sensor.title,
            note=note,
        )

    def _reading(self, channel: Channel, sample: Sample) -> Reading:
        value = sample.values.get(channel.quantity)
        reading = make_reading(self.name, channel, sample.time, value, self._last.get(channel.quantity, 0.0))
        if reading.quality is not Quality.BAD:
            self._last[channel.quantity] = reading.value
        return reading

    def _analyze(self, readings: Iterable[Reading], detected: Micros) -> list[Event]:
        events: list[Event] = []
        for reading in readings:
            analyzer = self._gas.get(reading.quantity)
            if analyzer is not None:
                events += analyzer.observe(reading, detected)
        return events


def _of_channel(opened: Iterable[Event], name: str, channel: Channel) -> Event | None:
    mine = [event for event in opened if event.attrs.get("quantity") == channel.quantity]
    return left_open(mine, "gas", name)
