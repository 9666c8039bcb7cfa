"""What hangs on one database session: elected partitions, positions, heads, rules. With the session all of it is lost.

A turn takes what has come, commits it, answers, and lets the rules speak.
"""

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg
import structlog

from cloud.ingest import journal
from cloud.ingest.arrival import MOST_WAITING, Arrival, Waiting
from cloud.ingest.election import Election
from cloud.ingest.gathering import Gathered, Gathering
from cloud.ingest.journal import Line
from cloud.ingest.link import Link
from cloud.ingest.metrics import Metrics
from cloud.ingest.nodes import Nodes
from cloud.ingest.notices import Notices, encode_notices
from cloud.ingest.positions import Positions
from cloud.ingest.rows import Rows
from cloud.ingest.ruleset import Texts, encode_texts
from cloud.ingest.stage import Stage
from cloud.ingest.transaction import Refused, SeriesIds, Work, commit
from cloud.settings import CloudSettings
from cloud.store.feed import WAKE_TOPIC
from contract.messages import Ack, Welcome
from contract.records import Lane
from contract.topics import Channel
from contract.wire import encode

ROUND_S: Final = 0.5
"""Between two looks at who holds what, and two beats."""
TICK_S: Final = 1.0
TURN_S: Final = 0.05
MOST_RECORDS: Final = 10_000
_LEAST_RECORDS: Final = 500
_MOST_CREDIT: Final = 1024 * 1024
_HELD: Final = 3
"""A batch of small readings takes so many times its unpacked size while it waits (see ``cloud.ingest.arrival``)."""
_log = structlog.get_logger("cloud.ingest")


class Session:
    """One worker's time with one connection. Any exception out of it ends both.

    Args:
        connection: in autocommit mode; nobody else uses it.
        waiting: what has come over the broker.
        link: to answer, and to hear the nodes of the partitions that are ours.
        texts: the rules of this release.
        clock: wall clock, microseconds.
        monotonic: seconds.
    """

    def __init__(
        self,
        settings: CloudSettings,
        connection: psycopg.Connection[Any],
        waiting: Waiting,
        link: Link,
        metrics: Metrics,
        texts: Texts,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._waiting = waiting
        self._link = link
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._heads: dict[int, int] = {}
        self._rules_body = encode_texts(texts)
        self._ruled: set[int] = set()
        self._positions = Positions()
        self._series = SeriesIds()
        self._nodes = Nodes(connection, monotonic)
        self._notices = Notices(self._nodes)
        name = f"{socket.gethostname()}:{os.getpid()}"
        self._election = Election(connection, settings.partitions, name, monotonic)
        self._gathering = Gathering(connection, self._nodes, self._positions, self._heads.__contains__)
        self._stage = Stage(connection, self._heads, texts, metrics, clock, monotonic)
        self._most_records = MOST_RECORDS
        self._next_round = self._next_tick = monotonic()
        link.listen([])

    def turn(self) -> None:
        """Wait for what comes next, and deal with it; returns within a second."""
        if self._monotonic() >= self._next_round:
            self._next_round = self._monotonic() + ROUND_S
            self._elect()
            self._stage.measure()
            self._stage.store_due()
        due = min(self._next_round, self._next_tick)
        wait_s = 0.0 if self._stage.behind() else max(due - self._monotonic(), 0.0)
        arrivals = self._waiting.take(wait_s, most_records=self._most_records)
        ticks = self._ticks()
        if arrivals or ticks:
            began = self._monotonic()
            self._take_in(arrivals, ticks)
            self._pace(sum(arrival.records for arrival in arrivals), self._monotonic() - began)
        if self._stage.behind() and self._stage.read_on():
            self._link.publish(WAKE_TOPIC)
        self._metrics.dropped.inc(self._waiting.dropped())
        self._metrics.waiting_bytes.set(self._waiting.bytes)

    def finish(self) -> None:
        """Leave little to read for whoever comes next."""
        self._stage.store(set(self._heads))

    def _elect(self) -> None:
        taken, surplus = self._election.round()
        if taken:
            self._positions.forget()  # a partition may have been ours before, and another's in between
            for partition, (seq, rules) in journal.heads(self._connection, sorted(taken)).items():
                self._heads[partition] = seq
                if rules == journal.fingerprint(self._rules_body):
                    self._ruled.add(partition)
        if surplus:
            self._stage.store(surplus)
            self._stage.drop(surplus)
            for partition in surplus:
                del self._heads[partition]
            self._ruled -= surplus
            self._election.give_up(surplus)
        if taken or surplus:
            self._link.listen(self._heads)
            _log.info("partitions changed", taken=len(taken), given_up=len(surplus), held=len(self._heads))
        if self._election.evicted:
            self._metrics.evicted.inc(self._election.evicted)
            self._election.evicted = 0

    def _ticks(self) -> list[Line]:
        if self._monotonic() < self._next_tick:
            return []
        self._next_tick = self._monotonic() + TICK_S
        now, deaf = self._clock(), not self._link.heard
        return [
            Line(partition, "tick", now, encode_notices(self._notices.due(partition, deaf=deaf)))
            for partition in sorted(self._nodes.partitions() & self._heads.keys())
        ]

    def _take_in(self, arrivals: Sequence[Arrival], ticks: Sequence[Line]) -> None:
        """Commit all together; where the database refuses a value that nobody foresaw, message by message."""
        try:
            self._commit(self._gather(arrivals), ticks)
            return
        except psycopg.Error as error:
            if not _is_poison(error):
                raise
            self._undo()
        self._commit(Gathered(), ticks)
        for arrival in arrivals:
            try:
                self._commit(self._gather([arrival]), ())
            except psycopg.Error as error:
                if not _is_poison(error):
                    raise
                self._undo()
                self._set_apart(arrival, str(error).splitlines()[0])

    def _pace(self, records: int, took_s: float) -> None:
        """An alarm waits for the transaction before it, so make that one as large as ``TURN_S`` has room for."""
        if records >= _LEAST_RECORDS:
            fitting = int(records / max(took_s, 1e-6) * TURN_S)
            self._most_records = min(max(fitting, _LEAST_RECORDS), MOST_RECORDS)

    def _gather(self, arrivals: Sequence[Arrival]) -> Gathered:
        gathered = self._gathering.gather(arrivals)
        now = self._clock()
        for address, hello in gathered.hellos:
            self._notices.greeted(address, hello.epoch)
            held = {lane: self._positions.held(place) for lane, place in self._gathering.places(address, hello.epoch)}
            welcome = Welcome(epoch=hello.epoch, positions=held, time=now, credit=self._credit(), hello=hello.time)
            self._link.publish(address.topic(Channel.ACK), encode(welcome))
        return gathered

    def _set_apart(self, arrival: Arrival, reason: str) -> None:
        """The batch counts, so that the node goes on; its records lie in the quarantine and in the journal."""
        _log.error("batch set apart", topic=arrival.topic, reason=reason)
        gathered = self._gather([arrival])
        gathered.work.rows = Rows()
        gathered.work.states = {}
        gathered.work.refused = [Refused(arrival.arrived, arrival.topic, reason, arrival.payload)]
        self._commit(gathered, ())

    def _commit(self, gathered: Gathered, ticks: Sequence[Line]) -> None:
        work = gathered.work
        work.lines += ticks
        work.records += [()] * len(ticks)
        self._put_rules_first(work)
        shown = False
        if work:
            with self._metrics.commit_seconds.time():
                numbers, shown = commit(self._connection, self._heads, self._series, work)
            self._ruled.update(line.partition for line in work.lines)
            self._positions.settle()
        self._answer(gathered)
        self._count(gathered)
        changed = self._stage.hear(work.lines, numbers, work.records) if work.lines else 0
        if shown or changed:
            self._link.publish(WAKE_TOPIC)

    def _put_rules_first(self, work: Work) -> None:
        """Before anything else is written to a partition, its journal says under which rules."""
        new = {line.partition for line in work.lines} - self._ruled
        now = self._clock()
        work.lines[:0] = [Line(partition, "rules", now, self._rules_body) for partition in sorted(new)]
        work.records[:0] = [()] * len(new)

    def _undo(self) -> None:
        self._positions.undo()
        self._gathering.forget_refused()

    def _answer(self, gathered: Gathered) -> None:
        now, credit = self._clock(), self._credit()
        for place, address in gathered.answers.items():
            position = self._positions.held(place)
            expected = position + 1 if place in gathered.misplaced else None
            ack = Ack(epoch=place.epoch, lane=place.lane, position=position, time=now, credit=credit, expected=expected)
            self._link.publish(address.topic(Channel.ACK), encode(ack))

    def _credit(self) -> int:
        """An equal share of the room there is for each node of ours. A node may always send one batch, whatever this
        is."""
        room = (MOST_WAITING - self._waiting.bytes) // _HELD // max(self._nodes.count(self._heads), 1)
        return min(max(room, 0), _MOST_CREDIT)

    def _count(self, gathered: Gathered) -> None:
        for verdict in gathered.verdicts:
            self._metrics.batches.labels(verdict.name.lower()).inc()
        for lane, number in gathered.records.items():
            self._metrics.records.labels(Lane(lane).value).inc(number)
        self._metrics.bytes.inc(gathered.bytes)
        self._metrics.quarantined.inc(len(gathered.work.refused))
        for refused in gathered.work.refused:
            _log.warning("quarantined", topic=refused.topic, number=refused.number, reason=refused.reason)


def _is_poison(error: psycopg.Error) -> bool:
    """Whether it is about the data (SQLSTATE classes 22, 23 and 54), not about the database or about our right to
    write."""
    state = error.sqlstate or ""
    fenced = isinstance(error, psycopg.errors.UniqueViolation) and error.diag.table_name == "journal"
    return state[:2] in ("22", "23", "54") and not fenced
