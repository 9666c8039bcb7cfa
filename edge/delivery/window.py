"""What is under way: which batches to send next, to send again, and to wait for. No I/O, no clock.

Go-back-N in each lane: the cloud takes batches of a lane in order only, so after a loss everything from there on is
sent again. Lanes share one credit; an alarm goes before live readings, and those before the backlog, always.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contract.records import Lane
from contract.wire import MAX_WIRE
from edge.delivery.timer import DelayLimit, RetransmitTimer

ORDER: Final = (Lane.ALARM, Lane.LIVE, Lane.BACKLOG)
_SHARE: Final = {Lane.ALARM: 1.0, Lane.LIVE: 0.75, Lane.BACKLOG: 0.5}
"""Of the credit, up to which a lane may fill what is under way: room is kept for the lanes before it."""
MAX_CREDIT: Final = 32 * MAX_WIRE
"""However much the cloud offers: these bytes lie in memory."""


@dataclass
class Flight:
    """A numbered batch of ``size`` bytes on the wire, and ``unpacked`` bytes in the cloud's memory."""

    first: int
    last: int
    size: int
    unpacked: int
    sent: float | None = None
    """When it was last sent; None: to be sent (again)."""
    times: int = 0


class LaneWindow:
    """The batches of one lane that are numbered and not acknowledged, in order."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.flights: deque[Flight] = deque()
        self.timer = RetransmitTimer()
        self.limit = DelayLimit()
        self._restarted = 0.0
        self._probing = False

    @property
    def outstanding(self) -> int:
        """Bytes sent and not answered."""
        return sum(flight.size for flight in self.flights if flight.sent is not None)

    @property
    def held(self) -> int:
        """Bytes that they are unpacked."""
        return sum(flight.unpacked for flight in self.flights if flight.sent is not None)

    @property
    def unsent(self) -> Flight | None:
        """The first batch that waits to be sent."""
        return next((flight for flight in self.flights if flight.sent is None), None)

    def may_fly(self, size: int) -> bool:
        """Whether the lane's own limits let ``size`` more bytes go."""
        outstanding = self.outstanding
        if outstanding == 0:
            return True
        if self._probing:
            return False
        return self.lane is Lane.ALARM or outstanding + size <= self.limit.bytes

    def send(self, flight: Flight, now: float) -> None:
        """It is put on the wire now."""
        if self.outstanding == 0:
            self._restarted = now
        flight.sent = now
        flight.times += 1

    def acknowledge(self, position: int, now: float) -> bool:
        """Drop what the database holds; whether that was anything."""
        newest: Flight | None = None
        size = 0
        while self.flights and self.flights[0].last <= position:
            newest = self.flights.popleft()
            size += newest.size
        if newest is None:
            return False
        self._restarted = now
        self._probing = False
        if newest.times == 1 and newest.sent is not None:
            self.timer.sample(now - newest.sent)
            self.limit.sample(now - newest.sent, size, now)
        return True

    def go_back(self, first: int, now: float) -> bool:
        """The cloud wants to go on from ``first``. False where no batch begins there."""
        index = next((i for i, flight in enumerate(self.flights) if flight.first == first), None)
        if index is None:
            return not self.flights
        sent = self.flights[index].sent
        # One loss brings an answer for every batch behind it; all but the first of them are old news.
        if sent is not None and now - sent >= 0.5 * (self.timer.srtt or 0.0):
            self._unsend(index)
        return True

    def expire(self, now: float) -> None:
        """Where the oldest batch has waited too long: try it alone until something comes back."""
        due = self.deadline()
        if due is None or now < due:
            return
        self.timer.back_off()
        self.limit.collapse()
        self._probing = True
        self._unsend(0)

    def deadline(self) -> float | None:
        """When the oldest batch under way will have waited too long."""
        sent = self.flights[0].sent if self.flights else None
        return None if sent is None else max(sent, self._restarted) + self.timer.rto

    def _unsend(self, index: int) -> None:
        for position, flight in enumerate(self.flights):
            if position >= index:
                flight.sent = None


class Window:
    """The three lanes under one credit.

    Args:
        credit: bytes, unpacked, that may be under way.
    """

    def __init__(self, credit: int = 8 * MAX_WIRE) -> None:
        self.lanes = {lane: LaneWindow(lane) for lane in ORDER}
        self.credit = credit
        self.resent = 0
        """Batches sent more than once."""

    def restart(self, credit: int) -> None:
        """Begin a connection: nothing is under way. What was measured of the way stays."""
        self.offer(credit)
        for lane in self.lanes.values():
            lane.flights.clear()

    def offer(self, credit: int) -> None:
        """The cloud states its credit anew."""
        self.credit = min(credit, MAX_CREDIT)

    def add(self, lane: Lane, flights: Iterable[Flight]) -> None:
        """Batches to be sent, in the order of their numbers."""
        self.lanes[lane].flights.extend(flights)

    def room(self, lane: Lane) -> int:
        """Bytes, unpacked, that a new batch of this lane may have; 0 where it has to wait."""
        window = self.lanes[lane]
        if window.unsent is not None:
            return 0
        if lane is Lane.ALARM:
            return MAX_WIRE if self._may_send(lane, DelayLimit.LEAST, DelayLimit.LEAST) else 0
        size = min(MAX_WIRE, max(window.limit.bytes - window.outstanding, 0))
        if window.outstanding == 0:
            size = max(size, DelayLimit.LEAST)
        elif size < DelayLimit.LEAST:
            return 0
        if not self._may_send(lane, DelayLimit.LEAST, DelayLimit.LEAST):
            return 0
        return min(size, max(self._left(lane), DelayLimit.LEAST))

    def next(self, now: float) -> tuple[Lane, Flight] | None:
        """The batch to put on the wire now, if any; call it again until there is none."""
        for lane in ORDER:
            window = self.lanes[lane]
            window.expire(now)
            flight = window.unsent
            if flight is not None and self._may_send(lane, flight.size, flight.unpacked):
                window.send(flight, now)
                self.resent += flight.times > 1
                return lane, flight
        return None

    def acknowledge(self, lane: Lane, position: int, expected: int | None, now: float) -> bool:
        """What the cloud says of a lane. False where it wants a number at which none of our batches begins."""
        window = self.lanes[lane]
        window.acknowledge(position, now)
        return True if expected is None else window.go_back(expected, now)

    def asked(self, lane: Lane, position: int) -> float | None:
        """When the last batch up to ``position`` was sent, if just once: what answers it was written after that."""
        held = [flight for flight in self.lanes[lane].flights if flight.last <= position]
        return held[-1].sent if held and held[-1].times == 1 else None

    def deadline(self) -> float | None:
        """When ``next`` should be asked again although nothing came."""
        return min((due for lane in self.lanes.values() if (due := lane.deadline()) is not None), default=None)

    def _may_send(self, lane: Lane, size: int, unpacked: int) -> bool:
        under_way = any(window.held for window in self.lanes.values())
        own = self.lanes[lane].held
        if not self.lanes[lane].may_fly(size):
            return False
        if not under_way or (lane is Lane.ALARM and own == 0):
            return True  # or a credit of nothing would stop us for ever
        left = self._left(lane)
        return unpacked <= left or (own == 0 and left >= 0)

    def _left(self, lane: Lane) -> int:
        """Of the lane's share of the credit, what is not under way."""
        return int(self.credit * _SHARE[lane]) - sum(window.held for window in self.lanes.values())
