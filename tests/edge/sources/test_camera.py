"""Cameras: real streams give packets and pictures; every fault is told apart, with the way out and no password."""

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config import Camera
from edge.evidence.clip import write_clip
from edge.evidence.ring import Packet
from edge.sources.camera import CameraStream, Picture, fitted
from edge.sources.fault import CameraError, Fault
from edge.sources.opening import open_camera
from edge.sources.stream import AvStream
from tests.edge.sources.conftest import Rtsp, decoded, draw, rtsp_server


def camera(url: str | Path, **settings: object) -> Camera:
    return Camera.model_validate({"url": str(url), "timeout_s": 1.0, **settings})


def never(seconds: float) -> bool:
    return threading.Event().wait(seconds)


class Time:
    """A clock that passes only when somebody waits for it, or is told that work took so long."""

    def __init__(self) -> None:
        self.now = 1000.0

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> int:
        return int(self.now * 1e6)


def recorded(path: Path, clock: Time, **settings: object) -> AvStream:
    return AvStream("lobby", camera(path, **settings), clock.wait, clock.wall, clock.monotonic)


def take(stream: CameraStream, pictures: int) -> tuple[list[Packet], list[Picture]]:
    """Items up to the so-manieth picture."""
    packets: list[Packet] = []
    found: list[Picture] = []
    for item in stream:
        if isinstance(item, Packet):
            packets.append(item)
        else:
            found.append(item)
            if len(found) == pictures:
                break
    return packets, found


@pytest.fixture
def opened() -> Iterator[list[CameraStream]]:
    streams: list[CameraStream] = []
    yield streams
    for stream in streams:
        stream.close()


def fault(url: str | Path, **settings: object) -> CameraError:
    with pytest.raises(CameraError) as caught:
        open_camera("lobby", camera(url, **settings), never)
    message = str(caught.value)
    assert message.startswith("camera 'lobby': ")
    assert "(cameras.lobby.url)" in message
    assert "secret" not in message
    return caught.value


def test_a_wrong_password_is_told_from_a_wrong_path(rtsp: Rtsp) -> None:
    wrong = fault(f"rtsp://viewer:notsecret@127.0.0.1:{rtsp.closed_port}/closed", timeout_s=5)
    assert wrong.fault is Fault.PASSWORD
    assert "answered 401; check user and password" in str(wrong)
    assert fault(f"rtsp://127.0.0.1:{rtsp.closed_port}/closed", timeout_s=5).fault is Fault.PASSWORD
    assert fault(f"rtsp://127.0.0.1:{rtsp.open_port}/nothing", timeout_s=5).fault is Fault.NOT_FOUND


def test_a_stream_without_a_picture_is_told(rtsp: Rtsp, sound: Path) -> None:
    assert fault(f"rtsp://127.0.0.1:{rtsp.open_port}/sound", timeout_s=5).fault is Fault.NO_VIDEO
    assert fault(sound).fault is Fault.NO_VIDEO


@pytest.mark.parametrize(
    ("page", "cause"),
    [
        ("401", Fault.PASSWORD),
        ("403", Fault.FORBIDDEN),
        ("404", Fault.NOT_FOUND),
        ("500", Fault.SERVER),
        ("page.html", Fault.NOT_VIDEO),
    ],
)
def test_what_a_web_server_answers_is_told_apart(web: str, page: str, cause: Fault) -> None:
    address = web.replace("http://", "http://viewer:secret@")
    assert fault(f"{address}/{page}").fault is cause


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_refused_is_told_from_silent_and_from_unknown(scheme: str, refused: int, hung: int) -> None:
    assert fault(f"{scheme}://u:secret@127.0.0.1:{refused}/1").fault is Fault.REFUSED
    silent = fault(f"{scheme}://u:secret@127.0.0.1:{hung}/1", timeout_s=0.6)
    assert silent.fault is Fault.NO_ANSWER
    assert "took the connection and did not answer for 0.6 s" in str(silent)
    assert fault(f"{scheme}://u:secret@no-such-camera.invalid/1").fault is Fault.UNKNOWN_NAME


def test_something_else_at_the_port_is_not_a_video(web: str) -> None:
    assert fault(web.replace("http:", "rtsp:") + "/1").fault is Fault.NOT_VIDEO


def test_a_file_that_is_missing_a_folder_or_no_video_is_told(tmp_path: Path) -> None:
    assert fault(tmp_path / "absent.mp4").fault is Fault.NO_FILE
    assert fault(tmp_path).fault is Fault.NO_FILE
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    assert fault(tmp_path / "empty.mp4").fault is Fault.NOT_VIDEO
    assert fault(tmp_path / "text.mp4").fault is Fault.NOT_VIDEO


def test_a_usb_camera_that_is_not_plugged_in_is_told() -> None:
    absent = fault("usb:97")
    assert absent.fault is Fault.NO_DEVICE
    assert "/dev/video97" in str(absent)


def test_an_rtsp_camera_gives_pictures_and_packets_that_make_a_clip(
    rtsp: Rtsp, tmp_path: Path, opened: list[CameraStream]
) -> None:
    url = f"rtsp://viewer:secret@127.0.0.1:{rtsp.closed_port}/closed"
    stream = open_camera("lobby", camera(url, fps=10, timeout_s=10), never)
    opened.append(stream)
    assert (stream.info.codec, stream.info.width, stream.info.height) == ("h264", 320, 240)
    packets, pictures = take(stream, 12)
    assert pictures[0].image.shape == (240, 320, 3)
    assert 1.5 <= len(packets) / len(pictures) <= 4, "20 frames a second come, 10 are looked at"
    assert stream.form is not None
    first = next(index for index, packet in enumerate(packets) if packet.keyframe)
    write_clip(tmp_path / "clip.mp4", stream.form, packets[first:])
    assert len(decoded(tmp_path / "clip.mp4")) == len(packets) - first


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGSTOP, (Fault.NO_ANSWER,)), (signal.SIGKILL, (Fault.LOST, Fault.NO_ANSWER))]
)
def test_a_camera_that_falls_silent_is_told_within_its_time(
    number: signal.Signals, cause: tuple[Fault, ...], opened: list[CameraStream]
) -> None:
    with rtsp_server() as (ports, server):
        stream = open_camera("lobby", camera(f"rtsp://127.0.0.1:{ports.open_port}/open", timeout_s=2), never)
        opened.append(stream)
        take(stream, 3)
        server.send_signal(number)
        began = time.monotonic()
        with pytest.raises(CameraError) as caught:
            take(stream, 100)
        assert time.monotonic() - began < 6
    assert caught.value.fault in cause


def test_a_camera_that_sends_picture_after_picture_is_timed_by_arrival(web: str, opened: list[CameraStream]) -> None:
    stream = open_camera("lobby", camera(f"{web}/live.mjpg", fps=5), never)
    opened.append(stream)
    packets, pictures = take(stream, 4)
    assert stream.info.codec == "mjpeg"
    assert pictures[0].image.shape == (120, 160, 3)
    assert (pictures[-1].captured - pictures[0].captured) / 3 == pytest.approx(200_000, rel=0.35)
    assert all(packet.keyframe for packet in packets)
    assert stream.form is not None


def test_a_recording_on_a_web_server_is_played_in_real_time(web: str) -> None:
    clock = Time()
    stream = AvStream("lobby", camera(f"{web}/drawn.mp4"), clock.wait, clock.wall, clock.monotonic)
    _, pictures = take(stream, 5)
    stream.close()
    assert clock.now - 1000 == pytest.approx(0.8, abs=0.3)
    assert len(pictures) == 5


def test_a_file_is_played_in_real_time_and_ends(clip: Path) -> None:
    clock = Time()
    stream = recorded(clip, clock, fps=5)
    pictures: list[Picture] = []
    with pytest.raises(CameraError, match="has come to its end; set loop: true"):
        pictures.extend(item for item in stream if isinstance(item, Picture))
    stream.close()
    assert clock.now - 1000 == pytest.approx(3.0, abs=0.3)
    assert len(pictures) == 15
    steps = [b.captured - a.captured for a, b in itertools.pairwise(pictures)]
    assert all(0 <= step <= 400_000 for step in steps)


def test_the_pictures_are_those_of_the_file_in_its_order(clip: Path) -> None:
    clock = Time()
    stream = recorded(clip, clock, fps=10)
    _, pictures = take(stream, 12)
    stream.close()
    levels = [int(picture.image.mean()) for picture in pictures]
    assert all(abs(level - (10 + number * 7)) <= 4 for number, level in enumerate(levels)), levels


def test_a_looped_files_times_go_on_and_a_clip_across_the_seam_is_whole(clip: Path, tmp_path: Path) -> None:
    clock = Time()
    stream = recorded(clip, clock, fps=10, loop=True)
    packets, _ = take(stream, 75)
    stream.close()
    assert clock.now - 1000 == pytest.approx(7.5, abs=0.6)
    assert all(a.dts < b.dts for a, b in itertools.pairwise(packets))
    assert stream.form is not None
    length = write_clip(tmp_path / "clip.mp4", stream.form, packets)
    times = decoded(tmp_path / "clip.mp4")
    assert len(times) == len(packets)
    assert length == pytest.approx(len(packets) / 10, abs=0.02)
    assert max(b - a for a, b in itertools.pairwise(sorted(times))) < 0.11, "no hole at the seam"


def shown_until(stream: AvStream, clock: Time, seconds: float, hold_up: tuple[int, float] | None = None) -> list[float]:
    """How far behind its time each picture was that came within so many seconds of a clip of 10 frames a second.

    ``hold_up``: after so many pictures, whoever looks at them takes so long.
    """
    began, packets, lags = clock.now, 0, []
    for item in stream:
        if clock.now - began > seconds:
            break
        if isinstance(item, Packet):
            packets += 1
            continue
        lags.append(clock.now - began - packets / 10)
        if hold_up is not None and len(lags) == hold_up[0]:
            clock.now += hold_up[1]
    stream.close()
    return lags


def test_what_is_late_is_dropped_and_counted_and_playing_catches_up(long_clip: Path) -> None:
    clock = Time()
    stream = recorded(long_clip, clock, fps=10)
    lags = shown_until(stream, clock, seconds=15, hold_up=(10, 4.0))
    assert 35 <= stream.late <= 45, "the pictures of those four seconds"
    assert stream.late + len(lags) == pytest.approx(150, abs=6), "shown or counted, each of them"
    assert max(lags) < 0.3, "and none that was shown is old"


def test_a_machine_too_slow_to_decode_it_all_shows_fewer_pictures_and_no_old_ones(long_clip: Path) -> None:
    """Decoding takes two seconds for each second of the clip: what is shown must not lag ever farther behind."""
    clock = Time()
    stream = recorded(long_clip, clock, fps=10)
    inner = stream._decode

    def slow(packet: object) -> object:
        clock.now += 0.2
        return inner(packet)  # type: ignore[arg-type]

    stream._decode = slow  # type: ignore[method-assign, assignment]
    lags = shown_until(stream, clock, seconds=35)
    assert len(lags) >= 20, "it still shows something"
    assert max(lags) < 1.6, "and what it shows is of now"
    assert stream.late > 150


def test_no_more_is_decoded_than_need_be(clip: Path) -> None:
    clock = Time()
    stream = recorded(clip, clock, fps=1)
    decoded_frames = 0
    inner = stream._decode

    def counting(packet: object) -> list[object]:
        nonlocal decoded_frames
        frames = inner(packet)  # type: ignore[arg-type]
        decoded_frames += len(frames)
        return list(frames)

    stream._decode = counting  # type: ignore[method-assign, assignment]
    _, pictures = take(stream, 3)
    stream.close()
    assert len(pictures) == 3
    assert decoded_frames < 18, "of 21 frames those that nothing builds on are left out"


def test_wide_pictures_are_made_smaller_and_others_left_alone(tmp_path: Path) -> None:
    assert fitted(1920, 1080) == (1280, 720)
    assert fitted(640, 360) == (640, 360)
    assert fitted(2592, 1944) == (1280, 960)
    wide = draw(tmp_path / "wide.mp4", seconds=0.5, size=(1920, 1080))
    stream = recorded(wide, Time(), fps=10)
    _, pictures = take(stream, 1)
    stream.close()
    assert stream.info.width == 1920
    assert pictures[0].image.shape == (720, 1280, 3)


def test_stopping_ends_a_recording_at_once(clip: Path) -> None:
    stream = open_camera("lobby", camera(clip, loop=True), lambda seconds: True)
    assert len(list(stream)) < 20
    stream.close()
