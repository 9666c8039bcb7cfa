"""What every request has at hand: settings, connections, evidence, the live feed. One an application, in its state."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import psycopg
from fastapi import Depends, Request
from psycopg_pool import ConnectionPool

from cloud.api.live import Live
from cloud.api.meters import Meters
from cloud.evidence.store import EvidenceStore
from cloud.identity.nodes import Verifier
from cloud.settings import CloudSettings
from cloud.store.connection import complete

Clock = Callable[[], int]
"""The time now, microseconds since 1970 UTC."""
MOST_EXPORTS: Final = 3


@dataclass(frozen=True)
class Context:
    """The parts of one API process."""

    settings: CloudSettings
    pool: ConnectionPool[psycopg.Connection[Any]]
    evidence: EvidenceStore
    verifier: Verifier
    live: Live
    meters: Meters
    clock: Clock
    exports: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(MOST_EXPORTS))
    """Held by each export under way: it takes a connection of its own for as long as somebody reads it."""


def make_pool(settings: CloudSettings) -> ConnectionPool[psycopg.Connection[Any]]:
    """A few connections for requests, not opened yet; one that broke is replaced before anybody gets it."""
    options = "-c statement_timeout=15000 -c idle_in_transaction_session_timeout=15000"
    conninfo = complete(settings.database, "vedette-api", options)
    return ConnectionPool(
        conninfo, min_size=1, max_size=8, open=False, timeout=5.0, check=ConnectionPool.check_connection, name="api"
    )


def get_context(request: Request) -> Context:
    """The context of the application that a request came to."""
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(get_context)]


def get_connection(context: Here) -> Iterator[psycopg.Connection[Any]]:
    """A connection for the length of a request: committed when it went well, rolled back when not."""
    with context.pool.connection() as connection:
        yield connection


Database = Annotated[psycopg.Connection[Any], Depends(get_connection, scope="function")]
"""A connection whose transaction ends before the answer is sent."""
