"""What must hold when everything has come to rest: each number once, in order, and the rules said what they must."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import msgspec
import psycopg

from cloud.ingest import follower
from cloud.ingest.follower import Follower
from cloud.ingest.ruleset import Compiler, Texts
from cloud.store.codes import LANES
from cloud.store.times import micros
from contract.messages import Batch
from contract.records import Lane, Record
from contract.wire import decode_record, decode_up
from edge.delivery.conversation import FRESH_US
from rules.engine import Engine
from rules.language import RuleSet
from tests.chaos.records import QUANTITY, SITE, SOURCE, Numbered, number_of

_SHOWN: Final = 5
"""Faults of one sort that are told in full."""


@dataclass(frozen=True)
class Sent:
    """A batch as it stands in the journal."""

    node: str
    lane: Lane
    epoch: int
    first: int
    last: int
    sent: int
    """When the node sent it, microseconds."""
    records: tuple[Record, ...]


@dataclass
class Report:
    """What was found. Nothing is wrong when ``faults`` is empty."""

    faults: list[str] = field(default_factory=list)
    records: Counter[Lane] = field(default_factory=Counter)
    """Numbered ones, in the journal."""
    signals: int = 0
    longest_gap_s: float = 0.0
    """The longest time in which no batch came to the database."""


def audit(connection: psycopg.Connection[Any], wanted: Sequence[Numbered], texts: Texts) -> Report:
    """Look through tables, journal and signals; the workers have ended, or nothing arrives any more."""
    report = Report()
    for one in wanted:
        report.faults += _readings(connection, one)
        report.faults += _events(connection, one)
    report.faults += _set_apart(connection)
    batches = list(_batches(connection))
    report.faults += check_journal(batches, wanted)
    report.faults += _positions(connection, batches)
    report.faults += _signals(connection, texts)
    for batch in batches:
        report.records[batch.lane] += sum(number_of(record) is not None for record in batch.records)
    (report.signals,) = connection.execute("SELECT count(*) FROM signal").fetchone() or (0,)
    report.longest_gap_s = _longest_gap(connection)
    return report


def check_journal(batches: Sequence[Sent], wanted: Sequence[Numbered]) -> list[str]:
    """Each lane's positions go from 1 on without a gap, each number comes once, and in the order it was written.

    Only an event that lay unsent for longer than ``FRESH_US`` may come later than younger ones: what an event has come
    to is then moved in front again, behind what is there.
    """
    gaps: list[str] = []
    disorder: list[str] = []
    ends: dict[tuple[str, int, Lane], int] = {}
    highest: dict[tuple[str, Lane, str], int] = {}
    seen: dict[str, Counter[tuple[str, int]]] = {one.node: Counter() for one in wanted}
    for batch in batches:
        name = f"{batch.node} {batch.lane}"
        place = batch.node, batch.epoch, batch.lane
        if batch.first != ends.get(place, 0) + 1 or batch.last - batch.first + 1 != len(batch.records):
            gaps.append(f"journal: {name} goes from {ends.get(place, 0)} to {batch.first}–{batch.last}")
        ends[place] = batch.last
        for record in batch.records:
            if (found := number_of(record)) is None:
                continue
            kind, number = found
            seen[batch.node][found] += 1
            before = highest.get((batch.node, batch.lane, kind), -1)
            moved = kind == "event" and batch.sent - record.time >= FRESH_US
            if number <= before and not moved:
                disorder.append(f"journal: {name} has {kind} {number} after {before}")
            highest[batch.node, batch.lane, kind] = max(number, before)
    faults = shortened(gaps) + shortened(disorder)
    for one in wanted:
        faults += _numbers(one, seen[one.node])
        epochs = {epoch for node, epoch, _ in ends if node == one.node}
        if len(epochs) > 1:
            faults.append(f"journal: {one.node} has {len(epochs)} epochs; nothing here gives it a second")
    return faults


def _numbers(one: Numbered, seen: Counter[tuple[str, int]]) -> list[str]:
    """Which of a node's numbers are not there once."""
    everything = {("reading", n) for n in range(one.readings)} | {("event", n) for n in range(one.events)}
    missing = [f"journal: {one.node} {kind} {n} is missing" for kind, n in sorted(everything - seen.keys())]
    twice = [f"journal: {one.node} {k} {n} came {times} times" for (k, n), times in sorted(seen.items()) if times > 1]
    strange = [f"journal: {one.node} {kind} {n} was never written" for kind, n in sorted(seen.keys() - everything)]
    return shortened(missing) + shortened(twice) + shortened(strange)


def shortened(faults: Sequence[str]) -> list[str]:
    """At most ``_SHOWN`` of each sort, and how many more there are."""
    if len(faults) <= _SHOWN:
        return list(faults)
    return [*faults[:_SHOWN], f"{faults[0].split(':')[0]}: … and {len(faults) - _SHOWN} more"]


def _readings(connection: psycopg.Connection[Any], one: Numbered) -> list[str]:
    rows = connection.execute(
        "WITH found AS (SELECT value::bigint AS n, count(*) AS times FROM reading JOIN series ON series.id = series_id "
        "WHERE site = %s AND node = %s AND source = %s AND quantity = %s GROUP BY 1) "
        "SELECT n, coalesce(times, 0), wanted.n IS NOT NULL FROM generate_series(0, %s - 1) AS wanted(n) "
        "FULL JOIN found USING (n) WHERE times IS DISTINCT FROM 1 OR wanted.n IS NULL ORDER BY 1",
        [SITE, one.node, SOURCE, QUANTITY, one.readings],
    ).fetchall()
    return shortened(
        [f"reading: {one.node} has {n} {times} times{'' if real else ', never written'}" for n, times, real in rows]
    )


def _events(connection: psycopg.Connection[Any], one: Numbered) -> list[str]:
    rows = connection.execute(
        "WITH wanted AS (SELECT 'e' || p AS id, count(*) AS revision FROM (SELECT n / 2 AS p FROM "
        "generate_series(0, %s - 1) AS g(n)) AS pairs GROUP BY p), found AS (SELECT id, revision, phase FROM event "
        "WHERE site = %s AND node = %s) "
        "SELECT id, found.revision, wanted.revision FROM wanted FULL JOIN found USING (id) "
        "WHERE found.revision IS DISTINCT FROM wanted.revision "
        "OR found.phase <> CASE wanted.revision WHEN 2 THEN 'close' ELSE 'open' END ORDER BY 1",
        [one.events, SITE, one.node],
    ).fetchall()
    return shortened(
        [f"event: {one.node} has {name} at revision {has}, and should at {should}" for name, has, should in rows]
    )


def _set_apart(connection: psycopg.Connection[Any]) -> list[str]:
    """Nothing that these nodes send is bad, and nothing was thinned."""
    rows = connection.execute("SELECT site, node, reason FROM quarantine").fetchall()
    faults = [f"quarantine: {site}/{node}: {reason}" for site, node, reason in rows]
    (summaries,) = connection.execute("SELECT count(*) FROM summary").fetchone() or (0,)
    if summaries:
        faults.append(f"summary: {summaries}; there was room for every reading")
    return shortened(faults)


def _batches(connection: psycopg.Connection[Any]) -> Iterator[Sent]:
    with connection.transaction(), connection.cursor("batches", binary=True) as cursor:
        cursor.execute(
            "SELECT node, lane, epoch, first, last, body FROM journal WHERE kind = 'batch' ORDER BY partition, seq"
        )
        for node, lane, epoch, first, last, body in cursor:
            message = decode_up(bytes(body))
            assert isinstance(message, Batch)
            records = tuple(decode_record(bytes(raw)) for raw in message.records)
            yield Sent(node, LANES[lane], epoch, first, last, message.sent, records)


def _positions(connection: psycopg.Connection[Any], batches: Sequence[Sent]) -> list[str]:
    """The table of positions says what the journal says, and so do the heads."""
    ends = {(batch.node, batch.epoch, batch.lane): batch.last for batch in batches}
    rows = connection.execute("SELECT node, epoch, lane, position FROM position").fetchall()
    found = {(node, epoch, LANES[lane]): position for node, epoch, lane, position in rows}
    faults = [
        f"position: {place[0]} {place[2]} is {found.get(place, 0)}, in the journal {ends.get(place, 0)}"
        for place in sorted(ends.keys() | found.keys())
        if found.get(place, 0) != ends.get(place, 0)
    ]
    rows = connection.execute(
        "SELECT partition, h.seq, max(j.seq) FROM journal j JOIN journal_head h USING (partition) "
        "GROUP BY 1, 2 HAVING h.seq <> max(j.seq)"
    ).fetchall()
    return shortened(faults + [f"head: partition {p} says {said}, the journal ends at {has}" for p, said, has in rows])


def _signals(connection: psycopg.Connection[Any], texts: Texts) -> list[str]:
    """What an engine says that reads the whole journal undisturbed, beside what is in the table."""
    compiler = Compiler(texts)
    faults: list[str] = []
    partitions = connection.execute(
        "SELECT h.partition, coalesce(r.seq, 0), h.seq FROM journal_head h LEFT JOIN rule_state r USING (partition) "
        "WHERE h.seq > 0 ORDER BY 1"
    ).fetchall()
    for partition, heard, head in partitions:
        if heard != head:
            faults.append(f"signal: the rules of partition {partition} stand at {heard}, its journal at {head}")
        one = Follower(partition, compiler, Engine(RuleSet()), b"", 0, 0)
        wanted: dict[tuple[int, int], bytes] = {}
        before = -1
        while before < one.seq:
            before = one.seq
            for said in follower.catch_up(connection, one):
                wanted[said.seq, said.number] = msgspec.json.encode(said.signal)
        rows = connection.execute("SELECT seq, number, body FROM signal WHERE partition = %s", [partition]).fetchall()
        found = {(seq, number): _canonical(body) for seq, number, body in rows}
        faults += [
            f"signal: partition {partition}, entry {place[0]}: the table has {found.get(place)}, "
            f"an undisturbed engine says {wanted.get(place)!r}"
            for place in sorted(wanted.keys() | found.keys())
            if found.get(place) != (_canonical(msgspec.json.decode(wanted[place])) if place in wanted else None)
        ]
    return shortened(faults)


def _canonical(body: object) -> str:
    return msgspec.json.encode(body, order="sorted").decode()


def _longest_gap(connection: psycopg.Connection[Any]) -> float:
    rows: list[tuple[datetime]] = connection.execute(
        "SELECT arrived FROM journal WHERE kind = 'batch' ORDER BY arrived"
    ).fetchall()
    times = [micros(arrived) for (arrived,) in rows]
    return max((later - earlier for earlier, later in pairwise(times)), default=0) / 1e6
