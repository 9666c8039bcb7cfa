"""The nodes of a benchmark: as many as wished, spoken for by one process, each with the window of a real box.

What to send next, what to send again and how much may be under way is decided by ``edge.delivery.window``, as on the
box; only the outbox is left out, so that what is measured is the cloud.
"""

import queue
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bench.frame import BenchError
from cloud.settings import CloudSettings
from contract.messages import Ack, Batch, Hello, Welcome
from contract.records import Lane, Record
from contract.topics import Address, Channel, every, parse
from contract.wire import decode_down, encode, encode_record, unpacked_bytes
from edge.delivery.window import ORDER, Flight, Window

MOST_RECORDS: Final = 1000
"""Of one batch, as on the box."""
A_RECORD: Final = 80
"""Bytes of a reading, about."""
_GREETED_WITHIN_S: Final = 30.0
_SWEEP_S: Final = 0.1
_NAP_S: Final = 0.002

Source = Callable[[int], Sequence[Record]]
"""Makes the next records of a node, at most as many as asked for; fewer, or none, where there are no more for now."""


@dataclass
class Speaker:
    """One node: what it has said, and what the cloud has of it."""

    address: Address
    sources: dict[Lane, Source]
    epoch: int
    most: int = MOST_RECORDS
    window: Window = field(default_factory=Window)
    last: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))
    acked: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))
    payloads: dict[tuple[Lane, int], bytes] = field(default_factory=dict)
    greeted: bool = False

    @property
    def up(self) -> str:
        """Its topic."""
        return self.address.topic(Channel.UP)


class Fleet:
    """Nodes on one connection.

    Args:
        settings: where the broker is, and its user that may speak for everybody.
        speakers: the nodes.
    """

    def __init__(self, settings: CloudSettings, speakers: Sequence[Speaker]) -> None:
        self.speakers = {(one.address.site, one.address.node): one for one in speakers}
        self.committed = 0
        """Records acknowledged so far, in ``live`` and ``backlog``."""
        self.bytes = 0
        """Bytes of batches put on the wire so far, those sent again included."""
        self._heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._swept = 0.0
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        client.username_pw_set(settings.broker_username, settings.broker_password.get_secret_value())
        client.on_message = lambda _client, _data, message: self._heard.put((message.topic, bytes(message.payload)))
        client.connect(settings.broker_host, settings.broker_port)
        client.subscribe(every(Channel.ACK))
        client.loop_start()
        self._client = client

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _GREETED_WITHIN_S
        while waiting := [one for one in self.speakers.values() if not one.greeted]:
            if time.monotonic() > deadline:
                raise BenchError(f"{len(waiting)} of {len(self.speakers)} nodes got no welcome")
            for one in waiting:
                self._client.publish(one.up, encode(Hello(epoch=one.epoch, last=dict(one.last), time=wall())))
            until = time.monotonic() + 2.0
            while time.monotonic() < until and not all(one.greeted for one in waiting):
                self._listen(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def run(self, seconds: float, each: Callable[[float], object] | None = None) -> None:
        """Speak for ``seconds``; ``each`` is called with the monotonic time at every turn."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            if each is not None:
                each(now)
            self._turn(now)

    def drain(self, within_s: float) -> bool:
        """Speak until all that was numbered is acknowledged and no source has more; whether that came in time."""
        until = time.monotonic() + within_s
        while (now := time.monotonic()) < until:
            self._turn(now)
            if not any(one.payloads for one in self.speakers.values()):
                return True
        return False

    def say(self, address: Address) -> None:
        """A node has something new to say: say it now, as a box does whose delivery is woken."""
        self._speak(self.speakers[address.site, address.node], time.monotonic())

    def sent(self) -> int:
        """Records numbered so far, over all lanes."""
        return sum(sum(one.last.values()) for one in self.speakers.values())

    def resent(self) -> int:
        """Batches that were sent more than once."""
        return sum(one.window.resent for one in self.speakers.values())

    def _turn(self, now: float) -> None:
        touched = self._listen(_NAP_S)
        if now - self._swept >= _SWEEP_S:
            self._swept = now
            touched = set(self.speakers)
        for name in touched:
            self._speak(self.speakers[name], now)

    def _speak(self, one: Speaker, now: float) -> None:
        self._send(one, now)
        while any(self._number(one, lane) for lane in ORDER):
            self._send(one, now)

    def _send(self, one: Speaker, now: float) -> None:
        while found := one.window.next(now):
            lane, flight = found
            payload = one.payloads[lane, flight.first]
            self.bytes += len(payload)
            self._client.publish(one.up, payload)

    def _number(self, one: Speaker, lane: Lane) -> bool:
        room = one.window.room(lane) if lane in one.sources else 0
        records = one.sources[lane](min(one.most, max(room // A_RECORD, 1))) if room else ()
        if not records:
            return False
        first, last = one.last[lane] + 1, one.last[lane] + len(records)
        raws = tuple(msgspec.Raw(encode_record(record)) for record in records)
        payload = encode(Batch(epoch=one.epoch, lane=lane, first=first, last=last, sent=wall(), records=raws))
        one.last[lane] = last
        one.payloads[lane, first] = payload
        one.window.add(lane, [Flight(first, last, len(payload), unpacked_bytes(payload))])
        return True

    def _listen(self, wait_s: float) -> set[tuple[str, str]]:
        """Take in the answers that have come; the nodes that got one."""
        touched = set()
        try:
            topic, payload = self._heard.get(timeout=wait_s)
            while True:
                address, _ = parse(topic)
                name = address.site, address.node
                if name in self.speakers:  # not an answer that comes late to the fleet before
                    touched.add(name)
                    self._hear(self.speakers[name], payload)
                topic, payload = self._heard.get_nowait()
        except queue.Empty:
            return touched

    def _hear(self, one: Speaker, payload: bytes) -> None:
        message, now = decode_down(payload), time.monotonic()
        if message.epoch != one.epoch:
            return
        if isinstance(message, Welcome):
            if not one.greeted:
                one.greeted = True
                one.window.restart(message.credit)
        elif isinstance(message, Ack):
            one.window.offer(message.credit)
            fresh = message.position - one.acked[message.lane]
            if fresh > 0:
                one.acked[message.lane] = message.position
                if message.lane is not Lane.ALARM:
                    self.committed += fresh
            if not one.window.acknowledge(message.lane, message.position, message.expected, now):
                raise BenchError(f"the cloud expects {message.expected} of {one.address}: nothing begins there")
            held = {flight.first for flight in one.window.lanes[message.lane].flights}
            for key in [key for key in one.payloads if key[0] is message.lane and key[1] not in held]:
                del one.payloads[key]


def wall() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def epoch() -> int:
    """For an outbox of its own."""
    return random.getrandbits(63)
