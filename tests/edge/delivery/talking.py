"""A box's outbox, conversation and connection in the test's own process, with whatever clock a test gives it."""

import random
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from contract.topics import Address
from edge.config import Uplink as UplinkConfig
from edge.delivery.conversation import Conversation
from edge.delivery.outbox import Outbox
from edge.delivery.uplink import Uplink
from tests.conftest import RunningBroker


def turn(uplink: Uplink) -> None:
    """Once, as the delivery process does."""
    sock = uplink.fileno()
    reads, writes = [], []
    if sock is not None:
        reads, writes = [sock], [sock] if uplink.wants_write() else []
    readable, writable, _ = select.select(reads, writes, [], 0.01)
    uplink.turn(time.monotonic(), bool(readable), bool(writable))


class Talker:
    """Turns an uplink as the delivery process does."""

    def __init__(
        self, outbox: Outbox, address: Address, clock: Callable[[], int], broker: str, who: tuple[str, str]
    ) -> None:
        self.outbox = outbox
        config = UplinkConfig(broker=broker, cloud="http://127.0.0.1", username=who[0], password=SecretStr(who[1]))
        self.conversation = Conversation(outbox, clock)
        self.uplink = Uplink(config, address, self.conversation, lambda payload: None, clock, chance=random.Random(1))

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"the box waited in vain: {self.uplink.reason}"
            self.turn()

    def turn(self) -> None:
        turn(self.uplink)

    def deliver(self) -> None:
        """Until nothing waits any more."""
        self.until(lambda: sum(self.outbox.waiting().values()) == 0)


@contextmanager
def talking(
    outbox: Outbox, address: Address, clock: Callable[[], int], broker: RunningBroker, who: tuple[str, str]
) -> Iterator[Talker]:
    talker = Talker(outbox, address, clock, broker.url, who)
    try:
        yield talker
    finally:
        talker.uplink.close()
