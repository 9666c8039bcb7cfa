"""Evidence that has arrived whole: known to the database, and told to whoever looks at its warning."""

from typing import Any

import psycopg

from cloud.store import feed


def mark_stored(connection: psycopg.Connection[Any], sha256: str, size: int) -> bool:
    """Note that a file of ``size`` bytes is kept, in transactions of its own; False where that was known.

    The file may come before the record that speaks of it, or at the same moment: the note is committed first, so that
    whichever of the two is last sees the other. Wake the readers of the feed afterwards.
    """
    with connection.transaction():
        fresh = connection.execute(
            "INSERT INTO evidence_file (sha256, bytes) VALUES (%s, %s) ON CONFLICT DO NOTHING", [sha256, size]
        ).rowcount
    with connection.transaction():
        shown = connection.execute(
            "UPDATE evidence SET stored = true WHERE sha256 = %s AND NOT stored RETURNING site, node, event", [sha256]
        ).fetchall()
        feed.write(connection, [("event", "/".join(place), {}) for place in sorted(set(shown))])
    return bool(fresh or shown)


def media_type(connection: psycopg.Connection[Any], sha256: str) -> str:
    """What a file is, by the records that speak of it; bytes of no known kind where there are none."""
    row = connection.execute("SELECT media_type FROM evidence WHERE sha256 = %s LIMIT 1", [sha256]).fetchone()
    return row[0] if row else "application/octet-stream"
