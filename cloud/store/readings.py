"""Where the readings lie: in a hypertable where the server has TimescaleDB, in a native partition a day elsewhere.

Both are one table, ``reading``, to whoever writes or reads; only who keeps it asks which it is.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg

from cloud.store import partitions
from cloud.store.times import DAY, moment
from contract.ids import Micros

AHEAD_DAYS: Final = 14
BEHIND_DAYS: Final = 8
"""Older readings than this go to ``reading_early``: only a node that was away for longer sends them."""


class Readings(Protocol):
    """How the table ``reading`` is kept. ``connection`` is in autocommit mode."""

    def make_days(self, connection: psycopg.Connection[Any], now: Micros) -> None:
        """See to it that a reading of any believable time finds its place."""

    def end_before(self, connection: psycopg.Connection[Any], day: int) -> None:
        """Let go of the days before a day since 1970."""

    def pack_before(self, connection: psycopg.Connection[Any], day: int) -> int:
        """Take less room for the days before ``day``, as far as the server can; how many were packed."""


@dataclass(frozen=True)
class DayTables:
    """A native partition a day.

    Days are not packed: PostgreSQL packs no rows, and to lay them in the order of their series takes the day away from
    everybody, those who bring late readings among them, for as long as it takes (docs/store.md has the figures).
    """

    def make_days(self, connection: psycopg.Connection[Any], now: Micros) -> None:
        """Tables from a week ago to two weeks ahead."""
        today = now // DAY
        for day in range(today - BEHIND_DAYS, today + AHEAD_DAYS):
            lower, upper = moment(day * DAY).isoformat(), moment((day + 1) * DAY).isoformat()
            partitions.make(connection, "reading", partitions.day_of(day), f"'{lower}'", f"'{upper}'")

    def end_before(self, connection: psycopg.Connection[Any], day: int) -> None:
        """Drop whole tables; what came too late for one goes row by row."""
        partitions.drop_before(connection, "reading", partitions.day_of(day))
        partitions.delete_before(connection, "reading_early", "time", day * DAY)

    def pack_before(self, connection: psycopg.Connection[Any], day: int) -> int:
        """Nothing."""
        return 0


@dataclass(frozen=True)
class Hypertable:
    """TimescaleDB. It makes its chunks, one a day, by itself. What comes late for a packed chunk is taken in unpacked;
    asked again, ``compress_chunk`` packs that too, and does nothing where there is nothing to pack (TimescaleDB
    documentation, "compress_chunk" and "recompress_chunk", from 2.14 on)."""

    def make_days(self, connection: psycopg.Connection[Any], now: Micros) -> None:
        """Nothing."""

    def end_before(self, connection: psycopg.Connection[Any], day: int) -> None:
        """Drop the chunks that end before it."""
        connection.execute("SELECT drop_chunks('reading', older_than => %s)", [moment(day * DAY)])

    def pack_before(self, connection: psycopg.Connection[Any], day: int) -> int:
        """Compress whole chunks, by series; none where the edition of TimescaleDB cannot (its Apache edition)."""
        allowed = connection.execute(
            "SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = 'reading'"
        ).fetchone()
        if allowed is None or not allowed[0]:
            return 0
        chunks = connection.execute(
            "SELECT format('%%I.%%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks "
            "WHERE hypertable_name = 'reading' AND range_end <= %s ORDER BY range_end",
            [moment(day * DAY)],
        ).fetchall()
        for (chunk,) in chunks:
            connection.execute("SELECT compress_chunk(%s::regclass, if_not_compressed => true)", [chunk])
        return len(chunks)


def kept_as(connection: psycopg.Connection[Any]) -> Readings:
    """How this database keeps them."""
    row = connection.execute("SELECT relkind = 'r' FROM pg_class WHERE oid = 'reading'::regclass").fetchone()
    return Hypertable() if row is not None and row[0] else DayTables()
