"""A camera's reading thread and its clips: pictures reach the slots, faults are told, and what comes back is read."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.config import Camera, NodeConfig
from edge.evidence.clip import StreamForm
from edge.evidence.files import EvidenceFiles
from edge.evidence.ring import Packet
from edge.notices import ClipWanted, FrameReady, Notices
from edge.paths import NodePaths
from edge.sources import capture
from edge.sources.camera import CameraStream, Picture, StreamInfo, Wait
from edge.sources.clips import ClipCutter
from edge.sources.frames import FrameReader
from edge.sources.reader import CameraReader
from edge.supervisor.status import PartStatus
from tests.edge.sources.conftest import decoded


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextmanager
def reading(folder: Path, camera: Camera) -> Iterator[CameraReader]:
    stop = threading.Event()
    notices = Notices(folder, "capture.lobby")
    reader = CameraReader("lobby", camera, folder / "lobby", notices, stop)
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        yield reader
    finally:
        stop.set()
        thread.join(10)
        notices.close()
        assert not thread.is_alive()


def test_pictures_reach_the_slots_and_vision_is_told(clip: Path, tmp_path: Path) -> None:
    vision = Notices(tmp_path, "vision")
    with reading(tmp_path, Camera(url=str(clip), loop=True, fps=10)) as reader:  # type: ignore[arg-type]
        assert vision.receive(10) == FrameReady("lobby")
        frame = FrameReader(tmp_path / "lobby").latest()
        assert frame is not None
        assert frame.image.shape == (240, 320, 3)
        assert abs(time.time() - frame.captured / 1e6) < 5
        frame.release()
        until(lambda: reader.health().rate_hz > 1)
        health = reader.health()
        assert (health.state, health.kind, health.reason) == ("ok", "camera", "")
        assert 0 <= health.age_s < 5
    vision.close()


def test_a_camera_that_fails_is_down_with_its_reason_and_comes_back(clip: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mp4"
    with reading(tmp_path, Camera(url=str(late), loop=True)) as reader:  # type: ignore[arg-type]
        until(lambda: reader.health().state == "down")
        assert "late.mp4 is not there; check the path" in reader.health().reason
        assert reader.health().age_s == -1.0
        late.write_bytes(clip.read_bytes())
        until(lambda: reader.health().state == "ok")
        assert reader.health().reason == ""


def test_a_recording_that_has_ended_stays_down_and_says_why(clip: Path, tmp_path: Path) -> None:
    with reading(tmp_path, Camera(url=str(clip), fps=10)) as reader:  # type: ignore[arg-type]
        until(lambda: reader.health().state == "ok")
        until(lambda: reader.health().state == "down")
        assert "has come to its end; set loop: true" in reader.health().reason
        assert not reader.watch.overdue()


class Stuck:
    """A camera whose decoder never comes back."""

    info = StreamInfo("h264", 320, 240, 25.0)
    form: StreamForm | None = None
    no_clip = "it is stuck"
    late = 0

    def __init__(self, release: threading.Event) -> None:
        self._release = release

    def __iter__(self) -> Iterator[Packet | Picture]:
        self._release.wait()
        yield from ()

    def close(self) -> None:
        """Nothing to give back."""


def test_a_decoder_that_hangs_breaks_its_promise(tmp_path: Path) -> None:
    now, release, stop, opened = [0.0], threading.Event(), threading.Event(), threading.Event()

    def opener(name: str, camera: Camera, wait: Wait) -> CameraStream:
        opened.set()
        return Stuck(release)

    notices = Notices(tmp_path, "capture.lobby")
    camera = Camera(url="rtsp://127.0.0.1/1", timeout_s=5)  # type: ignore[arg-type]
    reader = CameraReader("lobby", camera, tmp_path / "lobby", notices, stop, opener, lambda: now[0])
    thread = threading.Thread(target=reader.run)
    thread.start()
    assert opened.wait(10)
    assert not reader.watch.overdue()
    now[0] = 24.0
    assert not reader.watch.overdue(), "opening may take three time-outs and a step"
    now[0] = 40.0
    assert reader.watch.overdue()
    stop.set()
    release.set()
    thread.join(10)
    notices.close()
    assert not thread.is_alive()


def test_a_process_whose_decoder_hangs_gives_no_more_signs_of_life(tmp_path: Path) -> None:
    now, release, stop = [0.0], threading.Event(), threading.Event()
    paths = NodePaths(tmp_path / "data", tmp_path / "run")
    paths.make()
    config = NodeConfig.model_validate(
        {
            "node": "box-1",
            "site": "harbour",
            "uplink": {"broker": "mqtt://127.0.0.1:9", "cloud": "http://127.0.0.1:9"},
            "storage": {"folder": str(paths.data)},
            "cameras": {"lobby": {"url": "rtsp://127.0.0.1/1"}},
        }
    )
    seconds = itertools.count(1.0)
    status = PartStatus(paths.status, "capture.lobby", monotonic=lambda: next(seconds))
    beat = paths.status / "capture.lobby.json"
    with capture_logs() as logs:
        thread = threading.Thread(
            target=capture.run,
            args=(config, "lobby", paths, stop, status),
            kwargs={"opener": lambda name, camera, wait: Stuck(release), "monotonic": lambda: now[0]},
        )
        thread.start()
        until(beat.exists)
        now[0] = 1000.0
        until(lambda: any(entry["event"] == "camera.hangs" for entry in logs))
        beat.unlink()
        thread.join(1.0)
        assert not beat.exists()
        stop.set()
        release.set()
        thread.join(10)
    assert not thread.is_alive()


def test_a_clip_is_cut_from_before_the_event_once_its_time_has_passed(clip: Path, tmp_path: Path) -> None:
    files = EvidenceFiles(tmp_path / "evidence", 10_000_000)
    with reading(tmp_path, Camera(url=str(clip), loop=True, fps=10)) as reader:  # type: ignore[arg-type]
        cutter = ClipCutter("lobby", reader, files)
        until(lambda: reader.health().state == "ok")
        start = time.time_ns() // 1000
        cutter.want(ClipWanted(event="fire-1", start=start, end=start + 1_000_000))
        cutter.want(ClipWanted(event="fire-1", start=start, end=start + 1_500_000))
        assert cutter.due(start + 1_000_000) == []
        until(lambda: time.time_ns() // 1000 > start + 2_000_000)
        (evidence,) = cutter.due(time.time_ns() // 1000)
    assert (evidence.event, evidence.role, evidence.media_type, evidence.source) == (
        "fire-1",
        "clip",
        "video/mp4",
        "lobby",
    )
    assert evidence.time <= start, "from the keyframe before"
    assert 1.3 <= evidence.duration_s <= 4
    path = files.path(evidence.sha256)
    assert path.stat().st_size == evidence.bytes
    # The last one may be a frame that was sent ahead of those it follows.
    assert len(decoded(path)) == pytest.approx(evidence.duration_s * 10, abs=3)
    assert sorted(found.name for found in files.folder.iterdir()) == [evidence.sha256], "nothing half written is left"


class NoTapes:
    """A camera at the USB port."""

    no_clip = "a USB camera gives pictures, not packets; no clips of it"

    def cut(self, start: int, end: int) -> None:
        return None


def test_where_no_clip_can_be_made_none_is_on_record(tmp_path: Path) -> None:
    cutter = ClipCutter("lobby", NoTapes(), EvidenceFiles(tmp_path, 10_000_000))
    cutter.want(ClipWanted(event="fire-1", start=0, end=1_000_000))
    assert cutter.due(2_000_000) == []
    assert cutter.due(9_000_000) == [], "and it is not asked for for ever"


def test_a_flood_of_clips_is_bounded(tmp_path: Path) -> None:
    cutter = ClipCutter("lobby", NoTapes(), EvidenceFiles(tmp_path, 10_000_000))
    for number in range(1000):
        cutter.want(ClipWanted(event=f"fire-{number}", start=0, end=1_000_000))
    assert len(cutter._wanted) == 64
