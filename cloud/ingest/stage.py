"""The rules of all partitions of one worker: level with the journal they hear what was just committed from memory,
behind it they read the table, a little at a time. A fault in the rules never holds up the ingest."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final

import psycopg
import structlog

from cloud.ingest import follower
from cloud.ingest.follower import Follower, Said
from cloud.ingest.journal import Line
from cloud.ingest.metrics import Metrics
from cloud.ingest.ruleset import Compiler, Texts
from contract.ids import Micros
from contract.records import Record

BUDGET_S: Final = 0.2
"""So long the rules may read on before the ingest has its turn again."""
_AT_ONCE: Final = 16
"""So many partitions' states are kept in one transaction."""
_BEAT_S: Final = 1.0
"""Heartbeats alone are worth a transaction this often; the nodes send one a minute each."""
_AGAIN_S: Final = 5.0
"""After a fault the rules of the partition rest so long, and begin again at their snapshot."""
_log = structlog.get_logger("cloud.ingest")


class Stage:
    """Follows the journal of the partitions whose heads it is given.

    Args:
        connection: the worker's own; used outside of its transactions.
        heads: the last number of each partition that is ours; the caller moves them.
        texts: the rules of this release.
        clock: wall clock, microseconds.
        monotonic: seconds.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        heads: dict[int, int],
        texts: Texts,
        metrics: Metrics,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._heads = heads
        self._compiler = Compiler(texts)
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._followers: dict[int, Follower] = {}
        self._rest: dict[int, float] = {}
        self._beat_due = 0.0
        self._left: dict[int, Micros] = {}
        """Where the rules rest: when the last entry came that they had seen."""

    def hear(self, lines: Sequence[Line], numbers: Sequence[int], records: Sequence[Sequence[Record]]) -> int:
        """What was just committed; returns how many warnings changed.

        A partition that was not level before these lines reads them in the table when it gets there.
        """
        first: dict[int, int] = {}
        for line, seq in zip(lines, numbers, strict=True):
            first.setdefault(line.partition, seq)
        level = {
            partition: one for partition in first if (one := self._followers.get(partition)) is not None and one.level
        }
        with self._metrics.rules_seconds.time():
            said: list[Said] = []
            for line, seq, batch in zip(lines, numbers, records, strict=True):
                one = level.get(line.partition)
                if one is not None:
                    said += self._guarded(one, partial(one.take, seq, line, batch))
            return self._commit([one for one in level.values() if one.partition in self._followers], said)

    def read_on(self) -> int:
        """Let those that are behind read on in the table; returns how many warnings changed."""
        deadline = self._monotonic() + BUDGET_S
        changed = 0
        for partition in self.behind():
            one = self._followers.get(partition)
            if one is None:
                one = self._followers[partition] = follower.load(
                    self._connection, self._compiler, partition, self._clock()
                )
            while one.seq < self._heads[partition] and self._monotonic() < deadline:
                said = self._guarded(one, partial(follower.catch_up, self._connection, one))
                if partition not in self._followers:
                    break
                changed += self._commit([one], said)
            one.level = one.seq == self._heads[partition]
        return changed

    def measure(self) -> None:
        """How far the rules are behind the journal: what they have not seen came after the last they have. Those that
        rest after a fault count too."""
        late = [p for p, head in self._heads.items() if p not in self._followers or self._followers[p].seq < head]
        heard = [
            since
            for partition in late
            if (
                since := self._followers[partition].heard if partition in self._followers else self._left.get(partition)
            )
        ]
        self._metrics.behind.set(len(late))
        self._metrics.behind_seconds.set(max(self._clock() - min(heard), 0) / 1e6 if heard else 0.0)

    def behind(self) -> list[int]:
        """Partitions whose rules have not seen all of the journal, but for those that rest."""
        now = self._monotonic()
        return [
            partition
            for partition, head in self._heads.items()
            if head > (self._followers[partition].seq if partition in self._followers else 0)
            and self._rest.get(partition, now) <= now
        ]

    def store_due(self) -> None:
        """Keep the state of some of those that have not been kept for a while; between two transactions."""
        now = self._clock()
        due = [one.partition for one in self._followers.values() if one.wants_snapshot(now)]
        self.store(due[:_AT_ONCE])

    def store(self, partitions: Collection[int]) -> None:
        """Keep the state of partitions, so that whoever takes them over has little to read."""
        followers = [self._followers[partition] for partition in partitions if partition in self._followers]
        if followers:
            with self._connection.transaction():
                for one in followers:
                    one.store_snapshot(self._connection, self._clock())

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that are no longer ours."""
        for partition in partitions:
            self._followers.pop(partition, None)
            self._rest.pop(partition, None)
            self._left.pop(partition, None)

    def _commit(self, followers: Sequence[Follower], said: Sequence[Said]) -> int:
        if not said:
            if self._monotonic() < self._beat_due or not any(one.beats for one in followers):
                return 0
            self._beat_due = self._monotonic() + _BEAT_S
        try:
            changed = follower.commit(self._connection, followers, said, self._clock())
        except Exception as error:  # noqa: BLE001  whatever fails in the rules, the ingest goes on
            self._fault(followers, error)
            return 0
        self._metrics.signals.inc(len(said))
        return changed

    def _guarded(self, one: Follower, work: Callable[[], list[Said]]) -> list[Said]:
        if one.partition not in self._followers:
            return []
        try:
            return work()
        except Exception as error:  # noqa: BLE001  whatever fails in the rules, the ingest goes on
            self._fault([one], error)
            return []

    def _fault(self, followers: Sequence[Follower], error: Exception) -> None:
        """The rules begin again at their snapshots, later. A connection that is lost is the worker's matter."""
        if self._connection.closed:
            raise error
        for one in followers:
            _log.error("rules failed", partition=one.partition, seq=one.seq, exc_info=error)
            self._followers.pop(one.partition, None)
            self._left[one.partition] = one.heard
            self._rest[one.partition] = self._monotonic() + _AGAIN_S
        self._metrics.rule_faults.inc()
