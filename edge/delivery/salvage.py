"""What can be read of a damaged outbox goes into a new one."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from contract.wire import WireError, decode_record

_SUFFIXES: Final = ("", "-wal", "-shm")
_COLUMNS: Final = {
    "event": "id, source, revision, closed, known, record, body",
    "upload": "sha256, event, bytes, time, refused",
}


def set_aside(path: Path, now: int) -> Path:
    """Rename the file, and what belongs to it, to ``<name>.damaged-<now>``; its new path."""
    aside = path.with_name(f"{path.name}.damaged-{now}")
    for suffix in _SUFFIXES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def salvage(damaged: Path, target: sqlite3.Connection) -> int:
    """Copy every record that can still be read and decoded into the fresh ``target``; how many those were.

    They begin a new epoch there, so what the old one had numbered gets new numbers: better twice than never. Batches
    come first and whole, then what had no number, each in its old order.
    """
    saved = 0
    try:
        source = sqlite3.connect(f"{damaged.as_uri()}?mode=rw", uri=True, isolation_level=None)
    except sqlite3.DatabaseError:
        return 0
    try:
        target.execute("BEGIN IMMEDIATE")
        saved += _batches(source, target)
        for queue in ("alarm", "live"):
            saved += _queue(source, target, queue)
        for table, columns in _COLUMNS.items():
            marks = ", ".join("?" * len(columns.split(", ")))
            for row in _rows(source, table, columns, columns.split(", ", maxsplit=1)[0]):
                target.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.execute("ROLLBACK")
        raise
    finally:
        source.close()
    return saved


def _batches(source: sqlite3.Connection, target: sqlite3.Connection) -> int:
    last: dict[str, int] = {}
    for _, lane, body in _rows(source, "batch", "id, lane, body", "id"):
        try:
            count = len(msgspec.msgpack.decode(body, type=tuple[msgspec.Raw, ...]))
        except (msgspec.DecodeError, TypeError):
            continue
        first = last.get(lane, 0) + 1
        last[lane] = first + count - 1
        target.execute(
            "INSERT INTO batch (lane, first, last, body) VALUES (?, ?, ?, ?)", (lane, first, last[lane], body)
        )
        target.execute("UPDATE lane SET last = ? WHERE name = ?", (last[lane], lane))
    return sum(last.values())


def _queue(source: sqlite3.Connection, target: sqlite3.Connection, queue: str) -> int:
    """Rows keep their ids, for ``event.record`` and the mark of the backlog."""
    aged = next((row[1] for row in _rows(source, "queue", "name, aged", "name") if row[0] == queue), 0)
    saved = aged_saved = top = 0
    for row, uptime, body in _rows(source, queue, "id, uptime, body", "id"):
        try:
            decode_record(body)
        except (WireError, TypeError):
            continue
        target.execute(f"INSERT OR IGNORE INTO {queue} VALUES (?, ?, ?)", (row, uptime, body))
        saved += 1
        aged_saved += row <= aged
        top = max(top, row)
    target.execute(
        "UPDATE queue SET next = ?, aged = ?, waiting = ?, aged_waiting = ? WHERE name = ?",
        (max(top, aged) + 1, aged, saved, aged_saved, queue),
    )
    return saved


def _rows(source: sqlite3.Connection, table: str, columns: str, key: str) -> Iterator[tuple[Any, ...]]:
    """The readable rows of a table: from the front up to the damage, then from the back down to it."""
    seen = set()
    for order in ("ASC", "DESC"):
        found = []
        try:
            for row in source.execute(f"SELECT {columns} FROM {table} ORDER BY {key} {order}"):
                if row[0] not in seen:
                    seen.add(row[0])
                    found.append(row)
        except sqlite3.DatabaseError:
            yield from found if order == "ASC" else reversed(found)
            continue
        yield from found if order == "ASC" else reversed(found)
        return
