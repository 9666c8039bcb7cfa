"""When there is no room: readings without a number give way to summaries that say what they replace.

Thinning goes over the queue from its oldest record, first to one summary a series and minute; when that is not enough
to one an hour, and then one a day. Of health reports and heartbeats the last of each span stays. Events and evidence
are never touched.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from contract.records import Health, Heartbeat, Quality, Reading, Record, Summary
from contract.wire import WireError, decode_record, encode_record

SPANS_US: Final = (60_000_000, 3_600_000_000, 86_400_000_000)
"""A minute, an hour, a day."""
CHUNK: Final = 2_000
_WORST: Final = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD)


class OverLimitError(Exception):
    """The records take more than they may."""


class NothingToThinError(Exception):
    """Everything is as thin as it gets."""


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return int(pages * _page_size(connection)) - free_bytes(connection)


def free_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file's pages that are free: they can be used again without the file growing."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(free * _page_size(connection))


def _page_size(connection: sqlite3.Connection) -> int:
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(size)


def thin(connection: sqlite3.Connection) -> int:
    """Thin the next ``CHUNK`` records; how many rows that freed.

    Raises:
        NothingToThinError: the last span has been applied to the whole queue.
    """
    level, after = _cursor(connection)
    rows = connection.execute("SELECT id, body FROM live WHERE id > ? ORDER BY id LIMIT ?", (after, CHUNK)).fetchall()
    if not rows:
        level += 1
        if level == len(SPANS_US):
            _set_cursor(connection, 0, 0)
            raise NothingToThinError
        _set_cursor(connection, level, 0)
        return 0
    freed = _thin_rows(connection, rows, SPANS_US[level])
    _set_cursor(connection, level, rows[-1][0])
    return freed


def series_of(record: Reading | Summary, span: int) -> tuple[str, ...]:
    """What one summary may stand for: readings of one series and quality within a span (microseconds)."""
    return record.source, record.quantity, record.unit, record.quality, str(record.time // span)


def merge(records: Sequence[Reading | Summary]) -> Summary:
    """One summary of readings and summaries of one series; ``last`` is that of the latest, ``quality`` the worst."""
    parts = [_as_summary(record) for record in records]
    count = sum(part.count for part in parts)
    latest = max(parts, key=lambda part: part.until)
    return Summary(
        time=min(part.time for part in parts),
        until=latest.until,
        source=latest.source,
        quantity=latest.quantity,
        unit=latest.unit,
        count=count,
        min=min(part.min for part in parts),
        max=max(part.max for part in parts),
        mean=sum(part.mean * (part.count / count) for part in parts),
        last=latest.last,
        quality=max((part.quality for part in parts), key=_WORST.index),
    )


def _as_summary(record: Reading | Summary) -> Summary:
    if isinstance(record, Summary):
        return record
    value = record.value
    return Summary(
        time=record.time,
        until=record.time,
        source=record.source,
        quantity=record.quantity,
        unit=record.unit,
        count=1,
        min=value,
        max=value,
        mean=value,
        last=value,
        quality=record.quality,
    )


def _thin_rows(connection: sqlite3.Connection, rows: list[tuple[int, bytes]], span: int) -> int:
    groups: dict[tuple[str, ...], list[tuple[int, Record]]] = {}
    key: tuple[str, ...]
    for row, body in rows:
        try:
            record = decode_record(body)
        except WireError:
            continue  # the cloud's quarantine is the place for it
        if isinstance(record, Reading | Summary):
            key = series_of(record, span)
        elif isinstance(record, Health | Heartbeat):
            key = (type(record).__name__, str(record.time // span))
        else:
            continue
        groups.setdefault(key, []).append((row, record))
    gone: list[int] = []
    summaries: list[tuple[bytes, int]] = []
    thinned = 0
    for members in groups.values():
        if len(members) < 2:
            continue
        numbers = [record for _, record in members if isinstance(record, Reading | Summary)]
        if numbers:
            thinned += sum(isinstance(record, Reading) for record in numbers)
            summaries.append((encode_record(merge(numbers)), members[-1][0]))
        gone += [row for row, _ in members[:-1]]
    _forget(connection, gone, thinned)  # first: a summary is larger than a reading
    connection.executemany("UPDATE live SET body = ? WHERE id = ?", summaries)
    return len(gone)


def _forget(connection: sqlite3.Connection, gone: list[int], thinned: int) -> None:
    if not gone:
        return
    (aged,) = connection.execute("SELECT aged FROM queue WHERE name = 'live'").fetchone()
    connection.executemany("DELETE FROM live WHERE id = ?", [(row,) for row in gone])
    connection.execute(
        "UPDATE queue SET waiting = waiting - ?, aged_waiting = aged_waiting - ? WHERE name = 'live'",
        (len(gone), sum(row <= aged for row in gone)),
    )
    count(connection, "thinned", thinned)


def count(connection: sqlite3.Connection, name: str, more: int = 1) -> None:
    """Add to one of the file's counters."""
    connection.execute(
        "INSERT INTO counter VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2", (name, more)
    )


def _cursor(connection: sqlite3.Connection) -> tuple[int, int]:
    """Which span is being applied, and up to which row it has been."""
    found = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('thin_span', 'thin_after')").fetchall())
    return int(found.get("thin_span", 0)), int(found.get("thin_after", 0))


def _set_cursor(connection: sqlite3.Connection, level: int, after: int) -> None:
    connection.executemany(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        [("thin_span", level), ("thin_after", after)],
    )
