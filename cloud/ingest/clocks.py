"""Records of a node whose clock is wrong: what time they get instead, the same at arrival and in every replay.

A node estimates how far its clock is off and says so in each batch (``Batch.ahead``). That the batch would then have
come before it was sent is all that can refute it from here, for a way may take long. A node that says nothing (an
older release) is measured by ``Batch.sent`` against the arrival; the way looks like a clock that is behind then, so
that only more than ``LONGEST_WAY`` counts.
"""

from typing import Final

import msgspec

from contract.ids import UNTOLD, Micros
from contract.messages import Batch
from contract.records import Health, Record

AHEAD: Final = 5_000_000
"""Microseconds that a node's clock may be ahead of ours; a later time is replaced by the time of arrival."""
LONGEST_WAY: Final = 60_000_000
"""Microseconds that a batch may have been on its way: a node puts it on the wire with the time of that moment, and
gives up a connection on which nothing comes back for half a minute."""
_LATEST: Final = 4_102_444_800_000_000 - 1
_TIMES: Final = ("time", "started", "detected", "until")


def believable(time: Micros, arrived: Micros) -> Micros:
    """The record's time, or that of its arrival where it lies in the future."""
    return time if time <= arrived + AHEAD else arrived


def behind(batch: Batch, arrived: Micros) -> int:
    """How far the clock that stamped a batch is behind ours (below 0: ahead), in microseconds; 0 where it is right."""
    if batch.sent < UNTOLD:
        return 0
    seen = arrived - batch.sent
    if batch.ahead is not None and seen + batch.ahead >= -AHEAD:
        return -batch.ahead
    return 0 if -AHEAD <= seen <= LONGEST_WAY else seen


def shifted(record: Record, by: int) -> Record:
    """The record with ``by`` microseconds added to each of its times: as a clock that is right would have stamped
    it."""
    moved: dict[str, object] = {
        name: min(max(told + by, 0), _LATEST) for name in _TIMES if (told := getattr(record, name, None)) is not None
    }
    if isinstance(record, Health) and record.clock_ahead_s is None:
        moved["clock_ahead_s"] = -by / 1e6
    return msgspec.structs.replace(record, **moved)
