"""The seconds before: packets of a camera as they came, so that a clip can begin before its event."""

import threading
from collections import deque
from dataclasses import dataclass

from contract.ids import Micros


@dataclass(frozen=True, slots=True)
class Packet:
    """A piece of an encoded stream. Its times count in the stream's own time base and never go back within a ring."""

    data: bytes
    pts: int
    dts: int
    duration: int
    keyframe: bool
    captured: Micros
    """When it reached this machine."""


class PacketRing:
    """The newest packets, bounded in bytes and in time. One thread adds, another cuts.

    It begins with a keyframe, always: without the one before it a packet shows nothing. So what is forgotten is
    forgotten by whole groups, from one keyframe to the next.

    Args:
        max_bytes: never more than this.
        seconds: so far back one can cut, where ``max_bytes`` allows it.
    """

    def __init__(self, max_bytes: int, seconds: float) -> None:
        self._max_bytes = max_bytes
        self._micros = int(seconds * 1e6)
        self._lock = threading.Lock()
        self._packets: deque[Packet] = deque()
        self._keys: deque[Micros] = deque()
        """Of each keyframe in the ring, when it came."""
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """What the packets take."""
        return self._bytes

    def add(self, packet: Packet) -> None:
        """Take the next packet of the stream."""
        with self._lock:
            if not packet.keyframe and not self._keys:
                return
            self._packets.append(packet)
            self._bytes += len(packet.data)
            if packet.keyframe:
                self._keys.append(packet.captured)
            # The second keyframe shows all that is wanted: the first one's group is needed no more.
            while len(self._keys) > 1 and self._keys[1] <= packet.captured - self._micros:
                self._forget_group()
            while self._bytes > self._max_bytes:
                self._forget_group()

    def cut(self, start: Micros, end: Micros) -> tuple[Packet, ...]:
        """The packets that came from ``start`` to ``end``, and those before them from the last keyframe on.

        Empty where the ring holds nothing of that time.
        """
        with self._lock:
            packets = [packet for packet in self._packets if packet.captured <= end]
        first = 0
        for index, packet in enumerate(packets):
            if packet.keyframe and packet.captured <= start:
                first = index
        chosen = packets[first:]
        return tuple(chosen) if chosen and chosen[-1].captured >= start else ()

    def _forget_group(self) -> None:
        self._keys.popleft()
        while self._packets:
            self._bytes -= len(self._packets.popleft().data)
            if self._packets and self._packets[0].keyframe:
                return
