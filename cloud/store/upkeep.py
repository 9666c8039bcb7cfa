"""Tables for the days to come, and an end to those that are over. Safe to run at any time, from any process."""

import time as clocks
from datetime import date
from typing import Any, Final

import psycopg

from cloud.store import partitions, readings
from cloud.store.retention import SEQ_BITS, Retention, end
from cloud.store.times import DAY, moment
from contract.ids import Micros

_LOCK: Final = 0x5645_4445_5454_4502
_LOCK_TIMEOUT: Final = "300ms"
"""Whoever writes readings waits behind us for as long as we wait for somebody who reads them."""


def maintain(connection: psycopg.Connection[Any], now: Micros, retention: Retention | None = None) -> bool:
    """Make the days ahead, and drop what is over where ``retention`` is given.

    Returns False, with nothing done, when another process is at it. ``connection`` must be in autocommit mode: each
    table is a transaction of its own, and waits at most 0.3 s for whoever uses its parent.

    Raises:
        psycopg.errors.LockNotAvailable: a table was in use for too long; everything else was done. Call again later.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    if row is None or not row[0]:
        return False
    try:
        connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        _make_days(connection, now)
        if retention is not None:
            end(connection, now, retention)
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
    for day in range(today - 1, today + readings.AHEAD_DAYS):
        begin = partitions.day_of(day)
        partitions.make(connection, "journal", begin, str(day << SEQ_BITS), str((day + 1) << SEQ_BITS))
    readings.kept_as(connection).make_days(connection, now)
    month = moment(now).date().replace(day=1)
    for begin in (_month_after(month, -1), month, _month_after(month, 1), _month_after(month, 2)):
        bounds = f"'{begin} 00:00:00+00'", f"'{_month_after(begin, 1)} 00:00:00+00'"
        partitions.make(connection, "rollup_minute", begin, *bounds)


def _month_after(month: date, months: int) -> date:
    """The first day of the month that many months later."""
    number = month.year * 12 + month.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)
