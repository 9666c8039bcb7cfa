"""Who works on which partition: session advisory locks of PostgreSQL, held by the very session that commits.

A worker that dies loses its locks with its connection. One that stands still keeps both: its beat in the table
``worker`` stands still too, and whoever wants its partitions ends its session. Every worker holds a shared lock
besides, so that all of them can be counted, and none takes more than its share.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import psycopg

from contract.ids import PARTITIONS

PARTITION_CLASS: Final = 0x5645_4401
MEMBER_CLASS: Final = 0x5645_4402
SILENT_AFTER_S: Final = 2.5
"""A beat comes once a second or oftener. A session whose beat stands still for so long while PostgreSQL waits for its
worker, be it idle or in the middle of a COPY, has no worker that works."""
STALLED_AFTER_S: Final = 10.0
"""A session that PostgreSQL itself keeps waiting, for a disk or a standby, is given longer."""
LOOKS: Final = 3
"""Looks of ours between which a beat must stand still: a database that kept us waiting as well tells us nothing."""


class Election:
    """One worker's part in it.

    Args:
        connection: the session that will also commit; in autocommit mode.
        limit: the most partitions to take.
        name: for people who look into the table ``worker``.
        monotonic: seconds, for how long another's beat has stood still.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], limit: int, name: str, monotonic: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._limit = limit
        self._monotonic = monotonic
        self._beats: dict[int, _Beat] = {}
        self.held: set[int] = set()
        self.evicted = 0
        connection.execute("SELECT pg_advisory_lock_shared(%s, 0)", [MEMBER_CLASS])
        connection.execute(
            "INSERT INTO worker (backend, name) VALUES (pg_backend_pid(), %s) "
            "ON CONFLICT (backend) DO UPDATE SET name = excluded.name, started = now(), beat = 0",
            [name],
        )
        connection.execute("DELETE FROM worker WHERE backend NOT IN (SELECT pid FROM pg_stat_activity)")

    def round(self) -> tuple[set[int], set[int]]:
        """Beat once, then see what can be taken and what must be given up; once a second or oftener.

        Returns:
            Partitions taken just now, and those above our share, which ``give_up`` shall release.
        """
        self._connection.execute("UPDATE worker SET beat = beat + 1 WHERE backend = pg_backend_pid()")
        share = min(self._limit, -(-PARTITIONS // self._members()))
        if len(self.held) > share:
            return set(), set(sorted(self.held)[share:])
        holders = self._holders()
        free = [partition for partition in range(PARTITIONS) if partition not in holders]
        taken = self._take(free[: share - len(self.held)])
        # Whoever has a full share looks after the others too: only without the one who stalls is it too small.
        self._evict(set(holders.values()))
        return taken, set()

    def give_up(self, partitions: set[int]) -> None:
        """Release partitions, for others to take."""
        self._connection.execute(
            "SELECT pg_advisory_unlock(%s, p) FROM unnest(%s::integer[]) AS p", [PARTITION_CLASS, sorted(partitions)]
        )
        self.held -= partitions

    def _members(self) -> int:
        row = self._connection.execute(f"SELECT count(*) {_LOCKS}", [MEMBER_CLASS]).fetchone()
        return max(row[0], 1) if row is not None else 1

    def _holders(self) -> dict[int, int]:
        """The session that holds each partition that anybody holds."""
        rows = self._connection.execute(f"SELECT objid::integer, pid {_LOCKS}", [PARTITION_CLASS])
        return dict(rows.fetchall())

    def _take(self, wanted: list[int]) -> set[int]:
        if not wanted:
            return set()
        rows = self._connection.execute(
            "SELECT p FROM unnest(%s::integer[]) AS p WHERE pg_try_advisory_lock(%s, p)", [wanted, PARTITION_CLASS]
        )
        taken = {row[0] for row in rows}
        self.held |= taken
        return taken

    def _evict(self, sessions: set[int]) -> None:
        """End the sessions whose beat has stood still before our eyes for too long."""
        now = self._monotonic()
        rows = self._connection.execute(
            "SELECT w.backend, w.beat, a.wait_event_type IS NOT DISTINCT FROM 'Client' "
            "FROM worker w JOIN pg_stat_activity a ON a.pid = w.backend"
        ).fetchall()
        beats = {backend: (beat, waited_for) for backend, beat, waited_for in rows}
        watched: dict[int, _Beat] = {}
        for session in sessions - {self._connection.info.backend_pid}:
            beat, waited_for = beats.get(session, (-1, True))
            known = self._beats.get(session)
            if known is None or known.number != beat:
                watched[session] = _Beat(beat, now, 0)
                continue
            watched[session] = known._replace(looks=known.looks + 1)
            after_s = SILENT_AFTER_S if waited_for else STALLED_AFTER_S
            if now - known.since >= after_s and watched[session].looks >= LOOKS:
                self._connection.execute("SELECT pg_terminate_backend(%s)", [session])
                self.evicted += 1
                del watched[session]
        self._beats = watched


class _Beat(NamedTuple):
    """A beat that we saw: its number, when we first saw it, and how often since."""

    number: int
    since: float
    looks: int


_LOCKS: Final = (
    "FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = %s::oid "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
