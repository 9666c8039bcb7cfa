"""From messages to one transaction's work, and the answers that follow its commit. Writes nothing itself."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from cloud.ingest.arrival import Arrival
from cloud.ingest.clocks import behind
from cloud.ingest.journal import Line
from cloud.ingest.nodes import Nodes
from cloud.ingest.positions import Place, Positions, Verdict
from cloud.ingest.records import only, sift
from cloud.ingest.transaction import Refused, Work
from cloud.store.codes import LANES
from contract.messages import Batch, Hello, NodeState
from contract.records import Lane
from contract.topics import Address, Channel
from contract.wire import encode

MOST_BAD: Final = 100
"""Bad records of a batch that are set apart one by one; more of them lie there once, as a batch."""
_REMEMBERED: Final = 1000
"""Messages that were refused whole, by their hash: a node sends them again and again, and one row is enough."""


@dataclass
class Gathered:
    """Work, and whom to answer once it is committed."""

    work: Work = field(default_factory=Work)
    hellos: list[tuple[Address, Hello]] = field(default_factory=list)
    answers: dict[Place, Address] = field(default_factory=dict)
    misplaced: set[Place] = field(default_factory=set)
    verdicts: list[Verdict] = field(default_factory=list)
    records: dict[Lane, int] = field(default_factory=dict)
    bytes: int = 0


class Gathering:
    """Judges messages by what is enrolled and what is committed.

    Args:
        connection: to look up positions; never inside a transaction that writes.
        nodes: who is enrolled.
        positions: what is committed.
        holds: whether a partition is ours; messages of others are passed over.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        nodes: Nodes,
        positions: Positions,
        holds: Callable[[int], bool],
    ) -> None:
        self._connection = connection
        self._nodes = nodes
        self._positions = positions
        self._holds = holds
        self._refused: OrderedDict[bytes, None] = OrderedDict()

    def gather(self, arrivals: Sequence[Arrival]) -> Gathered:
        """What to commit for these messages, and whom to answer then."""
        gathered = Gathered()
        self._learn(arrivals)
        for arrival in arrivals:
            if arrival.address is not None and not self._holds(arrival.address.partition):
                continue
            stranger = "" if arrival.address is None else self._stranger(arrival.address)
            if stranger and arrival.topic.endswith(f"/{Channel.STATE}"):
                continue  # what a node that is gone has left on the broker
            if stranger or arrival.message is None or arrival.address is None:
                self._refuse(gathered, arrival, stranger or arrival.fault)
            else:
                self._take(gathered, arrival, arrival.address)
        gathered.work.positions = dict(self._positions.added)
        return gathered

    def places(self, address: Address, epoch: int) -> Iterator[tuple[Lane, Place]]:
        """The three lanes of one outbox."""
        for lane in LANES:
            yield lane, Place(address.site, address.node, epoch, lane)

    def forget_refused(self) -> None:
        """What was refused lately is refused anew, its transaction having failed."""
        self._refused.clear()

    def _take(self, gathered: Gathered, arrival: Arrival, address: Address) -> None:
        message = arrival.message
        if isinstance(message, NodeState):
            gathered.work.states[address.site, address.node] = arrival.arrived, message
        elif isinstance(message, Hello):
            gathered.hellos.append((address, message))
        elif isinstance(message, Batch):
            place = Place(address.site, address.node, message.epoch, message.lane)
            verdict = self._positions.judge(place, message.first, message.last)
            gathered.verdicts.append(verdict)
            gathered.answers[place] = address
            if verdict is Verdict.MISPLACED:
                gathered.misplaced.add(place)
            elif verdict is Verdict.ACCEPTED and arrival.fault:
                self._refuse(gathered, arrival, arrival.fault)
            elif verdict is Verdict.ACCEPTED:
                self._accept(gathered, arrival, address, message)

    def _accept(self, gathered: Gathered, arrival: Arrival, address: Address, batch: Batch) -> None:
        work, site, node = gathered.work, address.site, address.node
        late = behind(batch, arrival.arrived)
        kept, bad = sift(batch, late)
        for record in kept:
            work.rows.add(site, node, batch.lane, arrival.arrived, record, late != 0)
        work.lines.append(
            Line(
                address.partition, "batch", arrival.arrived, arrival.payload, site, node, batch.lane, batch.epoch,
                batch.first, batch.last,
            )
        )  # fmt: skip
        work.records.append(kept)
        if len(bad) > MOST_BAD:
            reason = f"{len(bad)} of {len(batch.records)} records make no sense; the first: {bad[0].reason}"
            place = (address.partition, site, node, batch.lane, batch.epoch, batch.first + bad[0].index)
            work.refused.append(Refused(arrival.arrived, arrival.topic, reason, encode(only(batch, bad)), *place))
            bad = []
        for one in bad:
            work.refused.append(
                Refused(
                    arrival.arrived, arrival.topic, one.reason, one.raw, address.partition, site, node, batch.lane,
                    batch.epoch, batch.first + one.index,
                )
            )  # fmt: skip
        gathered.records[batch.lane] = gathered.records.get(batch.lane, 0) + len(kept)
        gathered.bytes += len(arrival.payload)

    def _stranger(self, address: Address) -> str:
        """Why the sender is none of ours; empty where it is."""
        enrolled = self._nodes.partition(address.site, address.node)
        if enrolled is None:
            return f"node {address.site}/{address.node} is not enrolled"
        if enrolled != address.partition:
            return f"node {address.site}/{address.node} is enrolled in partition {enrolled}, not {address.partition}"
        return ""

    def _refuse(self, gathered: Gathered, arrival: Arrival, reason: str) -> None:
        name = hashlib.blake2b(arrival.topic.encode() + b"\0" + arrival.payload, digest_size=16).digest()
        if name in self._refused:
            return
        self._refused[name] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        address = arrival.address
        who = (None, None, None) if address is None else (address.partition, address.site, address.node)
        gathered.work.refused.append(Refused(arrival.arrived, arrival.topic, reason, arrival.payload, *who))

    def _learn(self, arrivals: Sequence[Arrival]) -> None:
        """Ask the database for the positions of outboxes that are new to us."""
        wanted: set[tuple[str, str, int]] = set()
        for arrival in arrivals:
            if arrival.address is not None and isinstance(arrival.message, Batch | Hello):
                name = arrival.address.site, arrival.address.node, arrival.message.epoch
                if not self._positions.knows(Place(*name, Lane.ALARM)):
                    wanted.add(name)
        if not wanted:
            return
        rows = self._connection.execute(
            "SELECT site, node, epoch, lane, position FROM position "
            "JOIN unnest(%s::text[], %s::text[], %s::bigint[]) AS wanted (site, node, epoch) USING (site, node, epoch)",
            [list(column) for column in zip(*wanted, strict=True)],
        )
        found = {Place(site, node, epoch, LANES[lane]): position for site, node, epoch, lane, position in rows}
        for name in wanted:
            for lane in LANES:
                place = Place(*name, lane)
                self._positions.learn(place, found.get(place, 0))
