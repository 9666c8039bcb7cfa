"""The watch over one camera: from a frame to what there is to say about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from contract.detections import Detection
from contract.ids import Micros
from contract.records import Event, Reading
from edge.analyzers.blind import BlindAnalyzer, BlindSettings
from edge.analyzers.crowd import LABEL as PERSON
from edge.analyzers.crowd import Area, CrowdAnalyzer
from edge.analyzers.events import EventIds, left_open
from edge.analyzers.fire import LABELS as BURNING
from edge.analyzers.fire import FireAnalyzer
from edge.analyzers.tamper import TamperAnalyzer, judge_picture
from edge.config import Camera
from edge.vision.activity import Activity
from edge.vision.detectors import Result
from edge.vision.motion import Background, Luma, evaluate, to_luma, worth_looking
from edge.vision.picture import Bgr
from edge.vision.tracker import Tracker

_SMOOTH: Final = 0.1


@dataclass
class Counts:
    """What became of a camera's frames, since the process started."""

    looked_at: int = 0
    skipped_still: int = 0
    expired: int = 0
    """The lease ran out while it was looked at: the result was dropped."""
    stale: int = 0
    failed: int = 0
    """A detector failed on it."""
    latency_ms: float = 0.0
    """From the frame's writing to its result, smoothed."""
    reason: str = ""
    """Why the camera is not looked at properly; empty where it is."""

    def note_latency(self, took_ms: float) -> None:
        """One look took so long."""
        self.latency_ms += (_SMOOTH if self.looked_at > 1 else 1.0) * (took_ms - self.latency_ms)


@dataclass
class Findings:
    """What one frame gave rise to."""

    events: list[Event] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


class CameraWatch:
    """The gate, the tracker and the analyzers of one camera.

    Args:
        name: the camera's.
        camera: its settings.
        opened: its events that an earlier run left open.
        ids: names for events.
        now_s: monotonic time.
    """

    def __init__(self, name: str, camera: Camera, opened: Sequence[Event], ids: EventIds, now_s: float) -> None:
        self.name, self.camera = name, camera
        self.counts = Counts()
        self.copy_first = False
        """The detectors take longer than a lease lasts: they get a copy."""
        self._opened, self._ids = opened, ids
        self._background: Background | None = None
        self._luma: Luma | None = None
        self._activity = Activity()
        self._look_s = float("-inf")
        self._tracker = Tracker()
        self._counted = False
        """Heads are counted here: a frame in which that failed is not filled in with the persons that were found."""
        self._fires: dict[str, FireAnalyzer] = {}
        self._crowd = CrowdAnalyzer(name, areas_of(camera), ids, opened)
        self._tamper = TamperAnalyzer(name, ids, left_open(opened, "tamper", name))
        self._blind = BlindAnalyzer(name, now_s, ids, left_open(opened, "blind", name), blind_settings(camera))

    @property
    def suspicious(self) -> bool:
        """The picture itself is wrong: keep it, it may have to be shown."""
        return self._tamper.suspicious

    @property
    def alert(self) -> bool:
        """Something burns, or may: no frame is to be missed."""
        return any(fire.alert for fire in self._fires.values())

    def gate(self, image: Bgr, captured: Micros, now_s: float) -> tuple[bool, list[Event]]:
        """Judge the picture itself, and whether the detectors shall see it."""
        luma = to_luma(image)
        events = self._tamper.observe(judge_picture(luma, self._luma), captured)
        self._luma = luma
        self._activity.update(luma, now_s)
        self._background, motion = evaluate(self._background, luma, now_s)
        if not worth_looking(motion, now_s - self._look_s, self.alert):
            self.counts.skipped_still += 1
            return False, events
        self._look_s = now_s
        return True, events

    def conclude(self, results: dict[str, Result], captured: Micros, detected: Micros, now_s: float) -> Findings:
        """Hand each detector's result to the analyzers. A detector that failed is not among them: to its analyzers
        the frame never was."""
        findings = Findings()
        self.counts.looked_at += 1 if results or not self.camera.detectors else 0
        # Counted before found: the frame in which counting begins is not counted twice.
        for result in sorted(results.values(), key=lambda result: result.density is None):
            for label in BURNING:
                if label in result.thresholds:
                    findings.events += self._fire(label).observe(
                        result.detections,
                        result.thresholds[label],
                        captured,
                        detected,
                        result.model,
                        self._activity.within,
                    )
            if result.density is not None:
                self._counted = True
                events, readings = self._crowd.count(result.density, captured, detected, result.model)
                findings.events += events
                findings.readings += readings
            if PERSON in result.thresholds and not self._counted:
                persons = self._track(result, now_s)
                events, readings = self._crowd.observe(persons, captured, detected, result.model)
                findings.events += events
                findings.readings += readings
        return findings

    def seen(self, now_s: float) -> None:
        """A frame was looked at by every detector of the camera."""
        self._blind.seen(now_s)
        self.counts.reason = ""

    def check(self, now_s: float, now: Micros, reason: str) -> list[Event]:
        """Time has passed: is the camera blind? ``reason`` is what its capture process says."""
        return self._blind.check(now_s, now, self.counts.reason or reason or "no frames")

    def orphans(self, labels: set[str]) -> list[Event]:
        """Events left open that nobody here will go on with; ``labels``: all that the camera's detectors know."""
        crowds = {area.name for area in areas_of(self.camera) if area.limit is not None and PERSON in labels}
        return [
            event
            for event in self._opened
            if (event.kind in BURNING and event.kind not in labels)
            or (event.kind == "crowd" and event.zone not in crowds)
        ]

    def _fire(self, label: str) -> FireAnalyzer:
        if label not in self._fires:
            opened = left_open(self._opened, label, self.name)
            self._fires[label] = FireAnalyzer(self.name, label, self._ids, opened)
        return self._fires[label]

    def _track(self, result: Result, now_s: float) -> list[Detection]:
        """Persons the release is sure of, and less sure ones that go on with a track."""
        sure = result.thresholds[PERSON]
        persons = [item for item in result.detections if item.label == PERSON]
        tracked = self._tracker.update(persons, now_s, sure)
        return [item for item in tracked if item.score >= sure or item.track is not None]


def areas_of(camera: Camera) -> list[Area]:
    """The whole view, and each zone."""
    zones = [Area(name, zone.points, zone.crowd_limit) for name, zone in camera.zones.items()]
    return [Area(limit=camera.crowd_limit), *zones]


def blind_settings(camera: Camera) -> BlindSettings:
    """A camera that gives a frame seldom is not blind between two of them."""
    period = 1.0 / camera.fps
    return BlindSettings(
        after_s=max(camera.timeout_s + 5.0, 3 * period), back_s=max(5.0, 3 * period), gap_s=max(3.0, 2 * period)
    )
