"""Messages on the ``up``, ``ack``, ``cmd``, ``reply`` and ``state`` topics.

A conversation: the node says ``Hello``; the cloud answers ``Welcome`` with its position in each lane; the node sends
``Batch`` after ``Batch``, each starting at the position plus one; every ``Ack`` says what the database holds. A batch
that starts elsewhere is answered by an ``Ack`` with ``expected``, and the node goes on from there.
"""

from typing import Annotated

import msgspec

from contract.ids import Id, Micros
from contract.records import Lane

SCHEMA = 1
"""The version of this contract; a receiver accepts its own and every lower one."""

Epoch = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Names the life of one outbox file: random, 63 bits (a signed 64-bit column holds it)."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


Offset = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
"""Microseconds between two clocks."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """First word on every connection: who speaks and the last number given in each lane (0: none yet)."""

    schema: int = SCHEMA
    epoch: Epoch
    last: dict[Lane, Count]
    time: Micros
    software: str = ""


class Batch(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="batch"):
    """Records ``first`` to ``last`` of one lane, without a gap: ``last - first + 1 == len(records)``."""

    schema: int = SCHEMA
    epoch: Epoch
    lane: Lane
    first: Count
    last: Count
    sent: Micros
    """When it was put on the wire, by the clock that stamped the records: where that was set anew since, as it would
    go on."""
    ahead: Offset | None = None
    """How far that clock is ahead of the cloud's by the node's own estimate, in microseconds, below 0 where it is
    behind; 0 where it is right enough, None where the node cannot tell."""
    records: tuple[msgspec.Raw, ...]


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="welcome"):
    """Answers ``Hello``: the last number the database holds in each lane of this epoch (0: none)."""

    schema: int = SCHEMA
    epoch: Epoch
    positions: dict[Lane, Count]
    time: Micros
    credit: int = 1_048_576
    """Bytes, unpacked, that the node may have outstanding: what waits in the cloud's memory."""
    hello: Micros = 0
    """The ``time`` of the ``Hello`` that this answers; 0 from a cloud that does not say."""


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ack"):
    """The database holds everything up to ``position``. ``expected`` is set where a batch did not start at
    ``position + 1``: send again from there."""

    schema: int = SCHEMA
    epoch: Epoch
    lane: Lane
    position: Count
    time: Micros
    credit: int = 1_048_576
    expected: Count | None = None


class CheckUpdates(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="check-updates"):
    """Look for a new assignment now instead of at the next round."""


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="ping"):
    """Answer, to show that commands arrive."""


Verb = CheckUpdates | Ping


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What the cloud asks a node to do; past ``expires`` it is not carried out any more."""

    schema: int = SCHEMA
    id: str
    time: Micros
    expires: Micros
    verb: Verb


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """How a command went; ``error`` says why it did not."""

    schema: int = SCHEMA
    id: str
    time: Micros
    ok: bool
    error: str = ""
    result: str = ""


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """Retained on ``state``; the broker publishes it with ``online=False`` as the node's last will."""

    schema: int = SCHEMA
    node: Id
    site: Id
    online: bool
    time: Micros = 0
    software: str = ""


UpMessage = Hello | Batch
DownMessage = Welcome | Ack
