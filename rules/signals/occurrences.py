"""Windows over what was said, and how often: count, distinct, seen, absent, last, open."""

from typing import Any, Final

from rules.durations import DAY
from rules.signals.panes import Panes
from rules.signals.window import Order, Sample, Value, Window

MOST: Final = 10_000
"""So many different values or events a window tells apart; of more, the oldest are forgotten."""
FORGET: Final = DAY
"""An open event not heard of for so long counts as over."""


class Count(Window):
    """``count`` of readings: how many samples there were."""

    __slots__ = ("order", "panes")

    def __init__(self, over: int) -> None:
        self.panes = Panes(over)
        self.order = Order(over)

    def update(self, sample: Sample, now: int) -> bool:
        if not sample.matches or self.order.late(sample, now):
            return False
        if self.panes.add(sample.time, 1.0):
            self.panes.expire(now)  # it may be long until somebody asks
        return True

    def value(self, now: int, listening: int) -> int:
        self.panes.expire(now)
        return self.panes.count

    def due(self, now: int, listening: int) -> int | None:
        self.panes.expire(now)
        return self.panes.due()

    def dump(self) -> list[Any]:
        return [self.panes.dump(), self.order.newest]

    def load(self, raw: list[Any]) -> None:
        self.panes.load(raw[0])
        self.order.newest = raw[1]


class Distinct(Window):
    """``distinct``: how many different values were seen; with ``events``, how many different events (``count``)."""

    __slots__ = ("events", "order", "times")

    def __init__(self, over: int, *, events: bool) -> None:
        self.order = Order(over)
        self.events = events
        self.times: dict[Any, int] = {}

    def update(self, sample: Sample, now: int) -> bool:
        value = sample.event if self.events else sample.value
        if not sample.matches or value is None or self.order.late(sample, now):
            return False
        if self.events and value in self.times:
            return True
        # Kept in order of time, so that what runs out stands in front.
        newest = next(reversed(self.times.values()), 0)
        self.times.pop(value, None)
        self.times[value] = max(newest, sample.time)
        if len(self.times) > MOST:
            del self.times[next(iter(self.times))]
        return True

    def value(self, now: int, listening: int) -> int:
        self.due(now, listening)
        return len(self.times)

    def due(self, now: int, listening: int) -> int | None:
        while self.times:
            value, time = next(iter(self.times.items()))
            if time > now - self.order.span:
                return time + self.order.span
            del self.times[value]
        return None

    def dump(self) -> list[Any]:
        return [[[value, time] for value, time in self.times.items()], self.order.newest]

    def load(self, raw: list[Any]) -> None:
        self.times = dict(raw[0])
        self.order.newest = raw[1]


class Seen(Window):
    """``seen``: whether there was such a record in the last ``over`` microseconds."""

    __slots__ = ("latest", "order")

    def __init__(self, over: int) -> None:
        self.order = Order(over)
        self.latest = 0

    def update(self, sample: Sample, now: int) -> bool:
        if not sample.matches or self.order.late(sample, now):
            return False
        self.latest = max(self.latest, sample.time)
        return True

    def value(self, now: int, listening: int) -> bool:
        return now - self.latest < self.order.span

    def due(self, now: int, listening: int) -> int | None:
        end = self.latest + self.order.span
        return end if end > now else None

    def dump(self) -> list[Any]:
        return [self.latest, self.order.newest]

    def load(self, raw: list[Any]) -> None:
        self.latest, self.order.newest = raw


class Absent(Window):
    """``absent``: whether such a record has been missing for ``over`` microseconds.

    Silence counts from the last such record, or from the first record about this key, and never from before the time
    at which the engine itself began to listen: after a pause of its own it does not call everyone silent.
    """

    __slots__ = ("latest", "order", "since")

    def __init__(self, over: int) -> None:
        self.order = Order(over)
        self.since = 0
        self.latest = 0

    def update(self, sample: Sample, now: int) -> bool:
        first = not self.since
        self.since = self.since or now
        if not sample.matches or self.order.late(sample, now):
            return first
        self.latest = max(self.latest, sample.time)
        return True

    def value(self, now: int, listening: int) -> bool:
        return now - max(self.since, self.latest, listening) >= self.order.span

    def due(self, now: int, listening: int) -> int | None:
        heard = max(self.since, self.latest, listening)
        while heard and now - heard < 3 * self.order.span:
            heard += self.order.span
            if heard > now:
                return heard
        return None

    def dump(self) -> list[Any]:
        return [self.since, self.latest, self.order.newest]

    def load(self, raw: list[Any]) -> None:
        self.since, self.latest, self.order.newest = raw


class Last(Window):
    """``last``: the newest value, for ``over`` microseconds."""

    __slots__ = ("latest", "newest", "order")

    def __init__(self, over: int) -> None:
        self.order = Order(over)
        self.latest = 0
        self.newest: Value | None = None

    def update(self, sample: Sample, now: int) -> bool:
        if not sample.matches or sample.value is None or self.order.late(sample, now) or sample.time < self.latest:
            return False
        self.latest = sample.time
        self.newest = sample.value
        return True

    def value(self, now: int, listening: int) -> Value | None:
        return self.newest if now - self.latest < self.order.span else None

    def due(self, now: int, listening: int) -> int | None:
        end = self.latest + self.order.span
        return end if end > now else None

    def dump(self) -> list[Any]:
        return [self.latest, self.newest, self.order.newest]

    def load(self, raw: list[Any]) -> None:
        self.latest, self.newest, self.order.newest = raw


class Open(Window):
    """``open``: how many events are open now and meet ``where``; an event counts however long ago it opened."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: dict[str, tuple[int, Value | None]] = {}

    def update(self, sample: Sample, now: int) -> bool:
        was = self.events.pop(sample.event, None)
        if not sample.open or not sample.matches:
            return was is not None
        # Put at the end: in front stands what was not heard of for the longest time.
        self.events[sample.event] = (now, sample.value)
        if len(self.events) > MOST:
            del self.events[next(iter(self.events))]
        return True

    def value(self, now: int, listening: int) -> Value | None:
        self.due(now, listening)
        return len(self.events)

    def due(self, now: int, listening: int) -> int | None:
        while self.events:
            event, (heard, _) = next(iter(self.events.items()))
            if heard > now - FORGET:
                return heard + FORGET
            del self.events[event]
        return None

    def dump(self) -> list[Any]:
        return [[event, heard, value] for event, (heard, value) in self.events.items()]

    def load(self, raw: list[Any]) -> None:
        self.events = {event: (heard, value) for event, heard, value in raw}


class LastOpen(Open):
    """``last`` of events without ``over``: the newest value among the events that are open."""

    __slots__ = ()

    def value(self, now: int, listening: int) -> Value | None:
        self.due(now, listening)
        return next((value for _, value in reversed(self.events.values()) if value is not None), None)
