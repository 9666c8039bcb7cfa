"""Numbers and lanes: how records leave the outbox. Every function runs inside one of its transactions.

A record is numbered when it is first put into a batch, and the batch keeps its range for ever, so that a second
sending is the same as the first. What has no number may still change lanes without leaving a gap.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from contract.messages import Batch
from contract.records import Lane
from edge.delivery import events, stamps
from edge.delivery.schema import QUEUES, meta, set_meta

T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[msgspec.Raw, ...])

_SOURCES: Final[dict[Lane, tuple[tuple[str, str], ...]]] = {
    Lane.ALARM: (("alarm", "id >"),),
    Lane.LIVE: (("live", "id >"),),
    Lane.BACKLOG: (("alarm", "id <="), ("live", "id <=")),
}
"""The tables a lane takes from, in order, and on which side of the table's ``aged`` mark."""


@dataclass(frozen=True)
class NumberedBatch:
    """Records ``first`` to ``last`` of a lane, as they will be sent however often that takes."""

    epoch: int
    lane: Lane
    first: int
    last: int
    records: tuple[msgspec.Raw, ...]
    base: int | None = None
    """How far the clock that stamped them was ahead of the machine's uptime, microseconds; None where nobody knows."""

    def message(self, sent: int, ahead: int | None = None) -> Batch:
        """The message that carries them; ``sent`` and ``ahead`` are those of the clock that stamped them."""
        return Batch(
            epoch=self.epoch,
            lane=self.lane,
            first=self.first,
            last=self.last,
            sent=sent,
            ahead=ahead,
            records=self.records,
        )


def epoch_of(connection: sqlite3.Connection) -> int:
    """The file's epoch."""
    (epoch,) = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    return int(epoch)


def last_numbers(connection: sqlite3.Connection) -> dict[Lane, int]:
    """The last number given in each lane; 0 where none was."""
    return {Lane(name): last for name, last in connection.execute("SELECT name, last FROM lane")}


def reserve_ids(connection: sqlite3.Connection, queue: str, count: int) -> int:
    """The first of ``count`` fresh ids of a queue, counted as waiting. Ids never go back, or a new record could fall
    behind the mark of the backlog."""
    (first,) = connection.execute(
        "UPDATE queue SET next = next + ?1, waiting = waiting + ?1 WHERE name = ?2 RETURNING next - ?1", (count, queue)
    ).fetchone()
    return int(first)


def number(connection: sqlite3.Connection, lane: Lane, max_records: int, max_bytes: int) -> NumberedBatch | None:
    """Take the next records of the lane out of their queues and into a batch with numbers."""
    records: list[bytes] = []
    size = 0
    base: int | None = None
    other = False
    for queue, side in _SOURCES[lane]:
        taken = []
        until = 0
        for row, body in connection.execute(
            f"SELECT id, body FROM {queue} WHERE {side} (SELECT aged FROM queue WHERE name = ?) ORDER BY id LIMIT ?",
            (queue, max_records - len(records)),
        ):
            if records and size + len(body) > max_bytes:
                break
            if row >= until:
                stamped, until = stamps.of(connection, queue, row)
                other = bool(records) and stamped != base
                base = base if other else stamped
            if other:
                break
            taken.append(row)
            records.append(body)
            size += len(body)
        if taken:
            _take_out(connection, queue, taken, aged=lane is Lane.BACKLOG)
        if taken and queue == "alarm":
            events.numbered(connection, taken, records, live=lane is Lane.ALARM)
        if size >= max_bytes or len(records) >= max_records or other:
            break
    if not records:
        return None
    raws = tuple(msgspec.Raw(body) for body in records)
    (last,) = connection.execute(
        "UPDATE lane SET last = last + ? WHERE name = ? RETURNING last", (len(raws), lane)
    ).fetchone()
    batch = NumberedBatch(epoch_of(connection), lane, last - len(raws) + 1, last, raws, base)
    connection.execute(
        "INSERT INTO batch (lane, first, last, body, base) VALUES (?, ?, ?, ?, ?)",
        (lane, batch.first, batch.last, _encoder.encode(raws), base),
    )
    return batch


def _take_out(connection: sqlite3.Connection, queue: str, rows: list[int], aged: bool) -> None:
    """Delete rows that are the queue's first on their side of the mark."""
    connection.execute(f"DELETE FROM {queue} WHERE id BETWEEN ? AND ?", (rows[0], rows[-1]))
    connection.execute(
        "UPDATE queue SET waiting = waiting - ?1, aged_waiting = aged_waiting - ?2 WHERE name = ?3",
        (len(rows), len(rows) if aged else 0, queue),
    )


def unacked(connection: sqlite3.Connection, lane: Lane, after: int, limit: int) -> list[NumberedBatch]:
    """Numbered batches of the lane that end beyond ``after``, in order."""
    epoch = epoch_of(connection)
    rows = connection.execute(
        "SELECT first, last, body, base FROM batch WHERE lane = ? AND last > ? ORDER BY first LIMIT ?",
        (lane, after, limit),
    )
    return [NumberedBatch(epoch, lane, first, last, _decoder.decode(body), base) for first, last, body, base in rows]


def ack(connection: sqlite3.Connection, epoch: int, lane: Lane, position: int) -> None:
    """Forget what the database holds; a batch it holds in part keeps the rest."""
    if epoch != epoch_of(connection):
        return
    moved = connection.execute(
        "UPDATE lane SET acked = ?1 WHERE name = ?2 AND acked < ?1 AND last >= ?1", (position, lane)
    ).rowcount
    if not moved:
        return
    connection.execute("DELETE FROM batch WHERE lane = ? AND last <= ?", (lane, position))
    for row, first, body in connection.execute(
        "SELECT id, first, body FROM batch WHERE lane = ? AND first <= ?", (lane, position)
    ).fetchall():
        rest = _decoder.decode(body)[position - first + 1 :]
        connection.execute(
            "UPDATE batch SET first = ?, body = ? WHERE id = ?", (position + 1, _encoder.encode(rest), row)
        )


def notice_boot(connection: sqlite3.Connection, boot: str, uptime: int) -> None:
    """After a restart of the machine, what was left is old, and its ``uptime`` means nothing any more."""
    if meta(connection, "boot") == boot:
        return
    set_meta(connection, "boot", boot)
    stamps.forget(connection)
    for queue in QUEUES:
        _move_mark(connection, queue, "SELECT max(id) FROM {queue}", (), uptime)


def age(connection: sqlite3.Connection, uptime: int, before: int) -> int:
    """Everything up to the newest record that was appended by ``before`` joins the backlog."""
    newest = (
        "SELECT id FROM {queue} WHERE id > (SELECT aged FROM queue WHERE name = '{queue}') AND uptime <= ? "
        "ORDER BY id DESC LIMIT 1"
    )
    return sum(_move_mark(connection, queue, newest, (before,), uptime) for queue in QUEUES)


def oldest_age(connection: sqlite3.Connection, lane: Lane, uptime: int) -> int | None:
    """Microseconds since the lane's oldest record without a number was appended; None in an empty lane."""
    row = connection.execute(
        f"SELECT uptime FROM {lane} WHERE id > (SELECT aged FROM queue WHERE name = ?) ORDER BY id LIMIT 1", (lane,)
    ).fetchone()
    return None if row is None else uptime - row[0]


def fresh_alarms(connection: sqlite3.Connection, after: int) -> list[tuple[int, bytes]]:
    """Alarms without a number beyond the row ``after``, in order."""
    return connection.execute(
        "SELECT id, body FROM alarm WHERE id > max(?, (SELECT aged FROM queue WHERE name = 'alarm')) ORDER BY id",
        (after,),
    ).fetchall()


def plain_mark(connection: sqlite3.Connection) -> int:
    """The last alarm that was published as plain JSON."""
    return int(meta(connection, "plain_mark") or 0)


def set_plain_mark(connection: sqlite3.Connection, row: int) -> None:
    """Keep it."""
    set_meta(connection, "plain_mark", row)


def waiting(connection: sqlite3.Connection) -> dict[Lane, int]:
    """Unacknowledged records by lane, from counts that are kept: nothing is scanned."""
    counts = dict.fromkeys(Lane, 0)
    for name, total, aged in connection.execute("SELECT name, waiting, aged_waiting FROM queue"):
        counts[Lane(name)] += total - aged
        counts[Lane.BACKLOG] += aged
    for name, total in connection.execute("SELECT lane, sum(last - first + 1) FROM batch GROUP BY lane"):
        counts[Lane(name)] += total
    return counts


def _move_mark(connection: sqlite3.Connection, queue: str, newest: str, values: tuple[int, ...], uptime: int) -> int:
    """Move a queue's ``aged`` mark up to the row that ``newest`` selects; how many records crossed it."""
    row = connection.execute(newest.format(queue=queue), values).fetchone()
    if row is None or row[0] is None:
        return 0
    (fresh,) = connection.execute(f"SELECT count(*) FROM {queue} WHERE id > ?", row).fetchone()
    (total, aged) = connection.execute("SELECT waiting, aged_waiting FROM queue WHERE name = ?", (queue,)).fetchone()
    connection.execute("UPDATE queue SET aged = ?, aged_waiting = ? WHERE name = ?", (row[0], total - fresh, queue))
    kept = _keep_open_events(connection, row[0], uptime) if queue == "alarm" else 0
    return int(total - fresh - aged - kept)


def _keep_open_events(connection: sqlite3.Connection, mark: int, uptime: int) -> int:
    """What an event has come to is news: it leaves the backlog again and goes out in ``alarm``."""
    rows = events.in_front(connection, mark)
    if not rows:
        return 0
    bases = [stamps.of(connection, "alarm", row)[0] for _, row, _ in rows]
    _take_out_each(connection, [row for _, row, _ in rows])
    first = reserve_ids(connection, "alarm", len(rows))
    for index, (event, _, body) in enumerate(rows):
        connection.execute("INSERT INTO alarm VALUES (?, ?, ?)", (first + index, uptime, body))
        events.moved(connection, event, first + index)
        if (base := bases[index]) is not None:
            stamps.note(connection, "alarm", first + index, base)
    return len(rows)


def _take_out_each(connection: sqlite3.Connection, rows: list[int]) -> None:
    connection.executemany("DELETE FROM alarm WHERE id = ?", [(row,) for row in rows])
    connection.execute(
        "UPDATE queue SET waiting = waiting - ?1, aged_waiting = aged_waiting - ?1 WHERE name = 'alarm'", (len(rows),)
    )
