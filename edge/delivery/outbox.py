"""The outbox: what the node has to say, safe on its disk until the cloud's database has it.

Every process of the node appends; only delivery numbers and deletes. See ``lanes`` for the way out.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from contract.records import Event, Evidence, Lane, Record, lane_of
from contract.wire import MAX_WIRE, encode_record
from edge.delivery import epochs, events, lanes, stamps, thinning
from edge.delivery.epochs import Verdict
from edge.delivery.file import OutboxFile
from edge.delivery.lanes import NumberedBatch
from edge.delivery.room import Room
from edge.delivery.schema import OutboxFullError, boot_id, full, uptime_micros

MAX_RECORD_BYTES: Final = MAX_WIRE - 1024
"""A larger record could never be sent: a message has ``MAX_WIRE`` bytes with its envelope."""
_ROW_BYTES: Final = 16
"""What a row takes beside its record, about."""

Row = tuple[Record, bytes]


class RecordError(ValueError):
    """A record that no message can carry."""


class Outbox:
    """The outbox's file, as one process holds it. Threads of that process may share it.

    Args:
        path: the SQLite file, made when missing.
        max_bytes: above this, readings without a number are thinned to summaries. Alarms may exceed it.
        clock: wall clock, microseconds since 1970 UTC.
        uptime: microseconds since the machine started, for the age of a record.
        boot: name of this run of the machine; what an earlier run left belongs to the backlog.
        entropy: 63 random bits, for a new epoch.
        disk_pages: pretend that the disk ends after so many pages of 4 KiB.

    Raises:
        OutboxError: the folder is missing or not ours, or the file is a later release's.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        clock: Callable[[], int],
        *,
        uptime: Callable[[], int] = uptime_micros,
        boot: str | None = None,
        entropy: Callable[[], int] = lambda: secrets.randbits(63),
        disk_pages: int | None = None,
    ) -> None:
        self._clock = clock
        self._uptime = uptime
        self._entropy = entropy
        here = boot_id() if boot is None else boot
        self._file = OutboxFile(path, clock, entropy, here, disk_pages)
        self._room = Room(path, max_bytes)
        try:
            self._with_room(lambda connection: lanes.notice_boot(connection, here, uptime()))
        except BaseException:
            self._file.close()
            raise

    def append(self, records: Sequence[Record]) -> None:
        """Keep the records, all or none; they are on the disk when this returns (one fsync for all of them).

        Waits while others write. Where there is no room, readings that have no number yet are thinned to summaries
        first; alarms find room as long as anything can be thinned.

        Raises:
            RecordError: a record is larger than a message can carry; nothing was kept.
            OutboxFullError: there is no room, and nothing left to thin.
            OutboxError: the file cannot be written.
        """
        rows = [(record, encode_record(record)) for record in records]
        for record, body in rows:
            if len(body) > MAX_RECORD_BYTES:
                kind = type(record).__name__.lower()
                raise RecordError(f"{kind} of {len(body)} bytes; a message carries at most {MAX_RECORD_BYTES}")
        if rows:
            self._with_room(lambda connection: self._store(connection, rows))

    def open_events(self, sources: Iterable[str] | None = None) -> list[Event]:
        """The latest state of each event that has not closed, oldest first; of all sources where none are named."""
        wanted = None if sources is None else set(sources)
        found = [e for e in self._file.run(events.open_events) if wanted is None or e.source in wanted]
        return sorted(found, key=lambda event: (event.started, event.id))

    def claim(self, owner: str) -> bool:
        """Delivery's first word: read the whole file, and begin a new epoch where it belonged to another ``owner``
        (``site/node``): such a file was copied. True where a new epoch began for that."""
        self._file.check()
        return self._file.run(lambda connection: epochs.claim(connection, owner, self._entropy(), self._file.life))

    @property
    def epoch(self) -> int:
        """The name of this file's life."""
        return self._file.run(lanes.epoch_of)

    @property
    def base(self) -> int:
        """How far the clock is ahead of the machine's uptime, microseconds: another number once it was set."""
        return self._clock() - self._uptime()

    def last(self) -> dict[Lane, int]:
        """The last number given in each lane."""
        return self._file.run(lanes.last_numbers)

    def number(self, lane: Lane, max_records: int, max_bytes: int = MAX_RECORD_BYTES) -> NumberedBatch | None:
        """Give the next records of a lane their numbers; on the disk when this returns. None where none wait.

        At least one record is taken, more as long as they are ``max_records`` and ``max_bytes`` at most.
        """
        return self._with_room(lambda c: lanes.number(c, lane, max_records, min(max_bytes, MAX_RECORD_BYTES)))

    def unacked(self, lane: Lane, after: int = 0, limit: int = -1) -> list[NumberedBatch]:
        """Batches of the lane that are numbered and not acknowledged, from beyond the number ``after`` on."""
        return self._file.run(lambda connection: lanes.unacked(connection, lane, after, limit))

    def ack(self, epoch: int, lane: Lane, position: int) -> None:
        """The database holds everything up to ``position``: forget it. Of another epoch or behind us: nothing."""
        self._file.run(lambda connection: lanes.ack(connection, epoch, lane, position))

    def welcome(self, epoch: int, positions: dict[Lane, int], sure: bool = True) -> Verdict:
        """What the cloud holds. Where it is not ``GOOD``, ``hello`` must be said again: a new epoch has begun, or (the
        epoch is the same) the same answer is wanted once more, to be ``sure``."""
        return self._with_room(lambda c: epochs.welcome(c, epoch, positions, self._entropy(), sure, self._file.life))

    def age_into_backlog(self, older_than_us: int) -> int:
        """What has lain without a number longer than that belongs to the backlog from now on; how many records moved.

        The latest state of each open event stays in ``alarm``, and so does the close of one whose opening the cloud
        has seen there: rules never hear the backlog, and would wait for it for ever.
        """
        return self._with_room(lambda c: lanes.age(c, self._uptime(), self._uptime() - older_than_us))

    def oldest_age(self, lane: Lane) -> int | None:
        """Microseconds that the oldest record without a number has waited in ``alarm`` or ``live``."""
        return self._file.run(lambda connection: lanes.oldest_age(connection, lane, self._uptime()))

    def waiting(self) -> dict[Lane, int]:
        """Records in each lane that the cloud has not acknowledged, numbered or not."""
        return self._file.run(lanes.waiting)

    def used_bytes(self) -> int:
        """What the records take on the disk, without the free pages of the file."""
        return self._file.run(thinning.used_bytes)

    def counters(self) -> dict[str, int]:
        """Totals since the file was made: ``thinned`` readings, ``uploads_refused``, ``uploads_vanished``, …"""
        return self._file.run(lambda connection: dict(connection.execute("SELECT name, value FROM counter").fetchall()))

    def fresh_alarms(self, after: int) -> list[tuple[int, bytes]]:
        """Rows of the alarm lane that have no number, and their records, from beyond the row ``after`` on."""
        return self._file.run(lambda connection: lanes.fresh_alarms(connection, after))

    def plain_mark(self) -> int:
        """The last row of ``alarm`` that was published as plain JSON."""
        return self._file.run(lambda connection: lanes.plain_mark(connection))

    def set_plain_mark(self, row: int) -> None:
        """Keep it."""
        self._with_room(lambda connection: lanes.set_plain_mark(connection, row))

    def transact(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Run ``work`` in a transaction of its own (the queue of uploads lives in the same file)."""
        self._with_room(work)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _with_room(self, work: Callable[[sqlite3.Connection], lanes.T]) -> lanes.T:
        while True:
            try:
                result = self._file.run(work)
            except sqlite3.OperationalError as error:
                if not full(error):
                    raise
                if self._room.give_reserve():
                    continue
            except thinning.OverLimitError:
                pass
            else:
                self._room.keep_reserve()
                return result
            self._make_room()

    def _store(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        bulk = sum(len(body) + _ROW_BYTES for record, body in rows if lane_of(record) is Lane.LIVE)
        if bulk and bulk > self._room.for_bulk(connection):
            raise thinning.OverLimitError
        uptime = self._uptime()
        for queue in (Lane.ALARM, Lane.LIVE):
            mine = [row for row in rows if lane_of(row[0]) is queue]
            if not mine:
                continue
            first = lanes.reserve_ids(connection, queue, len(mine))
            stamps.note(connection, queue, first, self.base)
            connection.executemany(
                f"INSERT INTO {queue} VALUES (?, ?, ?)",
                [(first + index, uptime, body) for index, (_, body) in enumerate(mine)],
            )
            for index, (record, body) in enumerate(mine):
                _remember(connection, record, body, first + index)

    def _make_room(self) -> None:
        try:
            while self._file.run(thinning.thin) == 0:
                pass
        except thinning.NothingToThinError:
            raise OutboxFullError(
                f"outbox {self._file.path} is full (limit {self._room.max_bytes} bytes, or the disk) and nothing is "
                "left to thin; make room on the disk or raise storage.outbox_bytes"
            ) from None
        except sqlite3.OperationalError as error:
            raise OutboxFullError(
                f"outbox {self._file.path}: the disk is full, not even thinning has room; make room on it"
            ) from error


def _remember(connection: sqlite3.Connection, record: Record, body: bytes, row: int) -> None:
    """Keep the tables that follow from the records: the events' states and the files to upload."""
    if isinstance(record, Event):
        events.remember(connection, record, body, row)
    elif isinstance(record, Evidence):
        connection.execute(
            "INSERT OR IGNORE INTO upload (sha256, event, bytes, time) VALUES (?, ?, ?, ?)",
            (record.sha256, record.event, record.bytes, record.time),
        )
