"""The rules follow the journal of one partition, and say the same whether they read it from memory or from the table.

What they have said is committed with how far they have come. After a takeover the engine begins at its last snapshot;
what it says again up to that point is known already and passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg
import structlog

from cloud.ingest import journal
from cloud.ingest.journal import Line
from cloud.ingest.ruleset import Compiler
from cloud.store import feed
from cloud.store.times import micros, moment
from cloud.warnings import lifecycle
from contract.ids import Micros
from contract.records import Heartbeat, Lane, Record
from rules.engine import Engine, SnapshotError
from rules.entry import RecordEntry
from rules.language import RuleSet
from rules.signal import Signal

SNAPSHOT_EVERY: Final = 60_000_000
"""Microseconds of the journal's time."""
SNAPSHOT_ENTRIES: Final = 100_000
KEEP_EVERY: Final = 6 * 3_600_000_000
"""Microseconds between two states that are kept for as long as the journal is, for ``cloud.ingest.replay``."""
_log = structlog.get_logger("cloud.ingest")
_CHUNK: Final = 200
"""Lines that are read from the table at once; a batch holds up to a few thousand records."""


@dataclass(frozen=True, slots=True)
class Said:
    """A signal, and the entry of the journal that gave it."""

    partition: int
    seq: int
    number: int
    signal: Signal


class Follower:
    """The rules of one partition."""

    def __init__(
        self,
        partition: int,
        compiler: Compiler,
        engine: Engine,
        rules: bytes,
        seq: int,
        said_to: int,
        kept_at: Micros = 0,
    ) -> None:
        self.partition = partition
        self._compiler = compiler
        self.seq = seq
        """The last entry the engine has seen."""
        self.level = False
        """Whether that is the last there is, so that it may hear the next one from memory."""
        self._rules = rules
        self._engine = engine
        self._said_to = said_to
        self._stored = seq
        self._stored_at: Micros = 0
        self._entries = 0
        self._kept_at = kept_at
        self.beats: dict[tuple[str, str], Micros] = {}
        """The newest heartbeat of each node that has come up to here, not committed yet."""
        self.heard: Micros = 0
        """When the last entry came that the engine has seen; 0 before the first."""

    def take(self, seq: int, line: Line, records: Sequence[Record] | None = None) -> list[Said]:
        """The next entry; what the rules say to it and had not said before."""
        signals: list[Signal] = []
        if line.kind == "rules":
            self._engine = Engine(self._compiler.compile(line.body), self._engine.snapshot())
            self._rules = line.body
        else:
            for entry in journal.entries(line, records):
                signals += self._engine.apply(entry)
                self._entries += 1
                if isinstance(entry, RecordEntry) and isinstance(entry.record, Heartbeat):
                    self._note_beat(entry)
        self.seq = seq
        self.heard = line.arrived
        self._stored_at = self._stored_at or line.arrived
        if seq <= self._said_to:
            return []
        return [Said(self.partition, seq, number, signal) for number, signal in enumerate(signals)]

    def _note_beat(self, entry: RecordEntry) -> None:
        """What lay in the backlog did not come the whole way: no rule heard it."""
        if entry.lane is not Lane.BACKLOG:
            self.beats[entry.site, entry.node] = max(entry.time, self.beats.get((entry.site, entry.node), 0))

    def wants_snapshot(self, now: Micros) -> bool:
        """Whether enough has happened since the last one."""
        due = self._entries >= SNAPSHOT_ENTRIES or now - self._stored_at >= SNAPSHOT_EVERY
        return self.seq > self._stored and due

    def store_snapshot(self, connection: psycopg.Connection[Any], now: Micros) -> None:
        """Keep the state, in the caller's transaction, in which nothing that was said is missing.

        Where it is still on the way to what another worker has said already, that stays said.
        """
        connection.execute(
            "UPDATE rule_state SET seq = %s, snapshot_seq = %s, snapshot = %s, snapshot_time = %s, rules = %s "
            "WHERE partition = %s",
            [max(self.seq, self._said_to), self.seq, self._engine.snapshot(), moment(now), self._rules, self.partition],
        )
        if now - self._kept_at >= KEEP_EVERY:
            connection.execute(_KEEP, [self.partition])
            self._kept_at = now
        self._stored, self._stored_at, self._entries = self.seq, now, 0
        self._said_to = max(self._said_to, self.seq)


def load(connection: psycopg.Connection[Any], compiler: Compiler, partition: int, now: Micros) -> Follower:
    """The rules of a partition as they were last kept. State that this release cannot read is left behind, and said."""
    row = connection.execute(
        "SELECT seq, snapshot_seq, snapshot, rules, "
        "(SELECT max(time) FROM rule_snapshot k WHERE k.partition = s.partition) "
        "FROM rule_state s WHERE partition = %s",
        [partition],
    ).fetchone()
    if row is None:
        with connection.transaction():
            connection.execute(
                "INSERT INTO rule_state (partition, seq, snapshot_seq, snapshot, snapshot_time, rules) "
                "VALUES (%s, 0, 0, NULL, %s, '')",
                [partition, moment(now)],
            )
            connection.execute(_KEEP, [partition])
        return Follower(partition, compiler, Engine(RuleSet()), b"", 0, 0)
    said_to, seq, snapshot, rules, kept = row
    kept_at = 0 if kept is None else micros(kept)
    try:
        engine = Engine(compiler.compile(rules), snapshot)
    except SnapshotError as error:
        _log.error("rule state not understood", partition=partition, reason=str(error))
        engine = Engine(compiler.compile(rules))
    return Follower(partition, compiler, engine, rules, seq, said_to, kept_at)


def catch_up(connection: psycopg.Connection[Any], follower: Follower) -> list[Said]:
    """Read on in the table; what the rules say to the next lines."""
    said: list[Said] = []
    for seq, line in journal.read(connection, follower.partition, follower.seq, _CHUNK):
        said += follower.take(seq, line)
    return said


def commit(
    connection: psycopg.Connection[Any], followers: Sequence[Follower], said: Sequence[Said], now: Micros
) -> int:
    """Commit what was said, and how far the rules have come. ``now`` is the wall clock's.

    Returns:
        How many warnings and nodes changed.
    """
    with connection.transaction():
        beats = _write_beats(connection, followers)
        _write_signals(connection, said)
        connection.execute(
            "UPDATE rule_state r SET seq = n.seq FROM unnest(%s::smallint[], %s::bigint[]) AS n(partition, seq) "
            "WHERE r.partition = n.partition",
            [[one.partition for one in followers], [one.seq for one in followers]],
        )
        changed = lifecycle.apply(connection, [one.signal for one in said], now)
    for one in followers:
        one.beats.clear()
    return len(changed) + beats


def _write_beats(connection: psycopg.Connection[Any], followers: Sequence[Follower]) -> int:
    """A heartbeat that the rules have heard stands at its node, and the page is told: it has come the whole way."""
    beats = [(*name, moment(time)) for one in followers for name, time in one.beats.items()]
    if not beats:
        return 0
    moved = connection.execute(
        "UPDATE node n SET heartbeat = v.time "
        "FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS v(site, node, time) "
        "WHERE n.site = v.site AND n.node = v.node AND (n.heartbeat IS NULL OR n.heartbeat < v.time) "
        "RETURNING n.site || '/' || n.node",
        [list(column) for column in zip(*beats, strict=True)],
    ).fetchall()
    feed.write(connection, [("node", key, {}) for (key,) in moved])
    return len(moved)


def _write_signals(connection: psycopg.Connection[Any], said: Sequence[Said]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO signal (partition, seq, number, warning, rule, key, action, kind, severity, time, body) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    one.partition, one.seq, one.number, one.signal.warning, one.signal.rule, one.signal.key,
                    str(one.signal.action), one.signal.kind, str(one.signal.severity), moment(one.signal.time),
                    msgspec.json.encode(one.signal).decode(),
                )
                for one in said
            ],
        )  # fmt: skip


_KEEP: Final = (
    "INSERT INTO rule_snapshot (partition, seq, time, rules, snapshot) "
    "SELECT partition, snapshot_seq, snapshot_time, rules, snapshot FROM rule_state WHERE partition = %s "
    "ON CONFLICT DO NOTHING"
)
