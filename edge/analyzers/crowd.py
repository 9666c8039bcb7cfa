"""People: how many are in view and in each zone, and when that is too many."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Final

from contract.detections import Box, Detection
from contract.ids import Micros
from contract.records import Event, ModelRef, Phase, Reading, Scalar
from edge.analyzers.events import SECOND, EventIds, left_open, may_change, revise
from edge.config import Point
from edge.vision.density import Density

LABEL: Final = "person"
QUANTITY: Final = "person-count"
UNIT: Final = "{persons}"


@dataclass(frozen=True)
class CrowdSettings:
    """When a crowd is believed, in seconds."""

    smooth_s: float = 2.0
    """The count is the median over so long."""
    hold_s: float = 3.0
    """Above the limit for so long before the event opens."""
    clear_s: float = 10.0
    """At or below nine tenths of the limit for so long before it closes."""
    change_s: float = 5.0
    """Shortest time between two revisions."""
    change: float = 0.2
    """A count higher or lower by this share is worth telling."""
    read_s: float = 1.0
    """One reading in so long."""


@dataclass(frozen=True)
class Area:
    """Where people are counted: a zone by its name, or the whole view, whose name is empty."""

    name: str = ""
    points: tuple[Point, ...] = ()
    limit: int | None = None

    def holds(self, box: Box) -> bool:
        """Whether somebody stands in it: the middle of the box's lower edge, where the feet are."""
        return not self.points or _inside(((box[0] + box[2]) / 2, box[3]), self.points)


class CrowdAnalyzer:
    """One camera with its areas.

    Readings have quantity ``person-count`` for the whole view and ``person-count-<zone>`` for a zone.

    Args:
        source: the camera.
        areas: where to count; those with a limit give ``crowd`` events.
        ids: names for events.
        opened: events that an earlier run left open.
    """

    def __init__(
        self,
        source: str,
        areas: Sequence[Area],
        ids: EventIds,
        opened: Sequence[Event] = (),
        settings: CrowdSettings = CrowdSettings(),
    ) -> None:
        self._source, self._settings = source, settings
        self._watches = [
            _Watch(source, area, ids, left_open(opened, "crowd", source, area.name), settings) for area in areas
        ]
        self._read: Micros | None = None

    @property
    def events(self) -> tuple[Event, ...]:
        """The open events."""
        return tuple(watch.event for watch in self._watches if watch.event is not None)

    def observe(
        self, detections: Sequence[Detection], captured: Micros, detected: Micros, model: ModelRef | None
    ) -> tuple[list[Event], list[Reading]]:
        """One frame that was looked at: the revisions and the readings it gave rise to.

        Args:
            detections: persons at or above the release's threshold; other labels are passed over.
            captured: when the frame was taken.
            detected: when the detector gave the result.
            model: the release that looked.
        """
        persons = [item for item in detections if item.label == LABEL]
        return self._observe([watch.among(persons) for watch in self._watches], captured, detected, model)

    def count(
        self, density: Density, captured: Micros, detected: Micros, model: ModelRef
    ) -> tuple[list[Event], list[Reading]]:
        """One frame in which heads were counted, not persons found; as ``observe``."""
        return self._observe([watch.within(density) for watch in self._watches], captured, detected, model)

    def _observe(
        self, seen: Sequence["_Seen"], captured: Micros, detected: Micros, model: ModelRef | None
    ) -> tuple[list[Event], list[Reading]]:
        events = [
            event
            for watch, one in zip(self._watches, seen, strict=True)
            for event in watch.observe(one, captured, detected, model)
        ]
        if self._read is not None and 0 <= captured - self._read < self._settings.read_s * SECOND:
            return events, []
        self._read = captured
        return events, [watch.reading(captured) for watch in self._watches]


@dataclass(frozen=True)
class _Seen:
    """What one frame shows in an area: how many, how surely (0 to 1) that is so or more than the limit, and the persons
    where they were found one by one; else the standard deviation of the count."""

    count: int
    score: float
    persons: tuple[Detection, ...] = ()
    sd: float | None = None

    @property
    def attrs(self) -> dict[str, Scalar]:
        attrs: dict[str, Scalar] = {"persons": self.count}
        return attrs if self.sd is None else attrs | {"persons_sd": round(self.sd, 1)}


class _Watch:
    """One area of one camera."""

    def __init__(self, source: str, area: Area, ids: EventIds, opened: Event | None, settings: CrowdSettings) -> None:
        self._source, self._area, self._ids, self._settings = source, area, ids, settings
        self._counts: deque[tuple[Micros, int]] = deque()
        self._above: Micros | None = None
        self._below: Micros | None = None
        self.event = opened

    def count(self) -> int:
        """Persons, smoothed."""
        return median_high(count for _, count in self._counts) if self._counts else 0

    def reading(self, time: Micros) -> Reading:
        quantity = f"{QUANTITY}-{self._area.name}" if self._area.name else QUANTITY
        return Reading(time=time, source=self._source, quantity=quantity, value=float(self.count()), unit=UNIT)

    def among(self, persons: Sequence[Detection]) -> _Seen:
        """Those of the persons who are in the area."""
        here = tuple(item for item in persons if self._area.holds(item.box))
        return _Seen(len(here), sum(item.score for item in here) / len(here) if here else 0.0, here)

    def within(self, density: Density) -> _Seen:
        """The heads in the area."""
        found = density.count(self._area.points) if self._area.points else density.count()
        return _Seen(round(found.heads), found.above(self._area.limit or 0), sd=found.sd)

    def observe(self, seen: _Seen, captured: Micros, detected: Micros, model: ModelRef | None) -> list[Event]:
        self._counts.append((captured, seen.count))
        oldest = captured - int(self._settings.smooth_s * SECOND)
        while not oldest <= self._counts[0][0] <= captured:
            self._counts.popleft()
        limit, count = self._area.limit, self.count()
        if limit is None:
            return []
        self._above = _since(self._above, count > limit, captured)
        self._below = _since(self._below, count <= limit * 0.9, captured)
        if self.event is None:
            return self._try_open(seen, count, limit, captured, detected, model)
        if _lasted(self._below, captured, self._settings.clear_s):
            closed = revise(
                self.event,
                Phase.CLOSE,
                captured,
                detections=(),
                attrs=self.event.attrs | {"persons": count},
                detected=detected,
            )
            self.event = None
            return [closed]
        return self._try_change(seen, count, captured, detected, model)

    def _try_open(
        self,
        seen: _Seen,
        count: int,
        limit: int,
        captured: Micros,
        detected: Micros,
        model: ModelRef | None,
    ) -> list[Event]:
        if self._above is None or not _lasted(self._above, captured, self._settings.hold_s):
            return []
        attrs = seen.attrs | {"persons": count, "limit": limit}
        self.event = Event(
            id=self._ids(),
            kind="crowd",
            phase=Phase.OPEN,
            revision=1,
            time=captured,
            started=self._above,
            source=self._source,
            zone=self._area.name,
            score=seen.score,
            model=model,
            detections=seen.persons,
            attrs=attrs,
            detected=detected,
        )
        return [self.event]

    def _try_change(
        self,
        seen: _Seen,
        count: int,
        captured: Micros,
        detected: Micros,
        model: ModelRef | None,
    ) -> list[Event]:
        assert self.event is not None
        told = int(self.event.attrs.get("persons", 0))
        real = abs(count - told) >= max(2.0, self._settings.change * told)
        if not real or not may_change(self.event, captured, self._settings.change_s):
            return []
        attrs = self.event.attrs | seen.attrs | {"persons": count}
        self.event = revise(
            self.event,
            Phase.CHANGE,
            captured,
            score=seen.score,
            model=model,
            detections=seen.persons,
            attrs=attrs,
            detected=detected,
        )
        return [self.event]


def _since(since: Micros | None, holds: bool, now: Micros) -> Micros | None:
    """Since when a condition has held; a clock that was set back starts it anew."""
    if not holds:
        return None
    return now if since is None or since > now else since


def _lasted(since: Micros | None, now: Micros, seconds: float) -> bool:
    return since is not None and now - since >= seconds * SECOND


def _inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Even-odd rule: a ray to the right crosses the outline an odd number of times."""
    x, y = point
    odd = False
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            odd = not odd
    return odd
