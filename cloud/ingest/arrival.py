"""What came over the broker, and the queue in which it waits for its transaction. Alarms overtake everything else."""

import threading
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import Final

from contract.messages import Batch, Hello, NodeState
from contract.records import Lane
from contract.topics import Address, Channel, parse
from contract.wire import WireError, decode_state, decode_up, salvage, unpacked_bytes

MOST_WAITING: Final = 32 * 1024 * 1024
"""Bytes of memory that may wait; what comes beyond is dropped and counted, and the node sends it again."""
A_RECORD: Final = 96
"""Bytes that a record takes besides its own: a message of a kilobyte can unpack to a million of them."""
ROOM_FOR_ALARMS: Final = 8 * 1024 * 1024
"""Bytes on top of that, for what is urgent."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message. Where it made no sense ``fault`` says why, and ``message`` is None, or the envelope of a batch whose
    records made none."""

    topic: str
    payload: bytes
    arrived: int
    address: Address | None
    message: Hello | Batch | NodeState | None
    fault: str = ""
    held: int = 0
    """Bytes of memory that it takes, unpacked."""

    @property
    def urgent(self) -> bool:
        """Whether it overtakes: alarms, and a node's first word."""
        return not isinstance(self.message, Batch) or self.message.lane is Lane.ALARM

    @property
    def records(self) -> int:
        """How many records it carries."""
        return len(self.message.records) if isinstance(self.message, Batch) else 0


def read(topic: str, payload: bytes, arrived: int) -> Arrival:
    """Decode a message as far as its envelope; never raises."""
    address: Address | None = None
    try:
        address, channel = parse(topic)
        message = decode_state(payload) if channel is Channel.STATE else decode_up(payload)
    except (ValueError, WireError) as error:
        return Arrival(topic, payload, arrived, address, salvage(payload), str(error), len(payload))
    more = unpacked_bytes(payload) + A_RECORD * len(message.records) if isinstance(message, Batch) else 0
    return Arrival(topic, payload, arrived, address, message, held=len(payload) + more)


class Waiting:
    """The queue between the broker's thread and the worker's, bounded in bytes."""

    def __init__(self, most_bytes: int = MOST_WAITING) -> None:
        self._most = most_bytes
        self._condition = threading.Condition()
        self._urgent: deque[Arrival] = deque()
        self._bulk: deque[Arrival] = deque()
        self._records = 0
        self._passed_over = False
        self.bytes = 0
        self._dropped = 0

    def put(self, arrival: Arrival) -> bool:
        """Add a message; False, and counted, where there is no room."""
        with self._condition:
            if self.bytes + arrival.held > self._most + (ROOM_FOR_ALARMS if arrival.urgent else 0):
                self._dropped += 1
                return False
            (self._urgent if arrival.urgent else self._bulk).append(arrival)
            self.bytes += arrival.held
            self._records += 0 if arrival.urgent else arrival.records
            self._condition.notify()
            return True

    def dropped(self) -> int:
        """How many there was no room for since the last time this was asked."""
        with self._condition:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def take(self, timeout_s: float, most_records: int, gather_s: float = 0.05) -> list[Arrival]:
        """What shall go into the next transaction; empty after ``timeout_s``.

        Whoever comes to an empty queue takes the first message at once. Who finds bulk waiting is behind, and gathers
        for up to ``gather_s`` or ``most_records``. What is urgent goes at once and alone, but never twice in a row past
        bulk that waits.
        """
        with self._condition:
            if not self._urgent and self._bulk and timeout_s > 0:
                deadline = monotonic() + min(gather_s, timeout_s)
                while not self._urgent and self._records < most_records:
                    if not self._condition.wait(max(deadline - monotonic(), 0)):
                        break
            else:
                self._condition.wait_for(lambda: self._urgent or self._bulk, timeout_s)
            taken = self._pull(self._urgent, most_records)
            alone = bool(taken) and not self._passed_over
            if not alone:
                taken += self._pull(self._bulk, most_records)
            self._passed_over = alone and bool(self._bulk)
            return taken

    def _pull(self, queue: deque[Arrival], most_records: int) -> list[Arrival]:
        taken: list[Arrival] = []
        records = 0
        while queue and (not taken or records + queue[0].records <= most_records):
            arrival = queue.popleft()
            taken.append(arrival)
            records += arrival.records
            self.bytes -= arrival.held
            self._records -= 0 if arrival.urgent else arrival.records
        return taken
