"""The rules follow the journal again, from any point, and say what they said: same state, same entries, same rules.

A replay begins at a state that was kept before the point, reads the journal from there, and changes rules where the
journal says that they were changed. Nothing is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg

from cloud.ingest import journal
from cloud.ingest.follower import Follower, Said
from cloud.ingest.ruleset import Compiler
from cloud.store.times import iso, moment
from contract.ids import Micros
from rules.engine import Engine, SnapshotError
from rules.signal import Signal

_CHUNK = 500


class ReplayError(RuntimeError):
    """The journal cannot be followed from there; the text says from where on it can."""


@dataclass(frozen=True)
class Difference:
    """A place where the replay does not say what was said; None stands for nothing."""

    partition: int
    seq: int
    number: int
    said: Signal | None
    replayed: Signal | None


def partitions(connection: psycopg.Connection[Any]) -> list[int]:
    """Those that have a journal."""
    rows = connection.execute("SELECT partition FROM journal_head WHERE seq > 0 ORDER BY partition")
    return [partition for (partition,) in rows]


def replay(
    connection: psycopg.Connection[Any], compiler: Compiler, partition: int, since: Micros, until: int | None = None
) -> Iterator[Said]:
    """What the rules say to the entries of a partition that arrived at ``since`` or later, up to the entry ``until``
    (all there is when left out).

    Raises:
        ReplayError: no state was kept before ``since``.
        SnapshotError: the state is of a release that this one does not understand.
    """
    follower = _begin(connection, compiler, partition, since)
    while rows := journal.read(connection, partition, follower.seq, _CHUNK):
        for seq, line in rows:
            if until is not None and seq > until:
                return
            said = follower.take(seq, line)
            if line.arrived >= since:
                yield from said


def check(
    connection: psycopg.Connection[Any], compiler: Compiler, partition: int, since: Micros
) -> Iterator[Difference]:
    """Where a replay says other than what was said at the time. As far as the rules have come by now."""
    row = connection.execute("SELECT seq FROM rule_state WHERE partition = %s", [partition]).fetchone()
    until = row[0] if row else 0
    first = connection.execute(
        "SELECT min(seq) FROM journal WHERE partition = %s AND seq <= %s AND arrived >= %s",
        [partition, until, moment(since)],
    ).fetchone()
    begin = first[0] if first is not None and first[0] is not None else until + 1
    rows = connection.execute(
        "SELECT seq, number, body FROM signal WHERE partition = %s AND seq BETWEEN %s AND %s", [partition, begin, until]
    )
    said = {(seq, number): msgspec.convert(body, Signal) for seq, number, body in rows}
    again = {(one.seq, one.number): one.signal for one in replay(connection, compiler, partition, since, until)}
    for seq, number in sorted(said.keys() | again.keys()):
        then, now = said.get((seq, number)), again.get((seq, number))
        if then != now:
            yield Difference(partition, seq, number, then, now)


def _begin(connection: psycopg.Connection[Any], compiler: Compiler, partition: int, since: Micros) -> Follower:
    row = connection.execute(
        "SELECT seq, rules, snapshot FROM rule_snapshot WHERE partition = %s AND (time <= %s OR seq = 0) "
        "ORDER BY seq DESC LIMIT 1",
        [partition, moment(since)],
    ).fetchone()
    if row is None:
        oldest = connection.execute("SELECT min(time) FROM rule_snapshot WHERE partition = %s", [partition]).fetchone()
        where = f"it can from {iso(oldest[0])} on" if oldest and oldest[0] else "no state was ever kept"
        raise ReplayError(f"partition {partition} cannot be replayed from {iso(since)}; {where}")
    seq, rules, snapshot = row
    try:
        engine = Engine(compiler.compile(rules), snapshot)
    except SnapshotError as error:
        raise ReplayError(f"partition {partition}: {error}") from error
    return Follower(partition, compiler, engine, rules, seq, 0)
