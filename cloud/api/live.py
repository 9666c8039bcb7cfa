"""The live feed: one reader of the table ``feed`` in the process, one encoding, many subscribers.

Feed rows carry their transaction's number. A serial id would lie: a row with a lower one may become visible later.
Every transaction below ``pg_snapshot_xmin`` has ended, so the cursor stays below it; rows above it that are visible
already are told at once and remembered, so that neither a slow nor a stopped transaction elsewhere holds an alarm back.

Rows name what changed; what it is now is read when it is told. So a change may be told twice, and is never told stale.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import structlog

from cloud.api import reads
from cloud.api.meters import Meters
from cloud.api.shapes import Changes
from cloud.api.waker import Waker
from cloud.settings import CloudSettings
from cloud.store.connection import complete

POLL_S: Final = 1.0
"""Without a word from the broker the feed is read this often."""
BULK_S: Final = 0.25
"""Readings and nodes are told at most this often; warnings at once."""
PING_S: Final = 5.0
"""A subscriber hears something at least this often, as long as the database answers."""
QUEUE: Final = 128
"""Messages that may wait for a slow subscriber; then it starts again with a snapshot."""
FINISHED: Final = 100
"""So many warnings that are off the list still stand in a snapshot."""
READINGS: Final = 20_000
"""At most about so many readings stand in a snapshot."""
_RETRY_S: Final = 0.5

log = structlog.get_logger(__name__)


class Subscriber:
    """One receiver of the feed. ``cursor`` is where it left off, if it was here before."""

    def __init__(self, cursor: int | None = None) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE)
        self.cursor = cursor
        self.fresh = True
        """Waits for a snapshot."""

    async def next(self) -> str | None:
        """The next message as JSON; None when the feed is lost and the connection is to be closed."""
        return await self.queue.get()

    def give(self, message: str | None) -> bool:
        """Queue a message; False where the subscriber was too slow and has to start again with a snapshot."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.drop()
            self.fresh = True
            return False
        return True

    def drop(self) -> None:
        """Forget what is queued."""
        while not self.queue.empty():
            self.queue.get_nowait()


@dataclass
class _Named:
    """What feed rows named since the last message."""

    warnings: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    series: set[int] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)

    def add(self, topic: str, key: str, body: dict[str, Any]) -> None:
        if topic == "warning":
            self.warnings.add(key)
        elif topic == "event":
            self.events.add(key.split("/", 2)[-1])
        elif topic == "reading":
            self.series.update(body["series"])
        elif topic == "node":
            self.nodes.add(key)


class Live:
    """Reads the feed and tells its subscribers. Belongs to one event loop, except ``announce``."""

    def __init__(self, settings: CloudSettings, meters: Meters) -> None:
        self._conninfo = complete(settings.database, "vedette-live", "-c statement_timeout=10000")
        self._meters = meters
        self._waker = Waker(settings)
        self._subscribers: set[Subscriber] = set()
        self._cursor = 0
        self._told: set[int] = set()
        self._held = _Named()
        self._next_bulk = 0.0
        self._next_ping = 0.0
        self.connected = False
        """Whether the database answers."""

    @property
    def broker_connected(self) -> bool:
        """Whether the broker answers."""
        return self._waker.connected

    @property
    def subscribers(self) -> int:
        """How many receivers there are."""
        return len(self._subscribers)

    async def run(self) -> None:
        """Serve until cancelled; through every loss of the database."""
        with self._waker.listening():
            while True:
                try:
                    await self._serve()
                except (psycopg.Error, OSError) as error:
                    log.warning("feed lost", error=str(error).strip(), subscribers=len(self._subscribers))
                except Exception:  # whatever it is: the next try may do, and nobody must miss an alarm by it
                    log.exception("feed failed", subscribers=len(self._subscribers))
                finally:
                    self._lose()
                await asyncio.sleep(_RETRY_S)

    def subscribe(self, cursor: int | None = None) -> Subscriber:
        """A new receiver; its first message is a snapshot."""
        subscriber = Subscriber(cursor)
        self._subscribers.add(subscriber)
        self._meters.live_clients.set(len(self._subscribers))
        self._waker.wake()
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The receiver is gone."""
        self._subscribers.discard(subscriber)
        self._meters.live_clients.set(len(self._subscribers))

    def announce(self) -> None:
        """Tell every reader, in this and other processes, that something was committed. From any thread."""
        self._waker.announce()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send something over the broker, such as a command to a node. From any thread."""
        self._waker.publish(topic, payload)

    async def _serve(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
            self._cursor = (await _read(connection, None))[0]
            self._told.clear()
            self._held = _Named()
            self.connected = True
            while True:
                await self._round(connection)
                pause = POLL_S if not (self._held.series or self._held.nodes) else self._next_bulk - time.monotonic()
                await self._waker.wait(max(pause, 0.0))

    async def _round(self, connection: psycopg.AsyncConnection[Any]) -> None:
        started = time.monotonic()
        cursor, rows = await _read(connection, self._cursor)
        for row in rows:
            if row.id not in self._told:
                self._held.add(row.topic, row.key, row.body)
        self._told = {row.id for row in rows if row.transaction > cursor}
        self._cursor = cursor
        if not self._subscribers:
            self._held = _Named()
            return
        changes = await self._changes(connection, bulk=started >= self._next_bulk)
        if changes.warnings or changes.readings or changes.nodes:
            self._tell(changes, [one for one in self._subscribers if not one.fresh])
            self._meters.live_seconds.observe(time.monotonic() - started)
        elif started >= self._next_ping:
            self._ping()
        newcomers = [one for one in self._subscribers if one.fresh]
        if newcomers:
            await self._welcome(connection, newcomers)

    async def _changes(self, connection: psycopg.AsyncConnection[Any], bulk: bool) -> Changes:
        held = self._held
        if held.events:
            held.warnings.update(await reads.warnings_of_events(sorted(held.events)).run_async(connection))
            held.events.clear()
        warnings, readings, nodes = [], [], []
        if held.warnings:
            query = reads.warnings(ids=sorted(held.warnings), limit=len(held.warnings))
            warnings = await query.run_async(connection)
            held.warnings.clear()
        if bulk and (held.series or held.nodes):
            readings = await reads.latest_readings(sorted(held.series)).run_async(connection) if held.series else []
            nodes = await reads.nodes(sorted(held.nodes)).run_async(connection) if held.nodes else []
            held.series.clear()
            held.nodes.clear()
            self._next_bulk = time.monotonic() + BULK_S
        return Changes(type="changes", cursor=self._cursor, warnings=warnings, readings=readings, nodes=nodes)

    async def _welcome(self, connection: psycopg.AsyncConnection[Any], newcomers: list[Subscriber]) -> None:
        """One snapshot for all who wait; a returning one also gets every warning that changed while it was away."""
        warnings = await reads.warnings_at_hand(FINISHED).run_async(connection)
        since = min((one.cursor for one in newcomers if one.cursor is not None), default=None)
        if since is not None:
            known = {warning.id for warning in warnings}
            missed = sorted(set(await reads.warnings_changed_since(since).run_async(connection)) - known)
            warnings += await reads.warnings(ids=missed, limit=len(missed)).run_async(connection)
        snapshot = Changes(
            type="snapshot",
            cursor=self._cursor,
            warnings=warnings,
            readings=await reads.recent_readings(seconds=180, each=180, total=READINGS).run_async(connection),
            nodes=await reads.nodes().run_async(connection),
        )
        for newcomer in newcomers:
            newcomer.fresh = False
            newcomer.cursor = None
        self._tell(snapshot, newcomers)

    def _tell(self, message: Changes, receivers: Iterable[Subscriber]) -> None:
        encoded = message.model_dump_json()
        self._meters.live_messages.labels(message.type).inc()
        for receiver in receivers:
            if not receiver.give(encoded):
                self._meters.live_restarts.inc()
        self._next_ping = time.monotonic() + PING_S

    def _ping(self) -> None:
        for receiver in self._subscribers:
            if not receiver.fresh:
                receiver.give(f"""{{"type":"ping","cursor":{self._cursor}}}""")
        self._next_ping = time.monotonic() + PING_S

    def _lose(self) -> None:
        """The database is gone: whoever listens must know, rather than take silence for quiet."""
        self.connected = False
        for subscriber in self._subscribers:
            subscriber.drop()
            with contextlib.suppress(asyncio.QueueFull):
                subscriber.queue.put_nowait(None)


@dataclass(frozen=True)
class _Row:
    id: int
    transaction: int
    topic: str
    key: str
    body: dict[str, Any]


async def _read(connection: psycopg.AsyncConnection[Any], cursor: int | None) -> tuple[int, list[_Row]]:
    """The number up to which all transactions have ended, and the rows above ``cursor`` (none for None)."""
    found = await connection.execute(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, f.id, f.xid::text::bigint, f.topic, f.key, "
        "f.body FROM (VALUES (1)) one LEFT JOIN feed f ON f.xid > %s::text::xid8 ORDER BY f.xid, f.id",
        [None if cursor is None else str(cursor)],
    )
    rows = await found.fetchall()
    return rows[0][0], [_Row(*row[1:]) for row in rows if row[1] is not None]
