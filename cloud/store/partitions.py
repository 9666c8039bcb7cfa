"""Native partitions by time: a table for each day or month, made ahead and dropped whole.

A partition is named after its parent and the day on which it begins: ``reading_20251124``. What lies in no partition
lies in the default one, ``<parent>_early``, whose rows are deleted one slice at a time.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import psycopg
from psycopg import sql

from cloud.store.times import DAY, moment
from contract.ids import Micros

SLICE: Final = 5_000
"""Rows that one statement deletes at most: others wait for none of them longer than for a moment."""
_MOST_SLICES: Final = 2_000


def day_of(day: int) -> date:
    """The date of a day since 1970."""
    return moment(day * DAY).date()


def make(connection: psycopg.Connection[Any], parent: str, begin: date, lower: str, upper: str) -> None:
    """Make a partition that is not there yet; ``lower`` and ``upper`` are its bounds as SQL."""
    name = f"{parent}_{begin:%Y%m%d}"
    found = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
    if found is None or found[0] is None:
        connection.execute(f"CREATE TABLE {name} PARTITION OF {parent} FOR VALUES FROM ({lower}) TO ({upper})")


def drop_before(connection: psycopg.Connection[Any], parent: str, begin: date) -> None:
    """Drop the partitions that begin before a date, which is itself the beginning of one."""
    for name, its in list(_of(connection, parent)):
        if its < begin:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def delete_before(connection: psycopg.Connection[Any], table: str, column: str, time: Micros, more: str = "") -> int:
    """Delete the rows of ``table`` whose ``column`` lies before ``time``, slice by slice, each a transaction of its own
    where ``connection`` is in autocommit mode; returns how many. ``more`` is a condition besides.

    A round ends after ten million rows; what is left goes with the next.
    """
    statement = (
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table} WHERE {column} < %s{f' AND {more}' if more else ''} LIMIT {SLICE}))"
    )
    deleted = 0
    for _ in range(_MOST_SLICES):
        gone = connection.execute(statement.encode(), [moment(time)]).rowcount
        deleted += gone
        if gone < SLICE:
            break
    return deleted


def _of(connection: psycopg.Connection[Any], parent: str) -> Iterator[tuple[str, date]]:
    rows = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [parent]
    ).fetchall()
    for (name,) in rows:
        found = re.fullmatch(rf"{parent}_(\d{{4}})(\d\d)(\d\d)", name)
        if found:
            yield name, date(*map(int, found.groups()))
