"""Epochs: the lives of an outbox's numbers. Every function runs inside one of its transactions.

The cloud knows each outbox by its epoch, and what it holds of each by a number. Where a number could mean two things
(the file was restored, copied, taken to another machine) the epoch ends, and what is not acknowledged is numbered anew.
"""

import sqlite3
from enum import Enum

from contract.records import Lane
from edge.delivery.lanes import ack, epoch_of
from edge.delivery.schema import meta, set_meta


class Verdict(Enum):
    """What the cloud's positions mean for this file."""

    GOOD = "good"
    BEYOND = "beyond"
    """The cloud holds numbers that this file never gave: it was restored from a copy. A new epoch has begun."""
    BEHIND = "behind"
    """The cloud has lost what it had acknowledged."""
    MOVED = "moved"
    """The file comes from another run of the machine, or from another machine: somebody may have copied it."""


def welcome(
    connection: sqlite3.Connection, epoch: int, positions: dict[Lane, int], fresh: int, sure: bool, life: str
) -> Verdict:
    """Take the cloud's positions, or begin the epoch ``fresh`` where they cannot belong to this file: at once where
    they lie beyond it, and behind it only when ``sure``, for an old answer looks the same.

    A file that another ``life`` has left gets a new epoch as well, before anything is numbered: another copy of it may
    give the same numbers to other records, and an answer to those would delete ours. What it holds with a number is the
    same in every copy, so what the cloud holds of it may go; what it does not yet hold may be on its way, and is asked
    for once more to be ``sure``.
    """
    if epoch != epoch_of(connection):
        return Verdict.GOOD
    known = {
        Lane(name): (last, acked) for name, last, acked in connection.execute("SELECT name, last, acked FROM lane")
    }
    beyond = any(positions.get(lane, 0) > last for lane, (last, _) in known.items())
    behind = any(positions.get(lane, 0) < acked for lane, (_, acked) in known.items())
    for lane, (last, _) in known.items():
        ack(connection, epoch, lane, min(positions.get(lane, 0), last))
    moved = meta(connection, "life") != life
    settled = connection.execute("SELECT 1 FROM batch LIMIT 1").fetchone() is None
    if beyond or (behind and sure) or (moved and (settled or sure)):
        begin_epoch(connection, fresh)
        set_meta(connection, "life", life)
    if beyond or behind:
        return Verdict.BEYOND if beyond else Verdict.BEHIND
    return Verdict.MOVED if moved else Verdict.GOOD


def begin_epoch(connection: sqlite3.Connection, epoch: int) -> None:
    """Number everything that is not acknowledged from 1 on, under a new name."""
    connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
    for lane in Lane:
        last = 0
        rows = connection.execute(
            "SELECT id, last - first + 1 FROM batch WHERE lane = ? ORDER BY first", (lane,)
        ).fetchall()
        for row, count in rows:  # upwards: a new number is never above the old one of a later batch
            connection.execute("UPDATE batch SET first = ?, last = ? WHERE id = ?", (last + 1, last + count, row))
            last += count
        connection.execute("UPDATE lane SET last = ?, acked = 0 WHERE name = ?", (last, lane))


def claim(connection: sqlite3.Connection, owner: str, fresh: int, life: str) -> bool:
    """Write down whose file this is; a new epoch where it was another's."""
    before = meta(connection, "owner")
    if before == owner:
        return False
    set_meta(connection, "owner", owner)
    if before:
        begin_epoch(connection, fresh)
        set_meta(connection, "life", life)
    return bool(before)
