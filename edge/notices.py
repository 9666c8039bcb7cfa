"""Notices between the processes of a node: names of things, never the things.

Each part binds a Unix datagram socket in the run folder under its own name. A notice to a part that is away or too
busy is dropped and counted: whoever is woken looks at the frame slots or the outbox, and each of them polls as well.
"""

import select
import socket
from pathlib import Path

import msgspec


class FrameReady(msgspec.Struct, frozen=True, tag="frame"):
    """Capture to vision: a newer frame lies in the camera's slots."""

    camera: str


class RecordsWaiting(msgspec.Struct, frozen=True, tag="records"):
    """Anyone to delivery: something was appended to the outbox."""


class ClipWanted(msgspec.Struct, frozen=True, tag="clip"):
    """Vision to capture: cut a clip for an event out of the packet ring, from ``start`` to ``end`` (microseconds)."""

    event: str
    start: int
    end: int


class ReleaseStaged(msgspec.Struct, frozen=True, tag="staged"):
    """Delivery's update client to vision: a verified release lies in ``folder``; try it."""

    name: str
    version: str
    folder: str


Notice = FrameReady | RecordsWaiting | ClipWanted | ReleaseStaged

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Notice] = msgspec.msgpack.Decoder(Notice)


class Notices:
    """The mailbox of one part.

    Args:
        run: folder of the sockets; short enough that a socket's path stays below 108 bytes (``sockaddr_un``).
        name: the part's name, such as ``vision`` or ``capture.lobby``.
    """

    def __init__(self, run: Path, name: str) -> None:
        self._run = run
        self._path = run / f"{name}.sock"
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        self.dropped = 0

    def send(self, to: str, notice: Notice) -> bool:
        """Tell ``to``; False (and ``dropped`` one higher) where it is away or its mailbox is full."""
        try:
            self._socket.sendto(_encoder.encode(notice), str(self._run / f"{to}.sock"))
        except (BlockingIOError, FileNotFoundError, ConnectionRefusedError):
            self.dropped += 1
            return False
        return True

    def receive(self, timeout_s: float) -> Notice | None:
        """The next notice, waiting up to ``timeout_s`` seconds; None where there was none or it made no sense."""
        try:
            # The socket itself stays non-blocking: another thread may be sending on it meanwhile.
            if not select.select([self._socket], [], [], max(timeout_s, 0.0))[0]:
                return None
            return _decoder.decode(self._socket.recv(4096))
        except (BlockingIOError, msgspec.DecodeError):
            return None

    def fileno(self) -> int:
        """For ``selectors``: ready to read when a notice lies in the mailbox."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close and remove the mailbox."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
