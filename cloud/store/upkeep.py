"""Tables for the days to come, and an end to those that are over. Safe to run at any time, from any process."""

import re
import time as clocks
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from cloud.store.times import DAY, EPOCH, moment
from contract.ids import Micros

AHEAD_DAYS: Final = 14
BEHIND_DAYS: Final = 8
"""Older readings than this go to ``reading_early``: only a node that was away for longer sends them."""
SEQ_BITS: Final = 40
"""The journal's ``seq`` is the day since 1970, shifted by so many bits, plus a running number."""
_LOCK: Final = 0x5645_4445_5454_4502
_LOCK_TIMEOUT: Final = "2s"


@dataclass(frozen=True)
class Retention:
    """How long what is kept."""

    readings_days: int = 365
    journal_days: int = 8
    feed_hours: int = 24
    quarantine_days: int = 90


def maintain(connection: psycopg.Connection[Any], now: Micros, retention: Retention | None = None) -> bool:
    """Make the days ahead, and drop what is over where ``retention`` is given.

    Returns False, with nothing done, when another process is at it. ``connection`` must be in autocommit mode: each
    table is a transaction of its own, and waits at most two seconds for whoever uses its parent.

    Raises:
        psycopg.errors.LockNotAvailable: a table was in use for too long; call again later.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    if row is None or not row[0]:
        return False
    try:
        connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        _make_days(connection, now)
        if retention is not None:
            _end_days(connection, now, retention)
            _end_rows(connection, now, retention)
        return True
    finally:
        if not connection.closed:
            connection.execute("RESET lock_timeout")
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def ensure_days(connection: psycopg.Connection[Any], now: Micros, timeout_s: float = 30.0) -> None:
    """Return when the tables for ``now`` are there, made by us or by another process that is at it.

    Raises:
        TimeoutError: the other process does not come to an end.
    """
    deadline = clocks.monotonic() + timeout_s
    while not maintain(connection, now):
        if clocks.monotonic() > deadline:
            raise TimeoutError(f"upkeep of the tables by another process has not ended within {timeout_s:.0f} s")
        connection.execute("SELECT pg_sleep(0.05)")


def _make_days(connection: psycopg.Connection[Any], now: Micros) -> None:
    today = now // DAY
    for day in range(today - 1, today + AHEAD_DAYS):
        _make(connection, "journal", _name("journal", day), str(day << SEQ_BITS), str((day + 1) << SEQ_BITS))
    if not _is_hypertable(connection):
        for day in range(today - BEHIND_DAYS, today + AHEAD_DAYS):
            lower, upper = moment(day * DAY).isoformat(), moment((day + 1) * DAY).isoformat()
            _make(connection, "reading", _name("reading", day), f"'{lower}'", f"'{upper}'")


def _make(connection: psycopg.Connection[Any], parent: str, name: str, lower: str, upper: str) -> None:
    found = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
    if found is None or found[0] is None:
        connection.execute(f"CREATE TABLE {name} PARTITION OF {parent} FOR VALUES FROM ({lower}) TO ({upper})")


def _end_days(connection: psycopg.Connection[Any], now: Micros, retention: Retention) -> None:
    if _is_hypertable(connection):
        oldest = moment(now - retention.readings_days * DAY)
        connection.execute("SELECT drop_chunks('reading', older_than => %s)", [oldest])
    else:
        _drop_before(connection, "reading", now // DAY - retention.readings_days)
        connection.execute("DELETE FROM reading_early WHERE time < %s", [moment(now - retention.readings_days * DAY)])
    _drop_before(
        connection, "journal", min(now // DAY - max(retention.journal_days, 1), _needed_journal_day(connection))
    )


def _needed_journal_day(connection: psycopg.Connection[Any]) -> int:
    """The day of the oldest entry that some partition's rules would have to read again after a takeover."""
    row = connection.execute(
        "SELECT min(coalesce(s.snapshot_seq, 0)) FROM journal_head h LEFT JOIN rule_state s USING (partition) "
        "WHERE h.seq > coalesce(s.snapshot_seq, 0)"
    ).fetchone()
    return (row[0] >> SEQ_BITS) if row is not None and row[0] is not None else 1 << 30


def _drop_before(connection: psycopg.Connection[Any], parent: str, day: int) -> None:
    for name, its_day in _days_of(connection, parent):
        if its_day < day:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def _end_rows(connection: psycopg.Connection[Any], now: Micros, retention: Retention) -> None:
    connection.execute("DELETE FROM feed WHERE time < %s", [moment(now - retention.feed_hours * DAY // 24)])
    connection.execute("DELETE FROM quarantine WHERE arrived < %s", [moment(now - retention.quarantine_days * DAY)])
    connection.execute("DELETE FROM summary WHERE until < %s", [moment(now - retention.readings_days * DAY)])


def _days_of(connection: psycopg.Connection[Any], parent: str) -> Iterator[tuple[str, int]]:
    rows = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [parent]
    ).fetchall()
    for (name,) in rows:
        found = re.fullmatch(rf"{parent}_(\d{{4}})(\d\d)(\d\d)", name)
        if found:
            year, month, day = map(int, found.groups())
            yield name, (date(year, month, day) - EPOCH.date()).days


def _name(parent: str, day: int) -> str:
    return f"{parent}_{EPOCH.date() + timedelta(days=day):%Y%m%d}"


def _is_hypertable(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT relkind = 'r' FROM pg_class WHERE oid = 'reading'::regclass").fetchone()
    return row is not None and bool(row[0])
