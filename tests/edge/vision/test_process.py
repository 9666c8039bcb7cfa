"""The vision process on real frame slots, outbox and mailboxes; its detector really looks (see ``orange``).

Time is turned by hand, so that nothing sleeps.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from contract.records import Event, Evidence, Lane, Phase, Reading, Record
from contract.wire import decode_record
from edge.config import NodeConfig
from edge.delivery.outbox import Outbox
from edge.delivery.schema import OutboxError
from edge.notices import ClipWanted, Notices, RecordsWaiting, ReleaseStaged
from edge.paths import NodePaths
from edge.sources.frames import FrameWriter
from edge.supervisor.status import PartStatus, read_status
from edge.updates.release import hash_file
from edge.updates.state import Notes, Offer
from edge.vision.engine import EngineError
from edge.vision.process import Vision

from ..updates.releases import write_release
from .orange import write_orange_model

START = 1_800_000_000_000_000


class Rig:
    """A node's vision with its camera, its clock and everybody it speaks to."""

    def __init__(self, folder: Path, **camera: object) -> None:
        self.paths = NodePaths(folder / "data", folder / "run")
        self.paths.make()
        write_orange_model(folder / "zoo" / "fire")
        settings = {"url": "file:///dev/null", "detectors": ["fire"], "fps": 5.0} | camera
        self.config = NodeConfig.model_validate(
            {
                "node": "box",
                "site": "mill",
                "uplink": {"broker": "mqtt://127.0.0.1", "cloud": "http://127.0.0.1"},
                "storage": {"folder": self.paths.data},
                "models": folder / "zoo",
                "cameras": {"yard": settings},
            }
        )
        self.now = 1000.0
        self.noise = np.random.default_rng(5)
        self.stack = ExitStack()
        self.capture = Notices(self.paths.run, "capture.yard")
        self.delivery = Notices(self.paths.run, "delivery")
        self.outbox = Outbox(self.paths.outbox, 10_000_000, self.clock)
        self.numbers = count(1)
        self.writer = FrameWriter(self.paths.frames / "yard", 320, 240, lambda: int(self.now * 1e9))
        self.status = PartStatus(self.paths.status, "vision", lambda: self.now, self.clock)
        self.vision = self.start()

    def clock(self) -> int:
        return START + int(self.now * 1e6)

    def start(self, config: NodeConfig | None = None) -> Vision:
        vision = Vision(
            config or self.config,
            self.paths,
            self.stack,
            self.clock,
            lambda: self.now,
            lambda: f"{next(self.numbers):032x}",
        )
        vision.load()
        return vision

    def restart(self, config: NodeConfig | None = None) -> None:
        self.stack.close()
        self.vision = self.start(config)

    def show(self, seconds: float, draw: Callable[[float], np.ndarray]) -> None:
        for _ in range(round(seconds / 0.2)):
            self.now += 0.2
            assert self.writer.write(draw(self.now), self.clock())
            self.vision.turn()
        self.vision.beat(self.status)

    def quiet(self, now: float) -> np.ndarray:
        image = np.tile(np.arange(320, dtype=np.uint8)[None, :, None] // 4 + 40, (240, 1, 3))
        return image + self.noise.integers(0, 30, (240, 320, 1), np.uint8)

    def burning(self, now: float) -> np.ndarray:
        image = self.quiet(now)
        size = 60 + int(15 * np.sin(now * 9))
        image[120 - size : 120 + size, 100 : 100 + size] = (20, 140, 250)
        return image

    def records(self) -> list[Record]:
        """All that has been appended and not been read here yet."""
        found: list[Record] = []
        for lane in (Lane.ALARM, Lane.LIVE):
            while (batch := self.outbox.number(lane, 1000)) is not None:
                found += [decode_record(bytes(raw)) for raw in batch.records]
        return found

    def events(self) -> list[Event]:
        return [record for record in self.records() if isinstance(record, Event)]

    def detail(self) -> dict:
        status = read_status(self.paths.status / "vision.json")
        assert status is not None
        return status.detail

    def close(self) -> None:
        self.stack.close()
        self.outbox.close()
        self.capture.close()
        self.delivery.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def heard(mailbox: Notices) -> list:
    found = []
    while (notice := mailbox.receive(0.0)) is not None:
        found.append(notice)
    return found


def test_a_fire_becomes_an_event_a_snapshot_and_a_wish_for_a_clip(rig: Rig):
    rig.show(3, rig.quiet)
    assert rig.records() == []
    rig.show(3, rig.burning)
    records = rig.records()
    event = next(record for record in records if isinstance(record, Event))
    evidence = next(record for record in records if isinstance(record, Evidence))
    assert (event.kind, event.phase, event.source, event.revision) == ("fire", Phase.OPEN, "yard", 1)
    assert event.model is not None
    assert event.model.name == "fire"
    assert event.detections[0].label == "fire"
    assert event.started <= event.time <= (event.detected or 0)
    assert records.index(event) < records.index(evidence)
    assert (evidence.event, evidence.role, evidence.time) == (event.id, "snapshot", event.time)
    assert evidence.detections == event.detections
    picture = cv2.imread(str(rig.paths.evidence / evidence.sha256))
    assert picture.shape == (240, 320, 3)
    assert np.abs(picture[120, 120].astype(int) - (20, 140, 250)).max() < 20
    assert heard(rig.capture) == [ClipWanted(event.id, event.started - 5_000_000, event.time + 5_000_000)]
    assert RecordsWaiting() in heard(rig.delivery)


def test_a_flash_is_no_fire(rig: Rig):
    rig.show(2, rig.quiet)
    rig.show(0.4, rig.burning)
    rig.show(10, rig.quiet)
    assert rig.events() == []


def test_an_event_left_open_by_a_dead_process_is_gone_on_with(rig: Rig):
    rig.show(3, rig.burning)
    (opened,) = rig.events()
    rig.restart()
    rig.show(3, rig.burning)
    assert all(event.id == opened.id for event in rig.events())
    rig.show(25, rig.quiet)
    closed = rig.events()[-1]
    assert (closed.id, closed.phase) == (opened.id, Phase.CLOSE)
    assert rig.outbox.open_events() == []


def test_a_camera_taken_out_of_the_settings_leaves_no_event_open(rig: Rig):
    rig.show(3, rig.burning)
    (opened,) = rig.events()
    rig.restart(rig.config.model_copy(update={"cameras": {}}))
    (closed,) = rig.events()
    assert (closed.id, closed.phase) == (opened.id, Phase.CLOSE)
    assert closed.attrs["reason"] == "the camera was taken out of the settings"


def test_a_failing_detector_is_not_an_empty_picture(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    rig.show(3, rig.burning)
    (fire,) = rig.events()
    engine = rig.vision._engines.current("fire")

    def fail(*_: object, **__: object) -> list:
        raise EngineError("orange.onnx: the run failed")

    monkeypatch.setattr(engine, "detect", fail)
    rig.show(60, rig.quiet)
    found = rig.events()
    assert [(event.kind, event.phase) for event in found if event.kind == "blind"] == [("blind", Phase.OPEN)]
    blind = next(event for event in found if event.kind == "blind")
    assert blind.attrs["reason"] == "detector fire: orange.onnx: the run failed"
    assert not any(event.id == fire.id and event.phase is Phase.CLOSE for event in found)
    detail = rig.detail()
    assert detail["cameras"]["yard"]["state"] == "degraded"
    assert detail["cameras"]["yard"]["failed"] > 50
    assert "the run failed" in detail["models"][0]["reason"]


def test_a_camera_without_frames_is_an_event_with_the_reason_capture_gives(rig: Rig):
    rig.show(3, rig.quiet)
    capture = PartStatus(rig.paths.status, "capture.yard", lambda: rig.now, rig.clock)
    capture.beat({"source": {"source": "yard", "state": "down", "reason": "answered 401; check user and password"}})
    for _ in range(20):
        rig.now += 1.0
        rig.vision.turn()
    (blind,) = rig.events()
    assert (blind.kind, blind.phase) == ("blind", Phase.OPEN)
    assert blind.attrs["reason"] == "answered 401; check user and password"
    rig.show(10, rig.quiet)
    (back,) = rig.events()
    assert (back.id, back.phase) == (blind.id, Phase.CLOSE)


def test_a_detector_that_cannot_be_loaded_is_named_and_the_camera_is_blind(tmp_path: Path):
    rig = Rig(tmp_path, detectors=["fire", "fier"])
    try:
        rig.show(30, rig.burning)
        kinds = {event.kind for event in rig.events()}
        assert kinds == {"fire", "blind"}
        reasons = {model["name"]: model["reason"] for model in rig.detail()["models"]}
        assert reasons["fire"] == ""
        assert "no model 'fier'" in reasons["fier"]
        assert "known there: fire" in reasons["fier"]
    finally:
        rig.close()


def test_what_a_dead_capture_process_left_behind_is_not_looked_at(rig: Rig):
    rig.show(1, rig.quiet)
    rig.writer.write(rig.burning(rig.now), rig.clock())
    rig.now += 10
    rig.vision.turn()
    rig.now += 1
    rig.vision.beat(rig.status)
    assert rig.detail()["cameras"]["yard"]["stale"] == 1


def test_pixels_that_changed_under_the_detector_are_not_believed(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    engine = rig.vision._engines.current("fire")
    assert engine is not None
    detect = engine.detect
    slow = iter([True])

    def stall(image: np.ndarray, slack: float = 1.0) -> list:
        if next(slow, False):
            rig.now += 3.0
            for _ in range(4):
                rig.writer.write(rig.burning(rig.now), rig.clock())
        return detect(image, slack)

    monkeypatch.setattr(engine, "detect", stall)
    rig.show(2, rig.quiet)
    assert rig.detail()["cameras"]["yard"]["expired"] == 1
    rig.show(3, rig.burning)
    assert [event.kind for event in rig.events()] == ["fire"]


def test_a_still_picture_costs_one_look_a_second(rig: Rig):
    still = rig.quiet(0.0)
    rig.show(20, lambda now: still)
    counts = rig.detail()["cameras"]["yard"]
    assert 19 <= counts["looked_at"] <= 23
    assert counts["looked_at"] + counts["skipped_still"] == 100
    assert not any(isinstance(record, Reading) for record in rig.records())


def test_records_wait_in_memory_while_the_outbox_takes_none(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    outbox = rig.vision._desk._outbox
    append = outbox.append

    def full(records: object) -> None:
        raise OutboxError("outbox is full")

    monkeypatch.setattr(outbox, "append", full)
    rig.show(3, rig.burning)
    assert rig.events() == []
    status = read_status(rig.paths.status / "vision.json")
    assert status is not None
    assert (status.state, status.reason) == ("degraded", "outbox: outbox is full")
    monkeypatch.setattr(outbox, "append", append)
    rig.show(1.2, rig.burning)
    assert rig.events()[0].phase is Phase.OPEN


def test_a_release_takes_over_between_two_frames_while_a_fire_burns(rig: Rig):
    rig.show(3, rig.burning)
    (opened,) = rig.events()
    assert opened.model is not None
    assert opened.model.version == "1.0.0"
    folder = rig.paths.models / "fire" / "1.1.0"
    write_release(folder, "1.1.0")
    offer = Offer(version="1.1.0", sha256=hash_file(folder / "manifest.json"))
    Notes(rig.paths.models).write_offer("fire", offer)
    rig.delivery.send("vision", ReleaseStaged("fire", "1.1.0", str(folder)))
    for _ in range(200):
        rig.show(1.2, rig.burning)
        if rig.detail()["models"][0]["version"] == "1.1.0":
            break
        # The release is tried in a thread of its own; the loop's sleep lets it.
        rig.vision._hear(0.05)
    assert rig.detail()["models"][0]["version"] == "1.1.0"
    rig.show(25, rig.quiet)
    closed = rig.events()[-1]
    assert (closed.id, closed.phase) == (opened.id, Phase.CLOSE)
    rig.restart()
    rig.show(1.2, rig.quiet)
    assert rig.detail()["models"][0]["version"] == "1.1.0"


def test_a_release_that_sees_something_else_never_takes_over(rig: Rig):
    folder = rig.paths.models / "fire" / "1.1.0"
    write_release(folder, "1.1.0", expected=())
    offer = Offer(version="1.1.0", sha256=hash_file(folder / "manifest.json"))
    Notes(rig.paths.models).write_offer("fire", offer)
    rig.delivery.send("vision", ReleaseStaged("fire", "1.1.0", str(folder)))
    for _ in range(200):
        rig.show(1.2, rig.quiet)
        if rig.detail()["models"][0]["state"] == "refused":
            break
        rig.vision._hear(0.05)
    (model,) = rig.detail()["models"]
    assert (model["version"], model["state"], model["offered"]) == ("1.0.0", "refused", "1.1.0")
    assert "golden/spot.png" in model["reason"]


def test_the_beat_is_plain_json(rig: Rig):
    rig.show(2, rig.quiet)
    detail = rig.detail()
    assert detail["models"][0] | {"latency_ms": 0, "sha256": ""} == {
        "name": "fire",
        "version": "1.0.0",
        "sha256": "",
        "state": "active",
        "offered": "",
        "reason": "",
        "latency_ms": 0,
    }
    assert msgspec.json.decode(msgspec.json.encode(detail)) == detail
