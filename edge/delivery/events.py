"""The state of each event that is not over for the cloud: open, or closed without the cloud knowing it yet."""

import sqlite3
from collections.abc import Iterable, Sequence

from contract.records import Event, Phase
from contract.wire import WireError, decode_record


def remember(connection: sqlite3.Connection, event: Event, body: bytes, row: int) -> None:
    """Keep an event's latest revision, which lies in the row ``row`` of ``alarm``."""
    connection.execute(
        "INSERT INTO event (id, source, revision, closed, record, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
        "ON CONFLICT (id) DO UPDATE SET source = ?2, revision = ?3, closed = ?4, record = ?5, body = ?6 "
        "WHERE revision <= ?3",
        (event.id, event.source, event.revision, event.phase is Phase.CLOSE, row, body),
    )


def numbered(connection: sqlite3.Connection, rows: Sequence[int], bodies: Iterable[bytes], live: bool) -> None:
    """These rows of ``alarm`` have got their numbers. An event whose close is among them is over; one of which the
    cloud hears in the alarm lane (``live``) is known there from now on."""
    connection.execute("DELETE FROM event WHERE closed AND record BETWEEN ? AND ?", (rows[0], rows[-1]))
    if not live:
        return
    known = {event.id for event in map(_decode, bodies) if event is not None}
    connection.executemany("UPDATE event SET known = 1 WHERE id = ?", [(name,) for name in known])


def open_events(connection: sqlite3.Connection) -> list[Event]:
    """The latest state of each event that has not closed."""
    rows = connection.execute("SELECT body FROM event WHERE NOT closed").fetchall()
    return [event for (body,) in rows if (event := _decode(body)) is not None]


def in_front(connection: sqlite3.Connection, mark: int) -> list[tuple[str, int, bytes]]:
    """Events whose latest state must not wait in the backlog although it lies at or before the row ``mark``: name, row
    and record. Those are the open ones, and those that the cloud saw opening and must see closing."""
    return connection.execute(
        "SELECT event.id, alarm.id, alarm.body FROM event JOIN alarm ON alarm.id = event.record "
        "WHERE alarm.id <= ? AND (NOT closed OR known) ORDER BY alarm.id",
        (mark,),
    ).fetchall()


def moved(connection: sqlite3.Connection, name: str, row: int) -> None:
    """The event's latest state lies in another row now."""
    connection.execute("UPDATE event SET record = ? WHERE id = ?", (row, name))


def _decode(body: bytes) -> Event | None:
    try:
        record = decode_record(body)
    except WireError:
        return None
    return record if isinstance(record, Event) else None
