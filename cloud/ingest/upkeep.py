"""A worker's part in the upkeep of the tables, in two threads: whichever worker gets the lock does it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
import structlog

from cloud.settings import CloudSettings
from cloud.store import rollups
from cloud.store.connection import StoreError, connect
from cloud.store.retention import Retention
from cloud.store.times import micros
from cloud.store.upkeep import maintain

UPKEEP_S: Final = 3600.0
ROLLUPS_S: Final = 10.0
_log = structlog.get_logger("cloud.ingest")


@contextlib.contextmanager
def kept(settings: CloudSettings, clock: Callable[[], int]) -> Iterator[None]:
    """For as long as the ``with`` block lasts: days are made ahead and end in their time, once an hour; minutes are
    closed and late readings added to rollups, every ten seconds."""
    retention = _retention(settings)

    def upkeep(connection: psycopg.Connection[Any]) -> None:
        maintain(connection, agreed(connection, clock), retention)

    def roll_up(connection: psycopg.Connection[Any]) -> None:
        rollups.keep(connection, agreed(connection, clock))

    with _every(UPKEEP_S, "upkeep", settings, upkeep), _every(ROLLUPS_S, "rollups", settings, roll_up):
        yield


def agreed(connection: psycopg.Connection[Any], clock: Callable[[], int]) -> int:
    """The earlier of our time and the database's: nothing must end, and no minute close, because one clock is ahead."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return min(clock(), micros(row[0]))


def _retention(settings: CloudSettings) -> Retention:
    return Retention(
        readings_days=settings.readings_days,
        minutes_days=settings.minutes_days,
        hours_days=settings.hours_days,
        plates_days=settings.plates_days,
        evidence_days=settings.evidence_days,
        events_days=settings.events_days,
        journal_days=settings.journal_days,
        feed_hours=settings.feed_hours,
        quarantine_days=settings.quarantine_days,
    )


@contextlib.contextmanager
def _every(
    pause_s: float, name: str, settings: CloudSettings, work: Callable[[psycopg.Connection[Any]], object]
) -> Iterator[None]:
    """Do some work with the tables in a thread of its own, again and again, for as long as the ``with`` block lasts."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(pause_s):
            try:
                with connect(settings.database, f"vedette-{name}") as connection:
                    work(connection)
            except (psycopg.Error, StoreError) as error:
                _log.warning(f"{name} put off", reason=str(error).strip())

    keeper = threading.Thread(target=keep, name=f"ingest-{name}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
