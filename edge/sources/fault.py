"""What can be wrong with a camera, told apart, each with the way out. Never a password in it."""

from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import av
import av.error

from edge.config import redact
from edge.sources.reach import ReachError, Unreached, reach

DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


class Fault(StrEnum):
    """Causes, as they are counted and told."""

    UNKNOWN_NAME = "unknown-name"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    NO_ANSWER = "no-answer"
    PASSWORD = "password"  # noqa: S105 - the name of a cause
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    SERVER = "server"
    NOT_VIDEO = "not-video"
    NO_VIDEO = "no-video"
    NO_FILE = "no-file"
    NO_DEVICE = "no-device"
    UNREADABLE = "unreadable"
    LOST = "lost"
    ENDED = "ended"


_WAY_OUT: Final = {
    Fault.UNKNOWN_NAME: "check the host's name, and the network's name server",
    Fault.UNREACHABLE: "check its power, its cable, and the address",
    Fault.REFUSED: "check the port, and that the service is switched on in the camera",
    Fault.NO_ANSWER: "restart it, or raise timeout_s",
    Fault.PASSWORD: "check user and password",
    Fault.FORBIDDEN: "check the rights of that user in the camera",
    Fault.NOT_FOUND: "check the path; the camera's manual names its streams",
    Fault.SERVER: "look into the camera's own log",
    Fault.NOT_VIDEO: "give the address of the stream itself",
    Fault.NO_VIDEO: "give the address of a stream with a picture",
    Fault.NO_FILE: "check the path; relative ones count from node.yaml's folder",
    Fault.NO_DEVICE: "check the plug and the number; 'ls /dev/video*' lists what is there",
    Fault.UNREADABLE: "give this user the right to read it",
    Fault.LOST: "it is tried again",
    Fault.ENDED: "set loop: true to play it again",
}


class CameraError(Exception):
    """A camera that gives no pictures: which, why, and what to do.

    Args:
        camera: its name in ``node.yaml``.
        url: as configured; it is redacted in the text.
        fault: the cause.
        what: the cause in words, to be read after the URL.
    """

    def __init__(self, camera: str, url: str, fault: Fault, what: str) -> None:
        self.camera = camera
        self.fault = fault
        self.what = what
        self.way_out = f"{_WAY_OUT[fault]} (cameras.{camera}.url)"
        super().__init__(f"camera {camera!r}: {redact(url)} {what}; {self.way_out}")


def reach_camera(camera: str, url: str, timeout_s: float) -> None:
    """Connect to a network camera's port, to tell apart what FFmpeg does not.

    Raises:
        CameraError: the name is unknown, nothing is there, nothing listens.
    """
    parts = urlsplit(url)
    try:
        reach(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme], timeout_s)
    except ReachError as error:
        raise CameraError(camera, url, _CAUSES[error.cause], str(error)) from None


_CAUSES: Final = {
    Unreached.UNKNOWN_NAME: Fault.UNKNOWN_NAME,
    Unreached.REFUSED: Fault.REFUSED,
    Unreached.NO_ANSWER: Fault.UNREACHABLE,
    Unreached.UNREACHABLE: Fault.UNREACHABLE,
}
_HTTP: Final[tuple[tuple[type[Exception], Fault, str], ...]] = (
    (av.error.HTTPUnauthorizedError, Fault.PASSWORD, "answered 401"),
    (av.error.HTTPForbiddenError, Fault.FORBIDDEN, "answered 403"),
    (av.error.HTTPNotFoundError, Fault.NOT_FOUND, "answered 404"),
    (av.error.HTTPClientError, Fault.NOT_FOUND, "answered that it does not understand the request (4xx)"),
    (av.error.HTTPServerError, Fault.SERVER, "answered with an error of its own (5xx)"),
)


def explain(camera: str, url: str, error: Exception, took_s: float, timeout_s: float, opened: bool) -> CameraError:
    """FFmpeg's error as a cause.

    Args:
        error: from PyAV.
        took_s: how long the call had taken: FFmpeg reports some time-outs as invalid data.
        timeout_s: how long it was allowed to.
        opened: the stream had been open; then it was lost, whatever the error.
    """
    for kind, fault, what in _HTTP:
        if isinstance(error, kind):
            return CameraError(camera, url, fault, what)
    if isinstance(error, av.error.ExitError | TimeoutError) or took_s >= timeout_s * 0.95:
        what = "has sent nothing" if opened else "took the connection and did not answer"
        return CameraError(camera, url, Fault.NO_ANSWER, f"{what} for {timeout_s:g} s")
    if isinstance(error, FileNotFoundError):
        return CameraError(camera, url, Fault.NO_FILE, "is not there")
    if isinstance(error, IsADirectoryError):
        return CameraError(camera, url, Fault.NO_FILE, "is a folder, not a file")
    if isinstance(error, PermissionError):
        return CameraError(camera, url, Fault.UNREADABLE, "may not be read by this user")
    if isinstance(error, ConnectionRefusedError):
        return CameraError(camera, url, Fault.REFUSED, "refused the connection")
    if opened:
        return CameraError(camera, url, Fault.LOST, f"was lost: {_said(error)}")
    return CameraError(camera, url, Fault.NOT_VIDEO, "is not a video that can be read")


def _said(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else type(error).__name__
