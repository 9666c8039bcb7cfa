"""The ingest worker: one thread with the database, one with the broker, two that keep the tables."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import psycopg
import structlog
from prometheus_client import CollectorRegistry, start_http_server

from cloud.ingest.arrival import Waiting
from cloud.ingest.journal import FenceError
from cloud.ingest.link import Link
from cloud.ingest.metrics import Metrics
from cloud.ingest.ruleset import Texts, shipped_texts
from cloud.ingest.session import Session
from cloud.ingest.upkeep import kept
from cloud.servers.server import check_port_free
from cloud.settings import CloudSettings
from cloud.store.connection import PoolerError, StoreError, connect, describe, prove_direct
from cloud.store.schema import UnknownVersionError, migrate
from cloud.store.upkeep import ensure_days

SESSION_OPTIONS: Final = "-c idle_session_timeout=4s -c idle_in_transaction_session_timeout=4s -c lock_timeout=10s"
"""A worker speaks twice a second; PostgreSQL ends the session, and with it the locks, of one that stands still."""
_HELD_WELL_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_log = structlog.get_logger("cloud.ingest")


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def run(
    settings: CloudSettings,
    stop: threading.Event,
    *,
    texts: Texts | None = None,
    clock: Callable[[], int] = wall_clock,
    registry: CollectorRegistry | None = None,
) -> None:
    """Take in what nodes send until ``stop`` is set. A database or broker that is away is waited for.

    Args:
        texts: the rules' packs by file name; the shipped ones when left out.
        clock: wall clock, microseconds since 1970 UTC.
        registry: where the metrics go; a new one, shown at ``settings.metrics_listen``, when left out.

    Raises:
        UnknownVersionError: the database is of another release.
        PoolerError: the database is reached through a transaction pooler.
        PortTakenError: something else listens where the metrics should be shown.
    """
    registry = registry or CollectorRegistry()
    metrics = Metrics(registry)
    rules = shipped_texts() if texts is None else texts
    waiting = Waiting()
    with _shown(settings.metrics_listen, registry), Link(settings, waiting, clock) as link, kept(settings, clock):
        metrics.partitions.set_function(lambda: link.heard)
        pause_s = _FIRST_PAUSE_S
        while not stop.is_set():
            began = time.monotonic()
            try:
                _hold_session(settings, stop, waiting, link, metrics, rules, clock)
            except (UnknownVersionError, PoolerError):
                raise
            except (psycopg.Error, StoreError, FenceError, TimeoutError) as error:
                _log.error("session lost", database=describe(settings.database), reason=str(error).strip())
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _HELD_WELL_S else min(pause_s * 2, _LONGEST_PAUSE_S)
            stop.wait(pause_s)


def _hold_session(
    settings: CloudSettings,
    stop: threading.Event,
    waiting: Waiting,
    link: Link,
    metrics: Metrics,
    rules: Texts,
    clock: Callable[[], int],
) -> None:
    """One session from its beginning to its end, which is an exception or ``stop``."""
    for name in migrate(settings.database):
        _log.info("migrated", migration=name)
    with connect(settings.database, "vedette-ingest", options=SESSION_OPTIONS) as connection:
        prove_direct(connection, settings.database)
        ensure_days(connection, clock())
        metrics.sessions.inc()
        session = Session(settings, connection, waiting, link, metrics, rules, clock, time.monotonic)
        _log.info("session begun", database=describe(settings.database))
        while not stop.is_set():
            session.turn()
        session.finish()


@contextlib.contextmanager
def _shown(listen: str, registry: CollectorRegistry) -> Iterator[None]:
    """Show the metrics at ``host:port``; nowhere when it is empty."""
    if not listen:
        yield
        return
    host, port = listen.rsplit(":", 1)
    check_port_free("metrics", host, int(port), "stop what listens there or choose another with VEDETTE_METRICS_LISTEN")
    server, thread = start_http_server(int(port), host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
