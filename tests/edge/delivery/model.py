"""A cloud that does what ``contract.messages`` promises, and a channel that does its worst. Time is simulated."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from contract.messages import Ack, Batch, DownMessage, Hello, Welcome
from contract.records import Lane, Record
from contract.wire import decode_down, decode_record, decode_up, encode
from edge.delivery.conversation import Conversation, State


@dataclass
class Cloud:
    """Keeps what is accepted; ``first == position + 1`` alone is."""

    credit: int = 1 << 20
    says_what_it_answers: bool = True
    """Whether a ``Welcome`` names its ``Hello``, as those of earlier releases do not."""
    positions: dict[tuple[int, Lane], int] = field(default_factory=dict)
    records: dict[Lane, list[Record]] = field(default_factory=lambda: {lane: [] for lane in Lane})
    epochs: list[int] = field(default_factory=list)
    clock: Callable[[], int] = lambda: 0

    def hear(self, payload: bytes) -> bytes:
        message = decode_up(payload)
        if isinstance(message, Hello):
            if message.epoch not in self.epochs:
                self.epochs.append(message.epoch)
            positions = {lane: self.positions.get((message.epoch, lane), 0) for lane in Lane}
            hello = message.time if self.says_what_it_answers else 0
            return encode(
                Welcome(epoch=message.epoch, positions=positions, time=self.clock(), credit=self.credit, hello=hello)
            )
        return encode(self._take(message))

    def _take(self, batch: Batch) -> Ack:
        key = (batch.epoch, batch.lane)
        position = self.positions.get(key, 0)
        expected = None
        if batch.first == position + 1:
            position = self.positions[key] = batch.last
            self.records[batch.lane] += [decode_record(bytes(raw)) for raw in batch.records]
        elif batch.last > position:
            expected = position + 1
        return Ack(
            epoch=batch.epoch,
            lane=batch.lane,
            position=position,
            time=self.clock(),
            credit=self.credit,
            expected=expected,
        )


@dataclass
class Faults:
    """How bad the channel is: chances of loss and doubling, and how late a message may come, in seconds."""

    loss: float = 0.0
    double: float = 0.0
    delay: float = 0.02
    jitter: float = 0.0


class Channel:
    """Carries messages between a conversation and a cloud."""

    def __init__(self, conversation: Conversation, cloud: Cloud, faults: Faults, chance: random.Random) -> None:
        self.conversation = conversation
        self.cloud = cloud
        self.faults = faults
        self.now = 0.0
        self.sent: list[Hello | Batch] = []
        self.answers: list[DownMessage] = []
        self._chance = chance
        self._count = 0
        self._flying: list[tuple[float, int, str, bytes]] = []

    def run(self, until: float) -> None:
        """Let the time pass up to ``until``."""
        while self.now < until:
            for payload in self.conversation.outgoing(self.now):
                self.sent.append(decode_up(payload))
                self._carry("up", payload)
            due = [until]
            if (deadline := self.conversation.deadline(self.now)) is not None:
                due.append(max(deadline, self.now + 1e-4))
            if self._flying:
                due.append(self._flying[0][0])
            self.now = min(due)
            while self._flying and self._flying[0][0] <= self.now:
                _, _, way, payload = heapq.heappop(self._flying)
                if way == "up":
                    self._carry("down", self.cloud.hear(payload))
                else:
                    self.answers.append(decode_down(payload))
                    self.conversation.receive(payload, self.now)

    def batches(self) -> list[Batch]:
        return [message for message in self.sent if isinstance(message, Batch)]

    def cut(self) -> None:
        """The connection is lost, with everything under way."""
        self._flying.clear()
        self.conversation.disconnected()
        assert self.conversation.state is State.SILENT

    def _carry(self, way: str, payload: bytes) -> None:
        for _ in range(1 + (self._chance.random() < self.faults.double)):
            if self._chance.random() >= self.faults.loss:
                self._count += 1
                due = self.now + self.faults.delay + self._chance.random() * self.faults.jitter
                heapq.heappush(self._flying, (due, self._count, way, payload))
