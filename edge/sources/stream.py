"""Network cameras and files, by PyAV: demultiplexed once, decoded as little as need be."""

import time
from collections.abc import Callable, Iterator
from typing import Final, cast

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from contract.ids import Micros
from edge.config import Camera
from edge.evidence.clip import ClipError, StreamForm
from edge.evidence.ring import Packet
from edge.sources.camera import Picture, StreamInfo, Wait, fitted
from edge.sources.fault import CameraError, Fault, explain, reach_camera
from edge.sources.frames import Image
from edge.sources.pace import BEHIND_S, Freshness, Sampler

_UNTIMED: Final = ("mpjpeg", "mjpeg")
"""Picture after picture, without times: FFmpeg makes up 25 a second; those of arrival are right."""
_CATCH_UP_S: Final = 3.0
_BROKEN_PACKETS: Final = 100
"""So many in a row that cannot be decoded are no disturbance any more."""


class AvStream:
    """A ``CameraStream`` of PyAV. A file is played in real time.

    Args:
        name, camera, wait: as for ``open_camera``.
        wall: microseconds since 1970.
        monotonic: seconds.

    Raises:
        CameraError: it cannot be opened.
    """

    def __init__(
        self,
        name: str,
        camera: Camera,
        wait: Wait,
        wall: Callable[[], Micros] = lambda: time.time_ns() // 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._camera, self._wait = name, camera, wait
        self._wall, self._monotonic = wall, monotonic
        self._url = camera.url.get_secret_value()
        if camera.kind != "file":
            reach_camera(name, self._url, camera.timeout_s)
        self._container, self._stream = self._open()
        self._played = camera.kind == "file" or (camera.kind == "http" and self._container.duration is not None)
        """Whether it is a recording: it comes as fast as it is read, and has an end."""
        context = self._stream.codec_context
        self.info = StreamInfo(context.name, context.width, context.height, float(self._stream.average_rate or 0))
        self.form, self.no_clip = self._find_form()
        self._sampler, self._missed = Sampler(camera.fps), Sampler(camera.fps)
        self._untimed = self._container.format.name in _UNTIMED
        self._times = _Times()
        self._stopped = False
        self._broken = 0
        self._behind_since: float | None = None
        self._skipping = False
        self.late = 0

    def __iter__(self) -> Iterator[Packet | Picture]:
        while True:
            yield from self._play()
            if self._stopped:
                return
            if not self._played:
                raise CameraError(self._name, self._url, Fault.LOST, "ended the stream")
            if not self._camera.loop:
                raise CameraError(self._name, self._url, Fault.ENDED, "has come to its end")
            self._container.close()
            self._container, self._stream = self._open()
            self._times.begin_again()
            self._sampler, self._missed = Sampler(self._camera.fps), Sampler(self._camera.fps)

    def close(self) -> None:
        """Close the connection or file."""
        self._container.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        started, timeout = self._monotonic(), self._camera.timeout_s
        try:
            container = av.open(self._url, options=_options(self._camera), timeout=(timeout, timeout))
        except (av.error.FFmpegError, OSError) as error:
            took = self._monotonic() - started
            raise explain(self._name, self._url, error, took, timeout, opened=False) from None
        if not container.streams.video:
            container.close()
            raise CameraError(self._name, self._url, Fault.NO_VIDEO, "carries no picture, only sound or data")
        stream = container.streams.video[0]
        if not stream.codec_context.width:
            container.close()
            raise CameraError(self._name, self._url, Fault.NOT_VIDEO, "is not a video that can be read")
        # More threads would hold frames back, one each.
        stream.codec_context.thread_count = 1
        return container, stream

    def _find_form(self) -> tuple[StreamForm | None, str]:
        try:
            return StreamForm(self._stream), ""
        except ClipError as error:
            return None, str(error)

    def _play(self) -> Iterator[Packet | Picture]:
        """From the beginning of the stream, or of the recording, to its end."""
        clock = _FileClock(self._monotonic()) if self._played else None
        fresh = Freshness(self._monotonic())
        packets = self._container.demux(self._stream)
        while True:
            asked = self._monotonic()
            packet = self._next(packets, asked)
            if packet is None:
                return
            if packet.size == 0:
                # The end: what the decoder has kept back to put frames in order.
                yield from self._pictures(packet, self._wall())
                continue
            if packet.pts is None and packet.dts is None:
                continue
            if clock is not None:
                early = clock.early(self._seconds(packet.dts, packet.pts), self._monotonic())
                if early > 0 and self._wait(early):
                    self._stopped = True
                    return
                behind = clock.behind
            else:
                fresh.came(asked, self._monotonic())
                behind = fresh.behind(self._monotonic())
            captured = self._wall()
            if self._untimed:
                packet.pts = packet.dts = int(captured / 1e6 / self._tick_s)
            self._note_lag(behind)
            yield self._times.packet(packet, captured)
            yield from self._look(packet, captured)

    def _next(self, packets: Iterator["av.Packet[VideoStream]"], asked: float) -> "av.Packet[VideoStream] | None":
        try:
            return next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, av.error.EOFError):
                return None
            took, timeout = self._monotonic() - asked, self._camera.timeout_s
            raise explain(self._name, self._url, error, took, timeout, opened=True) from None

    def _note_lag(self, behind: bool) -> None:
        """Behind, pictures are decoded and not shown, which is soon made up for; where even that is too slow, nothing
        is decoded up to the next keyframe after having caught up."""
        now = self._monotonic()
        if not behind:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        elif now - self._behind_since > _CATCH_UP_S:
            self._skipping = True

    def _look(self, packet: "av.Packet[VideoStream]", captured: Micros) -> Iterator[Picture]:
        """Decode the packet as far as need be, and show what is due and not late."""
        behind = self._behind_since is not None
        due = self._sampler.due(self._seconds(packet.pts, packet.dts))
        if behind or self._skipping:
            # Counted in the order they came, which is even; their own times go back and forth.
            self.late += self._missed.pick(self._seconds(packet.dts, packet.pts))
        if self._skipping and (behind or not packet.is_keyframe):
            return
        context = self._stream.codec_context
        if self._skipping:
            context.flush_buffers()
            self._skipping = False
        # What no other frame builds on need not be decoded when nobody will look at it.
        context.skip_frame = "DEFAULT" if due and not behind else "NONREF"
        if behind:
            self._decode(packet)
        else:
            yield from self._pictures(packet, captured)

    def _pictures(self, packet: "av.Packet[VideoStream]", captured: Micros) -> Iterator[Picture]:
        for frame in self._decode(packet):
            seconds = frame.pts * self._tick_s if frame.pts is not None else captured / 1e6
            if self._sampler.pick(seconds):
                width, height = fitted(frame.width, frame.height)
                image = frame.to_ndarray(format="bgr24", width=width, height=height, interpolation="AREA")
                yield Picture(cast(Image, image), captured)

    def _decode(self, packet: "av.Packet[VideoStream]") -> list[VideoFrame]:
        """The frames that come out now; lost or broken packets are part of a network camera's life."""
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            self._broken += 1
            if self._broken >= _BROKEN_PACKETS:
                raise CameraError(self._name, self._url, Fault.LOST, "sends pictures that cannot be decoded") from None
            return []
        self._broken = 0
        return frames

    def _seconds(self, stamp: int | None, otherwise: int | None) -> float:
        return (stamp if stamp is not None else otherwise or 0) * self._tick_s

    @property
    def _tick_s(self) -> float:
        return float(self._stream.time_base or 1e-6)


class _Times:
    """A stream's packets with times that never go back: neither a glitch nor a second round breaks a clip."""

    def __init__(self) -> None:
        self._shift = 0
        self._last: int | None = None
        self._until = 0
        self._again = False

    def begin_again(self) -> None:
        """The recording's times start anew; ours go on."""
        self._again = True

    def packet(self, packet: "av.Packet[VideoStream]", captured: Micros) -> Packet:
        """A copy for the ring."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        assert stamp is not None
        if self._again:
            # The first picture follows the last one; it is decoded a little before, which fits between the old ones.
            self._shift, self._again = self._until - (packet.pts if packet.pts is not None else stamp), False
        dts = stamp + self._shift
        if self._last is not None:
            dts = max(dts, self._last + 1)
        pts = max((packet.pts if packet.pts is not None else stamp) + self._shift, dts)
        duration = max(packet.duration or 0, 1)
        self._last, self._until = dts, max(self._until, pts + duration)
        return Packet(bytes(packet), pts, dts, duration, packet.is_keyframe, captured)


class _FileClock:
    """When each packet of a recording is due, from the first one on. Seconds."""

    def __init__(self, now: float) -> None:
        self._start = now
        self._first: float | None = None
        self.behind = False
        """Late by more than ``BEHIND_S``, and since then not in time again."""

    def early(self, time_s: float, now: float) -> float:
        """Seconds until the packet is due; negative when it is late."""
        if self._first is None:
            self._first = time_s
        early = self._start + (time_s - self._first) - now
        self.behind = early < -BEHIND_S or (self.behind and early < 0)
        return early


def _options(camera: Camera) -> dict[str, str]:
    """FFmpeg's own options."""
    if camera.kind == "rtsp":
        return {
            "rtsp_transport": camera.transport,
            "timeout": str(int(camera.timeout_s * 1e6)),
            # Half a second to put packets back in order; only UDP needs it.
            "max_delay": "500000",
            "analyzeduration": "2000000",
        }
    if camera.kind == "http":
        return {"analyzeduration": "2000000"}
    return {}
