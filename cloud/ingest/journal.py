"""The journal: what happened, in order, as the rules read it.

Who writes must know the last number of the partition: the head is moved from the number he knows to the one he wrote,
and a row of that number must not be there yet. A second writer fails at both.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import Any, Final

import psycopg

from cloud.ingest.clocks import behind, believable
from cloud.ingest.notices import decode_notices
from cloud.ingest.records import sift
from cloud.store.codes import LANE_CODE, LANES
from cloud.store.retention import SEQ_BITS
from cloud.store.times import DAY, POSTGRES_EPOCH, micros
from contract.ids import Micros
from contract.messages import Batch
from contract.records import Lane, Record
from contract.wire import decode_up
from rules.entry import Entry, RecordEntry, TickEntry

BINARY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_TRAILER: Final = b"\xff\xff"
_COLUMNS: Final = "partition, seq, kind, site, node, lane, epoch, first, last, arrived, body"
_INT2: Final = Struct("!ih")
_INT8: Final = Struct("!iq")
_NULL: Final = b"\xff\xff\xff\xff"


class FenceError(RuntimeError):
    """Somebody else has written to the partition: we are not its worker any more."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the journal before and after it has its number; ``kind`` is ``batch``, ``tick`` or ``rules``."""

    partition: int
    kind: str
    arrived: Micros
    body: bytes = b""
    site: str | None = None
    node: str | None = None
    lane: Lane | None = None
    epoch: int | None = None
    first: int | None = None
    last: int | None = None


def number(heads: dict[int, int], lines: Sequence[Line]) -> list[int]:
    """The number of each line: one more than the last of its partition, or the first of the line's day."""
    last = dict(heads)
    numbers = []
    for line in lines:
        last[line.partition] = max(last[line.partition] + 1, (line.arrived // DAY) << SEQ_BITS)
        numbers.append(last[line.partition])
    return numbers


def append(
    connection: psycopg.Connection[Any], heads: dict[int, int], lines: Sequence[Line], numbers: Sequence[int]
) -> dict[int, int]:
    """Write lines in the caller's transaction; returns the new heads of their partitions.

    Raises:
        FenceError: ``heads`` is not what the database has.
        psycopg.errors.UniqueViolation: somebody has written one of these numbers.
    """
    moved = {line.partition: seq for line, seq in zip(lines, numbers, strict=True)}
    old = [heads[partition] for partition in moved]
    done = connection.execute(
        "UPDATE journal_head h SET seq = n.new FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[]) "
        "AS n(partition, old, new) WHERE h.partition = n.partition AND h.seq = n.old",
        [list(moved), old, list(moved.values())],
    )
    if done.rowcount != len(moved):
        raise FenceError(f"partitions {sorted(moved)}: another worker has written to one of them")
    with connection.cursor() as cursor, cursor.copy(f"COPY journal ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(BINARY_HEADER)
        for line, seq in zip(lines, numbers, strict=True):
            copy.write(_row(line, seq))
        copy.write(BINARY_TRAILER)
    for line in lines:
        if line.kind == "rules":
            connection.execute(
                "UPDATE journal_head SET rules = %s WHERE partition = %s", [fingerprint(line.body), line.partition]
            )
    return moved


def heads(connection: psycopg.Connection[Any], partitions: Sequence[int]) -> dict[int, tuple[int, str]]:
    """Of each partition the last number (0 where there is none yet) and the fingerprint of the rules in force.

    Each row is written, be it as it was: this returns when that is safe, and then so is all that was committed before.
    A worker that is ended while it waits for a standby leaves what it committed in view, and unsent; whoever follows it
    would acknowledge what a failover takes back.
    """
    connection.execute(
        "INSERT INTO journal_head AS head (partition, seq) SELECT p, 0 FROM unnest(%s::smallint[]) AS p "
        "ON CONFLICT (partition) DO UPDATE SET seq = head.seq",
        [list(partitions)],
    )
    rows = connection.execute(
        "SELECT partition, seq, rules FROM journal_head WHERE partition = ANY(%s::smallint[])", [list(partitions)]
    )
    return {partition: (seq, rules) for partition, seq, rules in rows}


def fingerprint(rules: bytes) -> str:
    """Names a rule set's texts."""
    return hashlib.sha256(rules).hexdigest()


def read(connection: psycopg.Connection[Any], partition: int, after: int, limit: int) -> list[tuple[int, Line]]:
    """Numbered lines of a partition beyond ``after``, in order, at most ``limit``."""
    cursor = connection.execute(
        f"SELECT {_COLUMNS} FROM journal WHERE partition = %s AND seq > %s ORDER BY seq LIMIT %s",
        [partition, after, limit],
        binary=True,
    )
    return [_line(row) for row in cursor]


def entries(line: Line, records: Sequence[Record] | None = None) -> Iterator[Entry]:
    """What a batch or a tick says to the rules; ``records`` are those of the batch that count, if at hand."""
    if line.kind == "tick":
        yield TickEntry(line.arrived, decode_notices(line.body))
        return
    if records is None:
        message = decode_up(line.body)
        assert isinstance(message, Batch)
        records, _ = sift(message, behind(message, line.arrived))
    assert line.site is not None
    assert line.node is not None
    assert line.lane is not None
    for record in records:
        time = believable(record.time, line.arrived)
        yield RecordEntry(time, line.arrived, line.site, line.node, line.lane, record)


def _row(line: Line, seq: int) -> bytes:
    """PostgreSQL's binary COPY format: number of fields, then each with its length (COPY, "Binary Format")."""
    return b"".join(
        (
            b"\x00\x0b",
            _INT2.pack(2, line.partition),
            _INT8.pack(8, seq),
            _field(line.kind.encode()),
            _NULL if line.site is None else _field(line.site.encode()),
            _NULL if line.node is None else _field(line.node.encode()),
            _NULL if line.lane is None else _INT2.pack(2, LANE_CODE[line.lane]),
            *(_NULL if value is None else _INT8.pack(8, value) for value in (line.epoch, line.first, line.last)),
            _INT8.pack(8, line.arrived - POSTGRES_EPOCH),
            _field(line.body),
        )
    )


def _field(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw


def _line(row: tuple[Any, ...]) -> tuple[int, Line]:
    partition, seq, kind, site, node, lane, epoch, first, last, arrived, body = row
    assert isinstance(arrived, datetime)
    lane = None if lane is None else LANES[lane]
    return seq, Line(partition, kind, micros(arrived), bytes(body), site, node, lane, epoch, first, last)
