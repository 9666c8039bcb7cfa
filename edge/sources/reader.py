"""The thread that reads one camera, for ever: opens it, hands out what comes, and opens it again when it is lost."""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from contract.ids import Micros
from contract.records import SourceHealth
from edge.config import Camera
from edge.evidence.clip import StreamForm
from edge.evidence.ring import Packet, PacketRing
from edge.notices import FrameReady, Notices
from edge.sources.camera import CameraStream, Picture, Wait
from edge.sources.clips import LONGEST_S
from edge.sources.fault import CameraError, Fault
from edge.sources.frames import FramesError, FrameWriter
from edge.sources.opening import open_camera
from edge.sources.watch import Watch
from edge.supervisor.backoff import Backoff

_log = structlog.get_logger()
_RING_BYTES: Final = 64 * 1024 * 1024
_RATE_S: Final = 5.0
"""The rate told is that of the last so many seconds."""
_STEP_S: Final = 10.0
"""Longest that decoding and handing out one frame may take."""

Opener = Callable[[str, Camera, Wait], CameraStream]


class CameraReader:
    """One camera's reading thread and what it leaves for the main thread.

    Args:
        name, camera: its name and settings.
        slots: file for its frames.
        notices: to tell vision of each.
        stop: ends ``run``.
        opener: opens the camera.
        monotonic: seconds.
    """

    def __init__(
        self,
        name: str,
        camera: Camera,
        slots: Path,
        notices: Notices,
        stop: threading.Event,
        opener: Opener = open_camera,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._camera, self._slots, self._notices = name, camera, slots, notices
        self._stop, self._opener, self._monotonic = stop, opener, monotonic
        self.watch = Watch(monotonic)
        self.no_clip = "it has not been opened yet"
        self._backoff = Backoff(first_s=0.5, longest_s=30.0)
        # Two: after a reconnection the old stream's packets still serve clips that were asked for before.
        self._tapes: deque[tuple[StreamForm, PacketRing]] = deque(maxlen=2)
        self._writer: FrameWriter | None = None
        self._state, self._reason = "starting", ""
        self._late_before = 0
        self._leased_out_before = 0
        self._late = 0
        self._seen: deque[float] = deque(maxlen=256)

    def run(self) -> None:
        """Read until told to stop."""
        while not self._stop.is_set():
            opened = self._monotonic()
            try:
                self._read()
            except CameraError as error:
                self._failed(error, self._monotonic() - opened)
            except FramesError as error:
                self._state, self._reason = "down", str(error)
                _log.error("camera.no_slots", camera=self._name, reason=str(error))
                self._pause(self._monotonic() - opened)

    def health(self) -> SourceHealth:
        """How the camera is; for any thread."""
        now = self._monotonic()
        times = list(self._seen)
        recent = [then for then in times if now - then <= _RATE_S]
        over = min(_RATE_S, max(1.0, now - times[0])) if times else _RATE_S
        writer = self._writer
        leased_out = self._leased_out_before + (writer.dropped if writer is not None else 0)
        return SourceHealth(
            source=self._name,
            kind="camera",
            state=self._state,
            reason=self._reason,
            rate_hz=round(len(recent) / over, 2),
            dropped=self._late_before + self._late + leased_out,
            age_s=round(now - times[-1], 3) if times else -1.0,
            title=self._camera.title,
            note=self._camera.note,
        )

    def cut(self, start: Micros, end: Micros) -> tuple[StreamForm, tuple[Packet, ...]] | None:
        """The packets from ``start`` to ``end``, of the stream that has most of them; for the main thread."""
        cuts = [(form, ring.cut(start, end)) for form, ring in list(self._tapes)]
        best = max(cuts, key=lambda cut: len(cut[1]), default=None)
        return best if best is not None and best[1] else None

    def _read(self) -> None:
        self.watch.within(3 * self._camera.timeout_s + _STEP_S)
        stream = self._opener(self._name, self._camera, self._wait)
        try:
            _log.info("camera.opened", camera=self._name, codec=stream.info.codec, size=_size(stream))
            ring = self._new_tape(stream)
            for item in stream:
                if isinstance(item, Packet):
                    self.watch.within(_STEP_S)
                    if ring is not None:
                        ring.add(item)
                else:
                    self._hand_out(item)
                    self._late = stream.late
                # The next one may take as long as the camera is given.
                self.watch.within(self._camera.timeout_s + _STEP_S)
        finally:
            self._late_before, self._late = self._late_before + stream.late, 0
            stream.close()

    def _new_tape(self, stream: CameraStream) -> PacketRing | None:
        self.no_clip = stream.no_clip
        if stream.form is None:
            _log.warning("camera.no_clips", camera=self._name, reason=stream.no_clip)
            return None
        ring = PacketRing(_RING_BYTES, LONGEST_S + self._camera.evidence_s)
        self._tapes.append((stream.form, ring))
        return ring

    def _hand_out(self, picture: Picture) -> None:
        height, width = picture.image.shape[:2]
        if self._writer is None or self._writer.size != (width, height):
            self._leased_out_before += self._writer.dropped if self._writer is not None else 0
            self._writer = FrameWriter(self._slots, width, height)
        if self._writer.write(picture.image, picture.captured):
            self._notices.send("vision", FrameReady(self._name))
        self._seen.append(self._monotonic())
        self._state, self._reason = "ok", ""

    def _failed(self, error: CameraError, lasted_s: float) -> None:
        known = self._state == "down" and self._reason == str(error)
        self._state, self._reason = "down", str(error)
        if not known:
            _log.error("camera.down", camera=self._name, fault=error.fault.value, reason=str(error))
        if error.fault is Fault.ENDED:
            self._wait(float("inf"))
            return
        self._pause(lasted_s)

    def _pause(self, lasted_s: float) -> None:
        self._wait(self._backoff.failed(self._monotonic(), lasted_s))

    def _wait(self, seconds: float) -> bool:
        """Wait, and promise to be back. The pauses of a file whose pictures lie far apart are longer than a step."""
        self.watch.within(seconds + _STEP_S)
        return self._stop.wait(None if seconds == float("inf") else seconds)


def _size(stream: CameraStream) -> str:
    return f"{stream.info.width}x{stream.info.height}"
