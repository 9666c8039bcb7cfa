"""Enough of MQTT 3.1.1 to see where a packet begins and ends, and which are messages that may be lost."""

from typing import Final

_PUBLISH: Final = 3
_LONGEST: Final = 4
"""Bytes of a packet's remaining length at most (section 2.2.3)."""


class Splitter:
    """Cuts a stream of bytes into whole packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are whole by now."""
        self._rest += data
        found = []
        while (size := _size(self._rest)) is not None and len(self._rest) >= size:
            found.append(self._rest[:size])
            self._rest = self._rest[size:]
        return found


def _size(data: bytes) -> int | None:
    """Of the packet at the beginning, with its header; None where that cannot be told yet (section 2.2.3)."""
    length = 0
    for index in range(_LONGEST):
        if len(data) < index + 2:
            return None
        length |= (data[index + 1] & 0x7F) << (7 * index)
        if not data[index + 1] & 0x80:
            return index + 2 + length
    raise ValueError(f"no MQTT: remaining length {data[1:5].hex()}")


def is_message(packet: bytes) -> bool:
    """A PUBLISH of QoS 0: what nobody has promised to deliver (sections 3.3.1 and 4.3.1)."""
    return packet[0] >> 4 == _PUBLISH and not packet[0] & 0x06
