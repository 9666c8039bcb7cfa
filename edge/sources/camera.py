"""A camera as a stream of what it sends: packets for the evidence ring, and now and then a picture to look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from contract.ids import Micros
from edge.evidence.clip import StreamForm
from edge.evidence.ring import Packet
from edge.sources.frames import Image

WIDEST: Final = 1280
"""Wider pictures are made smaller for detection and snapshots; clips keep the size they have."""


@dataclass(frozen=True)
class StreamInfo:
    """What a camera sends. Sizes in pixels; ``fps`` is 0 where the stream does not say."""

    codec: str
    width: int
    height: int
    fps: float


@dataclass(frozen=True)
class Picture:
    """A decoded frame and when it reached this machine."""

    image: Image
    captured: Micros


class CameraStream(Protocol):
    """An open camera. Iterating gives packets as they come and, in between, the pictures that are to be looked at.

    Iteration ends only by ``CameraError``, or when told to stop.
    """

    info: StreamInfo
    form: StreamForm | None
    """For clips; None where no clip can be made, with the reason in ``no_clip``."""
    no_clip: str
    late: int
    """Pictures that were due and not decoded, because the stream had fallen behind."""

    def __iter__(self) -> Iterator[Packet | Picture]: ...

    def close(self) -> None:
        """Give the camera back."""


Wait = Callable[[float], bool]
"""Waits so many seconds; True when it is time to stop. ``threading.Event.wait`` is one."""


def fitted(width: int, height: int) -> tuple[int, int]:
    """The size pictures of a stream are decoded to: at most ``WIDEST`` wide, even, in proportion."""
    if width <= WIDEST:
        return width, height
    return WIDEST, max(2, round(height * WIDEST / width / 2) * 2)
