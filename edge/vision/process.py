"""The vision process: all detectors, all cameras, one loop.

A turn of the loop: hear notices, let waiting engines take over, look at the newest frame of the camera whose turn it
is, and about once a second ask every camera's watch whether it has gone blind, and beat.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import cv2
import structlog

from contract.ids import Micros
from contract.manifest import Manifest
from contract.records import Event, Evidence, Phase
from edge.analyzers.crowd import LABEL as PERSON
from edge.analyzers.events import SECOND, EventIds, close_orphan, random_id
from edge.config import NodeConfig
from edge.delivery.desk import RecordDesk
from edge.delivery.outbox import Outbox
from edge.evidence.files import EvidenceFiles
from edge.evidence.snapshot import take_snapshot
from edge.notices import ClipWanted, Notices, RecordsWaiting, ReleaseStaged
from edge.paths import NodePaths
from edge.sources.frames import FrameReader, LeasedFrame
from edge.supervisor.status import PartStatus, read_status
from edge.updates.slots import ModelSlots
from edge.updates.switch import ReleaseSwitch
from edge.vision.count_engine import CountEngine
from edge.vision.detectors import Detectors
from edge.vision.engine import Engine, EngineError, load_engine
from edge.vision.engines import Engines
from edge.vision.picture import Bgr
from edge.vision.report import describe
from edge.vision.scheduler import Scheduler
from edge.vision.watch import CameraWatch
from edge.vision.zoo import shipped_release

log = structlog.get_logger()

POLL_S: Final = 0.05
"""Longest sleep: a notice may have been dropped."""
STALE_S: Final = 2.0
"""An older frame is what a dead capture process left behind."""
CHECK_S: Final = 1.0
CLIP_AFTER_S: Final = 5.0
"""A clip goes on for so long after the frame that decided."""
OURS: Final = ("fire", "smoke", "crowd", "tamper", "blind")
"""Kinds of events that this process opens for cameras."""


def run(
    config: NodeConfig,
    paths: NodePaths,
    stop: threading.Event,
    status: PartStatus,
    *,
    clock: Callable[[], Micros] = lambda: time.time_ns() // 1000,
    monotonic: Callable[[], float] = time.monotonic,
    ids: EventIds = random_id,
) -> None:
    """Look at all cameras until ``stop`` is set.

    Args:
        config: of the node.
        paths: of the node; made where missing.
        stop: ends the loop within about ``POLL_S`` and the frame in hand.
        status: where to beat.
        clock: microseconds since 1970.
        monotonic: seconds.
        ids: names for events.
    """
    paths.make()
    # OpenCV would take every core for a picture, and the cameras' decoders need them.
    cv2.setNumThreads(config.threads)
    with ExitStack() as stack:
        vision = Vision(config, paths, stack, clock, monotonic, ids)
        vision.load()
        while not stop.is_set():
            vision.turn()
            vision.beat(status)


class Vision:
    """What the vision process is made of; everything is closed with ``stack``."""

    def __init__(
        self,
        config: NodeConfig,
        paths: NodePaths,
        stack: ExitStack,
        clock: Callable[[], Micros],
        monotonic: Callable[[], float],
        ids: EventIds,
    ) -> None:
        self._config, self._paths, self._clock, self._monotonic = config, paths, clock, monotonic
        self._notices = Notices(paths.run, "vision")
        stack.callback(self._notices.close)
        outbox = Outbox(paths.outbox, config.storage.outbox_bytes, clock)
        stack.callback(outbox.close)
        self._desk = RecordDesk(outbox, lambda: self._notices.send("delivery", RecordsWaiting()))
        stack.callback(self._desk.flush)
        self._files = EvidenceFiles(paths.evidence, config.storage.evidence_bytes)
        self._engines = Engines()
        stack.callback(self._engines.close)
        self._switch = ReleaseSwitch(
            ModelSlots(paths.models), self._engines, self._build, lambda name: shipped_release(config.models, name)
        )
        stack.callback(self._switch.close)
        self._detectors = Detectors(self._engines, saw=self._switch.saw, failed=self._switch.failed)
        self._opened = outbox.open_events()
        now = monotonic()
        self._watches = {
            name: CameraWatch(name, camera, [e for e in self._opened if e.source == name], ids, now)
            for name, camera in config.cameras.items()
        }
        self._readers = {
            name: FrameReader(paths.frames / name, clock=lambda: int(monotonic() * 1e9)) for name in config.cameras
        }
        self._scheduler = Scheduler({name: camera.fps for name, camera in config.cameras.items()})
        self._checked_s = now
        self._beat_s = float("-inf")
        self._shown = 0

    def load(self) -> None:
        """Load every detector that a camera asks for. One that cannot be loaded leaves the others their work."""
        for name in dict.fromkeys(name for camera in self._config.cameras.values() for name in camera.detectors):
            try:
                self._switch.start(name)
            except EngineError as error:
                self._detectors.missing[name] = str(error)
                log.error("detector not loaded", detector=name, reason=str(error))
        self._engines.settle()
        self._switch.resume()
        self._close_orphans()

    def turn(self) -> None:
        """Once around the loop; sleeps where there is nothing to do."""
        if not self._look_at_next():
            # A camera that is due and has nothing new sends a notice when it has.
            self._hear(min(POLL_S, self._scheduler.wait_s(self._monotonic())))
        else:
            self._hear(0.0)
        self._engines.settle()
        now = self._monotonic()
        if now - self._checked_s >= CHECK_S:
            self._checked_s = now
            for watch in self._watches.values():
                self._desk.add(watch.check(now, self._clock(), self._capture_reason(watch.name)))
            self._desk.flush()

    def beat(self, status: PartStatus) -> None:
        """Say how it goes, about once a second."""
        now = self._monotonic()
        if now - self._beat_s < CHECK_S:
            return
        self._beat_s = now
        faults = [f"camera {n}: {w.counts.reason}" for n, w in self._watches.items() if w.counts.reason]
        faults += [f"outbox: {self._desk.problem}"] if self._desk.problem else []
        detail = describe(self._switch, self._detectors, self._watches.values(), self._scheduler)
        detail |= {"snapshots": self._shown, "readings_thinned": self._desk.thinned}
        status.beat(detail, "degraded" if faults else "ok", "; ".join(faults))

    def _build(self, manifest: Manifest, folder: Path) -> Engine:
        return load_engine(manifest, folder, self._config.threads, engine=self._config.engine)

    def _hear(self, timeout_s: float) -> None:
        """Take what lies in the mailbox; a frame's notice only ends the sleep."""
        notice = self._notices.receive(timeout_s)
        while notice is not None:
            if isinstance(notice, ReleaseStaged):
                self._switch.offer(notice.name, notice.version)
            notice = self._notices.receive(0.0)

    def _look_at_next(self) -> bool:
        """Look at one frame; False where no camera has a new one that is due."""
        for name in self._scheduler.due(self._monotonic()):
            frame = self._newest(name)
            if frame is not None:
                self._look(self._watches[name], frame)
                return True
        return False

    def _newest(self, name: str) -> LeasedFrame | None:
        try:
            return self._readers[name].latest(self._scheduler.sequence(name))
        except (OSError, ValueError) as error:
            self._watches[name].counts.reason = f"frame slots cannot be read: {error}"
            return None

    def _look(self, watch: CameraWatch, frame: LeasedFrame) -> None:
        now = self._monotonic()
        self._scheduler.take(watch.name, frame.sequence, now)
        if now - frame.monotonic_ns / 1e9 > STALE_S:
            watch.counts.stale += 1
            frame.release()
            return
        image: Bgr = frame.image.copy() if watch.copy_first else frame.image
        worth, events = watch.gate(image, frame.captured, now)
        if not worth:
            image = image.copy() if events else image
            frame.release()
            self._tell(watch, events, image, frame.captured)
            return
        results, faults = self._detectors.look(image, watch.camera.detectors)
        detected = self._clock()
        keep = watch.suspicious or any(result.detections for result in results.values())
        if keep and not watch.copy_first:
            image = image.copy()
        if not frame.release() and not watch.copy_first:
            # The pixels may have changed while they were looked at. From now on the detectors get a copy.
            watch.counts.expired += 1
            watch.copy_first = True
            return
        found = watch.conclude(results, frame.captured, detected, now)
        if faults:
            watch.counts.failed += 1
            watch.counts.reason = "; ".join(f"detector {name}: {reason}" for name, reason in faults.items())
        else:
            watch.seen(self._monotonic())
        watch.counts.note_latency((self._monotonic() - frame.monotonic_ns / 1e9) * 1000)
        self._desk.add(found.readings)
        self._tell(watch, events + found.events, image, frame.captured)

    def _tell(self, watch: CameraWatch, events: list[Event], image: Bgr, captured: Micros) -> None:
        """Events first, durably; then what shows them."""
        if not events:
            return
        self._desk.add(events)
        self._desk.flush()
        for event in events:
            log.info("event told", kind=event.kind, phase=event.phase.value, source=event.source, id=event.id)
        opened = [event for event in events if event.phase is Phase.OPEN]
        self._desk.add(list(self._snapshots(opened, image, captured)))
        self._desk.flush()
        for event in opened:
            start = event.started - int(watch.camera.evidence_s * SECOND)
            end = event.time + int(CLIP_AFTER_S * SECOND)
            self._notices.send(f"capture.{watch.name}", ClipWanted(event.id, start, end))

    def _snapshots(self, events: Iterable[Event], image: Bgr, captured: Micros) -> Iterable[Evidence]:
        for event in events:
            try:
                yield take_snapshot(event, image, captured, self._files)
                self._shown += 1
            except (OSError, ValueError) as error:
                log.error("snapshot not kept", id=event.id, source=event.source, reason=str(error))

    def _close_orphans(self) -> None:
        """Events of cameras, zones and detectors that are not in the settings any more would stay open for ever."""
        now = self._clock()
        known = self._config.cameras.keys() | self._config.sensors.keys()
        gone = [e for e in self._opened if e.source not in known and e.kind in OURS]
        self._desk.add([close_orphan(event, now, "the camera was taken out of the settings") for event in gone])
        for watch in self._watches.values():
            if all(self._engines.current(name) for name in watch.camera.detectors):
                engines = [self._engines.current(name) for name in watch.camera.detectors]
                labels = {label for engine in engines if engine is not None for label in engine.thresholds}
                labels |= {PERSON} if any(isinstance(engine, CountEngine) for engine in engines) else set()
                orphans = watch.orphans(labels)
                self._desk.add([close_orphan(event, now, "it is no longer watched for") for event in orphans])
        self._desk.flush()

    def _capture_reason(self, camera: str) -> str:
        """What the camera's capture process says of it."""
        status = read_status(self._paths.status / f"capture.{camera}.json")
        if status is None:
            return "its capture process has not started"
        source: Any = status.detail.get("source")
        said = source.get("reason", "") if isinstance(source, dict) else ""
        return str(said or status.reason)
