"""The node's side of the conversation in ``contract.messages``: between the outbox and whatever carries messages.

It knows nothing of MQTT: messages come in by ``receive`` and go out by ``outgoing``. Any message may be lost, doubled
or late in either direction; every record still arrives, once, in the order of its lane.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import structlog

from contract.messages import Ack, Hello, Welcome
from contract.records import Lane
from contract.wire import WireError, decode_down, encode, unpacked_bytes
from edge.delivery.clock import CloudClock
from edge.delivery.epochs import Verdict
from edge.delivery.lanes import NumberedBatch
from edge.delivery.outbox import Outbox
from edge.delivery.stamps import STEP_US
from edge.delivery.window import ORDER, Flight, Window

FRESH_US: Final = 30_000_000
"""What has lain longer without being sent is history and belongs to the backlog."""
LINGER_S: Final = 0.2
"""Live readings are gathered for so long: each batch costs an fsync. The first one after a pause goes at once."""
_MAX_RECORDS: Final = 1000
_NEW_BATCHES: Final = 4
"""Numbered in one go before what came in is looked at again."""
_AGE_S: Final = 1.0
_HELLO_S: Final = (1.0, 30.0)
_DOUBT_S: Final = 2.0
_STALE_S: Final = 1.0
"""A message that was made longer ago is made anew before it is sent: its time must be that of its sending."""
_DOUBTS: Final = 3

_log = structlog.get_logger()


class State(Enum):
    """Where the conversation stands."""

    SILENT = "silent"
    GREETING = "greeting"
    TALKING = "talking"


@dataclass(frozen=True)
class _Ready:
    """A batch as a message that was made at the monotonic time ``at``."""

    batch: NumberedBatch
    payload: bytes
    at: float


class Conversation:
    """Says ``Hello``, sends what waits, and hears what the database holds.

    Args:
        outbox: where the records lie.
        clock: wall clock, microseconds: the times in the messages.
        software: what ``Hello`` names.
    """

    def __init__(self, outbox: Outbox, clock: Callable[[], int], software: str = "") -> None:
        self.state = State.SILENT
        self.window = Window()
        self.cloud_clock = CloudClock(clock)
        self.delivered = 0
        """Records acknowledged since the start."""
        self._outbox = outbox
        self._clock = clock
        self._software = software
        self._epoch = 0
        self._acked: dict[Lane, int] = {}
        self._ready: dict[tuple[Lane, int], _Ready] = {}
        self._hello_due = 0.0
        self._hello_pause = _HELLO_S[0]
        self._sure = False
        self._asked: dict[int, float] = {}
        """The greetings of this attempt by the time that they name, with the monotonic time."""
        self._doubts = 0
        self._live_due = 0.0
        self._age_due = 0.0
        self._more = False

    def connected(self, now: float) -> None:
        """Messages can be carried from now on. ``now`` is monotonic, in seconds, here and everywhere below."""
        self._sure = False
        self.cloud_clock.forget()
        self._greet(now)

    def disconnected(self) -> None:
        """They cannot any more. What is under way stays in the outbox."""
        self.state = State.SILENT

    def receive(self, payload: bytes, now: float) -> None:
        """A message on ``ack``. One that makes no sense is logged and dropped."""
        try:
            message = decode_down(payload)
        except WireError as error:
            _log.warning("uplink.message_refused", reason=str(error))
            return
        if message.epoch != self._epoch:
            return
        if isinstance(message, Welcome) and self.state is State.GREETING and self._answers(message):
            self._welcome(message, now)
        elif isinstance(message, Ack) and self.state is State.TALKING:
            self._ack(message, now)

    def outgoing(self, now: float) -> Iterator[bytes]:
        """The messages to be sent now, most urgent first; send each before asking for the next."""
        if self.state is State.GREETING and now >= self._hello_due:
            self._hello_due = now + self._hello_pause
            self._hello_pause = min(self._hello_pause * 2, _HELLO_S[1])
            yield encode(self._hello(now))
        if self.state is not State.TALKING:
            return
        self._age(now)
        yield from self._due(now)
        for _ in range(_NEW_BATCHES):
            if not any(self._number(lane, now) for lane in ORDER):
                self._more = False
                return
            yield from self._due(now)
        self._more = True

    def deadline(self, now: float) -> float | None:
        """When ``outgoing`` should be asked although nothing came in and nothing was appended."""
        if self.state is State.GREETING:
            return self._hello_due
        if self.state is State.SILENT:
            return None
        if self._more:
            return now
        live_due = self._live_due if self._live_due > now else None
        return min((due for due in (self.window.deadline(), live_due) if due is not None), default=None)

    def _hello(self, now: float) -> Hello:
        self._epoch = self._outbox.epoch
        time = self._clock()
        self._asked[time] = now
        return Hello(epoch=self._epoch, last=self._outbox.last(), time=time, software=self._software)

    def _greet(self, now: float, after: float = 0.0) -> None:
        self.state = State.GREETING
        self._asked.clear()
        self._hello_due = now + after
        self._hello_pause = _HELLO_S[0]

    def _answers(self, message: Welcome) -> bool:
        """Whether it answers what was asked in this greeting: one that comes late or twice tells of long ago."""
        return message.hello in self._asked if message.hello else bool(self._asked)

    def _welcome(self, message: Welcome, now: float) -> None:
        # One that does not say what it answers may answer the first question, whenever it comes.
        asked = self._asked[message.hello] if message.hello else min(self._asked.values())
        self.cloud_clock.heard(asked, now, message.time)
        verdict = self._outbox.welcome(message.epoch, message.positions, self._sure)
        if verdict is not Verdict.GOOD:
            doubted = self._outbox.epoch == self._epoch
            if verdict is Verdict.MOVED:
                _log.info("outbox.moved", positions=message.positions, new_epoch=not doubted)
            else:
                _log.warning("outbox.position_" + verdict.value, positions=message.positions, new_epoch=not doubted)
            self._sure = doubted
            self._greet(now, _DOUBT_S if doubted else 0.0)
            return
        self._sure = False
        self._doubts = 0
        self.window.restart(message.credit)
        self._ready.clear()
        self._acked = {lane: message.positions.get(lane, 0) for lane in ORDER}
        self._outbox.age_into_backlog(FRESH_US)
        self.state = State.TALKING
        self._live_due = now
        for lane in ORDER:
            self._load(lane, now)

    def _ack(self, message: Ack, now: float) -> None:
        self.window.offer(message.credit)
        lane, before = message.lane, self._acked[message.lane]
        if message.position < before:
            self._doubt(now)
            return
        if message.position > before:
            self._outbox.ack(message.epoch, lane, message.position)
            self._acked[lane] = message.position
            self.delivered += message.position - before
            self._doubts = 0
        if (asked := self.window.asked(lane, message.position)) is not None:
            self.cloud_clock.heard(asked, now, message.time)
        if not self.window.acknowledge(lane, message.position, message.expected, now):
            self.window.lanes[lane].flights.clear()
            self._load(lane, now)
        held = {flight.first for flight in self.window.lanes[lane].flights}
        for key in [key for key in self._ready if key[0] is lane and key[1] not in held]:
            del self._ready[key]

    def _doubt(self, now: float) -> None:
        """The cloud speaks of less than it has acknowledged. Once or twice that is a message come late."""
        self._doubts += 1
        if self._doubts >= _DOUBTS:
            self._doubts = 0
            self._greet(now)

    def _due(self, now: float) -> Iterator[bytes]:
        while found := self.window.next(now):
            lane, flight = found
            ready = self._ready[lane, flight.first]
            if now - ready.at > _STALE_S:
                ready = self._ready[lane, flight.first] = self._encode(ready.batch, now)
            yield ready.payload

    def _age(self, now: float) -> None:
        if now < self._age_due:
            return
        self._age_due = now + _AGE_S
        ages = (self._outbox.oldest_age(Lane.ALARM), self._outbox.oldest_age(Lane.LIVE))
        if any(age is not None and age > FRESH_US for age in ages):
            self._outbox.age_into_backlog(FRESH_US)

    def _number(self, lane: Lane, now: float) -> bool:
        """Put the next records of a lane into a batch, where they may be sent at once; whether there were any."""
        room = 0 if lane is Lane.LIVE and now < self._live_due else self.window.room(lane)
        batch = self._outbox.number(lane, _MAX_RECORDS, room) if room else None
        if batch is None or not self._take(batch, now):
            return False
        if lane is Lane.LIVE and self._outbox.oldest_age(lane) is None:
            self._live_due = now + LINGER_S
        return True

    def _load(self, lane: Lane, now: float) -> None:
        for batch in self._outbox.unacked(lane, self._acked[lane]):
            if not self._take(batch, now):
                return

    def _take(self, batch: NumberedBatch, now: float) -> bool:
        """Make it ready to be sent. False where the outbox was replaced under us: then we introduce ourselves anew."""
        if batch.epoch != self._epoch:
            self._greet(now)
            return False
        ready = self._ready[batch.lane, batch.first] = self._encode(batch, now)
        size, unpacked = len(ready.payload), unpacked_bytes(ready.payload)
        self.window.add(batch.lane, [Flight(batch.first, batch.last, size, unpacked)])
        return True

    def _encode(self, batch: NumberedBatch, now: float) -> _Ready:
        """The message, with the time of this moment by the clock that stamped the records: the cloud holds that against
        its own."""
        stepped = 0 if batch.base is None else self._outbox.base - batch.base
        stepped = stepped if abs(stepped) >= STEP_US else 0
        message = batch.message(max(self._clock() - stepped, 0), self.cloud_clock.claim(now, stepped))
        return _Ready(batch, encode(message), now)
