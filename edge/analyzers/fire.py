"""Fire and smoke: detections of one camera, frame after frame, become events.

One frame is no fire: headlights, sunsets and welding look like one for a moment. A place in the picture must be seen as
burning in several frames, and surely enough together, before an event opens; and its pixels must live: a lamp, or a
photograph of a fire, stands still. Once open, less is enough to keep the event open, and only frames that were
really looked at count towards its end: a blind camera never ends a fire.
"""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from contract.detections import Box, Detection, iou
from contract.ids import Micros
from contract.records import Event, ModelRef, Phase, Scalar
from edge.analyzers.events import SECOND, EventIds, may_change, revise

LABELS: Final = ("fire", "smoke")
SLACK: Final = 0.6
"""An open event lives on detections down to this share of the release's threshold, in a place seen before."""


@dataclass(frozen=True)
class FireSettings:
    """When a fire is believed. Chosen on this project's own clips; no standard gives numbers for cameras."""

    frames: int = 3
    """Sightings of one place that are needed..."""
    of: int = 12
    """...among so many frames looked at..."""
    sure: int = 2
    """...of which so many at or above the release's threshold, the others at ``support`` of it or more."""
    support: float = 0.75
    window_s: float = 10.0
    """An older sighting does not count, however few frames there were."""
    weight: float = 3.6
    """Sum of the scores of those sightings that is needed, in thresholds: four weak ones, or three good ones."""
    quiet_s: float = 20.0
    """Seconds of frames without a sighting before the event closes."""
    step_s: float = 1.0
    """A gap between two frames counts as at most so much quiet."""
    change_s: float = 2.0
    """Shortest time between two revisions."""
    growth: float = 2.0
    """The burning area times or through this is a change worth telling..."""
    rise: float = 0.15
    """...and so is a score higher or lower by this."""
    still: float = 1.6
    """A place whose pixels are, on the median, no farther than so many grey levels from their usual brightness is not
    on fire. Flames of ``house6.mp4``: 2.7 or more in 95 of 100 boxes; walls, grass, asphalt: about 1.2."""
    outline: float = 0.9
    """Smoke's box moves from look to look: where three quarters of the steps overlap by this (IoU) or more, it is a
    wall in changing light. Lower quartiles: drawn plumes 0.74 and 0.84, ``house6.mp4`` 0.73, lit walls 0.96."""


@dataclass(frozen=True)
class _Sighting:
    look: int
    time: Micros
    score: float
    box: Box
    activity: float


@dataclass
class _Place:
    """Somewhere in the picture, and when it was seen burning."""

    sightings: deque[_Sighting] = field(default_factory=lambda: deque(maxlen=16))

    @property
    def box(self) -> Box:
        return self.sightings[-1].box

    def steadiness(self) -> float:
        """Lower quartile of the overlap (IoU) of one sighting's box with the next; 1 where there is one alone."""
        steps = sorted(iou(a.box, b.box) for a, b in itertools.pairwise(self.sightings))
        return steps[len(steps) // 4] if steps else 1.0

    def flicker(self) -> float:
        """Median activity of its sightings, in grey levels."""
        return median(sighting.activity for sighting in self.sightings)


class FireAnalyzer:
    """One camera, one label (``fire`` or ``smoke``, which is also the kind of event).

    Args:
        source: the camera.
        label: what to look for among the detections.
        ids: names for events.
        opened: the event that an earlier run left open, to go on with.
    """

    def __init__(
        self,
        source: str,
        label: str,
        ids: EventIds,
        opened: Event | None = None,
        settings: FireSettings = FireSettings(),
    ) -> None:
        self._source, self._label, self._ids, self._settings = source, label, ids, settings
        self._threshold = 0.0
        self._places: list[_Place] = []
        self._look = 0
        self._last: Micros | None = None
        self._quiet_s = 0.0
        self._area = 0.0
        self._score = 0.0
        self.event = opened
        """The open event, in its last revision."""
        if opened is not None:
            self._area, self._score = float(opened.attrs.get("area_share", 0.0)), opened.score
        self._first_area = self._area

    @property
    def alert(self) -> bool:
        """Something is burning, or may be: look at every frame."""
        return self.event is not None or bool(self._places)

    def observe(
        self,
        detections: Sequence[Detection],
        threshold: float,
        captured: Micros,
        detected: Micros,
        model: ModelRef | None,
        activity: Callable[[Box], float],
    ) -> list[Event]:
        """One frame that was looked at.

        Args:
            detections: all of the frame, also those down to ``SLACK`` of their thresholds.
            threshold: the release's for this label; what lies lower only keeps an open event open.
            captured: when the frame was taken; becomes the events' ``time``.
            detected: when the detector gave the result.
            model: the release that looked.
            activity: how much the pixels in a box have lived lately, in grey levels (see ``vision.activity``).

        Returns:
            The revision this frame gave rise to, if any.
        """
        self._look += 1
        self._threshold = threshold
        self._forget(captured)
        seen = [item for item in detections if item.label == self._label and self._counts(item)]
        for item in seen:
            self._note(item, captured, activity(item.box))
        step = 0.0 if self._last is None else max(0.0, (captured - self._last) / SECOND)
        self._last = captured
        self._measure(seen)
        if self.event is None:
            return self._try_open(seen, captured, detected, model)
        self._quiet_s = 0.0 if seen else self._quiet_s + min(step, self._settings.step_s)
        if self._quiet_s >= self._settings.quiet_s:
            return [self._close(captured, detected)]
        return self._try_change(seen, captured, detected, model)

    def _forget(self, now: Micros) -> None:
        """Drop sightings that are too old, and those of a time that is yet to come (a clock was set back)."""
        oldest = now - int(self._settings.window_s * SECOND)
        for place in self._places:
            while place.sightings and (
                place.sightings[0].look <= self._look - self._settings.of * 2
                or not oldest <= place.sightings[0].time <= now
            ):
                place.sightings.popleft()
        self._places = [place for place in self._places if place.sightings]

    def _counts(self, item: Detection) -> bool:
        """A sure sighting counts anywhere, a less sure one where something has been seen before."""
        if item.score >= self._threshold:
            return True
        return item.score >= self._threshold * SLACK and any(_touches(place.box, item.box) for place in self._places)

    def _note(self, item: Detection, captured: Micros, activity: float) -> None:
        near = [place for place in self._places if _touches(place.box, item.box)]
        place = max(near, key=lambda place: iou(place.box, item.box), default=None)
        if place is None:
            place = _Place()
            self._places.append(place)
        elif place.sightings[-1].look == self._look:
            # Two boxes of one frame in one place are one sighting, the surer one.
            if item.score <= place.sightings[-1].score:
                return
            place.sightings.pop()
        place.sightings.append(_Sighting(self._look, captured, item.score, item.box, activity))

    def _convincing(self, place: _Place) -> bool:
        """k of n in the same place, with a sum of scores, and not still; for smoke, in an outline that moves."""
        rules = self._settings
        scores = [
            sighting.score
            for sighting in place.sightings
            if sighting.look > self._look - rules.of and sighting.score >= self._threshold * rules.support
        ]
        return (
            len(scores) >= rules.frames
            and sum(score >= self._threshold for score in scores) >= rules.sure
            and sum(scores) >= rules.weight * self._threshold
            and place.flicker() >= rules.still
            and (self._label != "smoke" or place.steadiness() < rules.outline)
        )

    def _measure(self, seen: Sequence[Detection]) -> None:
        """Smooth the area and the score: single frames jump, fires do not."""
        if not seen:
            return
        area, score = _covered([item.box for item in seen]), max(item.score for item in seen)
        share = 0.2 if self._area > 0 else 1.0
        self._area += share * (area - self._area)
        self._score += share * (score - self._score)

    def _try_open(
        self, seen: Sequence[Detection], captured: Micros, detected: Micros, model: ModelRef | None
    ) -> list[Event]:
        if not self._places:
            self._area = self._score = 0.0
            return []
        fresh = [place for place in self._places if place.sightings[-1].look == self._look]
        sure = [place for place in fresh if self._convincing(place)]
        if not sure:
            return []
        self._quiet_s, self._first_area = 0.0, self._area
        self.event = Event(
            id=self._ids(),
            kind=self._label,
            phase=Phase.OPEN,
            revision=1,
            time=captured,
            started=min(place.sightings[0].time for place in sure),
            source=self._source,
            score=self._score,
            model=model,
            detections=tuple(seen),
            attrs=self._attrs(),
            detected=detected,
        )
        return [self.event]

    def _try_change(
        self, seen: Sequence[Detection], captured: Micros, detected: Micros, model: ModelRef | None
    ) -> list[Event]:
        event, rules = self.event, self._settings
        assert event is not None
        told = max(float(event.attrs.get("area_share", 0.0)), 1e-6)
        grown = max(self._area, 1e-6) / told
        real = not 1 / rules.growth < grown < rules.growth or abs(self._score - event.score) >= rules.rise
        if not (seen and real and may_change(event, captured, rules.change_s)):
            return []
        self.event = revise(
            event,
            Phase.CHANGE,
            captured,
            score=self._score,
            model=model,
            detections=tuple(seen),
            attrs=self._attrs(),
            detected=detected,
        )
        return [self.event]

    def _close(self, captured: Micros, detected: Micros) -> Event:
        assert self.event is not None
        closed = revise(self.event, Phase.CLOSE, captured, detections=(), detected=detected)
        self.event, self._places = None, []
        self._area = self._score = self._quiet_s = 0.0
        return closed

    def _attrs(self) -> dict[str, Scalar]:
        """``area_share``: of the picture, smoothed; ``growth``: that area now over that at the start; ``flicker``:
        grey levels that its pixels are away from their usual brightness."""
        flicker = max((place.flicker() for place in self._places), default=0.0)
        return {
            "area_share": round(self._area, 5),
            "growth": round(self._area / self._first_area, 3) if self._first_area > 0 else 1.0,
            "flicker": round(flicker, 1),
        }


def _touches(a: Box, b: Box) -> bool:
    """A flame's box jumps about: the same place is where each box, half as large again, would meet the other."""
    grown = 0.25
    width = (a[2] - a[0] + b[2] - b[0]) * grown / 2
    height = (a[3] - a[1] + b[3] - b[1]) * grown / 2
    return a[0] - width < b[2] and b[0] - width < a[2] and a[1] - height < b[3] and b[1] - height < a[3]


def _covered(boxes: Sequence[Box]) -> float:
    """Share of the picture under at least one of the boxes, 0 to 1, by cutting it at every edge."""
    columns = sorted({edge for box in boxes for edge in (box[0], box[2])})
    total = 0.0
    for left, right in itertools.pairwise(columns):
        spans = sorted((box[1], box[3]) for box in boxes if box[0] <= left and box[2] >= right)
        reached = 0.0
        for top, bottom in spans:
            total += max(0.0, bottom - max(top, reached)) * (right - left)
            reached = max(reached, bottom)
    return min(1.0, total)
