"""By which clock a record was stamped. Every function runs inside one of the outbox's transactions.

The box's clock may be set while records wait. What they were stamped with is told by ``base``: how far the clock was
ahead of the machine's uptime then, in microseconds. It is written down for the first row of each queue, and again for
each row from which on it was another.
"""

import sqlite3
from typing import Final

STEP_US: Final = 1_000_000
"""A smaller change is the clock's drift and no step."""
_ENDLESS: Final = 2**63 - 1


def note(connection: sqlite3.Connection, queue: str, first: int, base: int) -> None:
    """Rows of ``queue`` from ``first`` on are stamped by a clock that is ``base`` ahead of the uptime."""
    row = connection.execute("SELECT base FROM clock WHERE queue = ? ORDER BY first DESC LIMIT 1", (queue,)).fetchone()
    if row is not None and abs(base - row[0]) < STEP_US:
        return
    connection.execute("INSERT OR REPLACE INTO clock VALUES (?, ?, ?)", (queue, first, base))
    connection.execute(
        f"DELETE FROM clock WHERE queue = ?1 AND first < (SELECT max(first) FROM clock WHERE queue = ?1 "
        f"AND first <= (SELECT coalesce(min(id), ?2) FROM {queue}))",
        (queue, first),
    )


def of(connection: sqlite3.Connection, queue: str, row: int) -> tuple[int | None, int]:
    """The base of the clock that stamped a row (None: nobody knows), and the first row with perhaps another."""
    found = connection.execute(
        "SELECT base FROM clock WHERE queue = ? AND first <= ? ORDER BY first DESC LIMIT 1", (queue, row)
    ).fetchone()
    (until,) = connection.execute(
        "SELECT coalesce(min(first), ?) FROM clock WHERE queue = ? AND first > ?", (_ENDLESS, queue, row)
    ).fetchone()
    return (None if found is None else int(found[0])), int(until)


def forget(connection: sqlite3.Connection) -> None:
    """The machine has started anew: its uptime began at nought, and no base says anything any more."""
    connection.execute("DELETE FROM clock")
    connection.execute("UPDATE batch SET base = NULL")
