"""Commands to nodes, over MQTT."""

from collections.abc import Callable
from typing import Final

from contract.ids import Micros
from contract.messages import CheckUpdates, Command
from contract.topics import Address, Channel
from contract.wire import encode

Publish = Callable[[str, bytes], None]
"""Sends a payload to a topic with QoS 1; does not wait, and does not raise where the broker is away."""

LIFE: Final = 60 * 1_000_000
"""Microseconds: a node looks by itself this often, so a later command is worth nothing."""


class Commander:
    """Sends commands.

    Args:
        publish: to the broker.
        clock: microseconds since 1970.
        new_id: a fresh name for each command, which the reply repeats.
    """

    def __init__(self, publish: Publish, clock: Callable[[], Micros], new_id: Callable[[], str]) -> None:
        self._publish = publish
        self._clock = clock
        self._new_id = new_id

    def check_updates(self, address: Address) -> Command:
        """Ask a node to look for a new assignment now; where it does not hear it, it looks within a minute."""
        now = self._clock()
        command = Command(id=self._new_id(), time=now, expires=now + LIFE, verb=CheckUpdates())
        self._publish(address.topic(Channel.CMD), encode(command))
        return command
