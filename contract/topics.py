"""MQTT topics: ``vedette/v1/{partition}/{site}/{node}/{channel}`` and, for others' eyes, ``vedette/v1/events/...``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contract.ids import PARTITIONS, check_id

ROOT: Final = "vedette/v1"


class Channel(StrEnum):
    """The last level of a node's topics. ``up`` and ``reply`` are the node's to write, ``ack`` and ``cmd`` the cloud's;
    ``state`` is the node's and retained."""

    UP = "up"
    ACK = "ack"
    CMD = "cmd"
    REPLY = "reply"
    STATE = "state"


@dataclass(frozen=True)
class Address:
    """Where a node is spoken to."""

    partition: int
    site: str
    node: str

    def __post_init__(self) -> None:
        if not 0 <= self.partition < PARTITIONS:
            raise ValueError(f"partition {self.partition} is not in 0 to {PARTITIONS - 1}")
        check_id(self.site, "site")
        check_id(self.node, "node")

    def topic(self, channel: Channel) -> str:
        """The topic of one channel of this node."""
        return f"{ROOT}/{self.partition}/{self.site}/{self.node}/{channel}"

    def events(self, kind: str) -> str:
        """Where this node publishes events of ``kind`` as plain JSON."""
        return f"{ROOT}/events/{self.site}/{self.node}/{check_id(kind, 'kind')}"


def every(channel: Channel, partition: int | None = None) -> str:
    """The subscription to one channel of all nodes, of one partition or of all."""
    return f"{ROOT}/{'+' if partition is None else partition}/+/+/{channel}"


def parse(topic: str) -> tuple[Address, Channel]:
    """Whose topic this is.

    Raises:
        ValueError: it is none of a node's five.
    """
    levels = topic.split("/")
    if len(levels) != 6 or "/".join(levels[:2]) != ROOT or not levels[2].isascii() or not levels[2].isdigit():
        raise ValueError(f"topic {topic!r} is not {ROOT}/{{partition}}/{{site}}/{{node}}/{{channel}}")
    return Address(int(levels[2]), levels[3], levels[4]), Channel(levels[5])
