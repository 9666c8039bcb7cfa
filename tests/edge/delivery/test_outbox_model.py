"""Whatever is done to an outbox in whatever order: nothing is lost, numbers have no gaps, and the counts are right."""

import contextlib
import tempfile
from pathlib import Path
from sqlite3 import Connection

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contract.records import Event, Lane, Phase, Reading, Summary
from contract.wire import decode_record
from edge.delivery.epochs import Verdict
from edge.delivery.thinning import NothingToThinError, thin
from tests.edge.delivery.samples import START, Clock, event, make, reading, records_of

SHM = Path("/dev/shm")


class OutboxMachine(RuleBasedStateMachine):
    """The outbox beside what it must contain."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None)
        self.uptime = Clock(10**9)
        self.boot = 0
        self.open()
        self.revisions: dict[str, int] = {}
        self.closed: set[str] = set()
        self.events: list[Event] = []
        self.readings = 0
        self.delivered: list[Event] = []
        self.delivered_readings = 0

    def open(self) -> None:
        self.outbox = make(Path(self.folder.name), uptime=self.uptime, boot=str(self.boot))

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()

    @rule(count=st.integers(1, 30))
    def read(self, count: int) -> None:
        self.outbox.append([reading(i, time=START + self.readings + i) for i in range(count)])
        self.readings += count

    @rule(name=st.sampled_from("abc"), close=st.booleans())
    def happen(self, name: str, close: bool) -> None:
        number = self.revisions.get(name, 0) + 1
        if name in self.closed:
            return
        record = event(name, number, Phase.CLOSE if close else Phase.OPEN if number == 1 else Phase.CHANGE)
        self.revisions[name] = number
        if close:
            self.closed.add(name)
        self.events.append(record)
        self.outbox.append([record])

    @rule(lane=st.sampled_from(Lane), most=st.integers(1, 20), size=st.integers(1, 2000))
    def number(self, lane: Lane, most: int, size: int) -> None:
        last = self.outbox.last()[lane]
        batch = self.outbox.number(lane, most, size)
        if batch is not None:
            assert batch.first == last + 1
            assert batch.last == self.outbox.last()[lane] == last + len(batch.records)
            assert self.outbox.unacked(lane)[-1] == batch

    @rule(lane=st.sampled_from(Lane), share=st.floats(0, 1))
    def acknowledge(self, lane: Lane, share: float) -> None:
        batches = self.outbox.unacked(lane)
        if not batches:
            return
        first, last = batches[0].first, batches[-1].last
        position = first - 1 + round(share * (last - first + 1))
        for batch in batches:
            self.deliver(records_of([batch])[: max(0, position - batch.first + 1)])
        self.outbox.ack(self.outbox.epoch, lane, position)

    @rule(seconds=st.floats(0, 100), older=st.floats(0, 60))
    def age(self, seconds: float, older: float) -> None:
        self.uptime.pass_s(seconds)
        self.outbox.age_into_backlog(round(older * 1e6))
        mine = {e.id for e in self.outbox.open_events()}
        assert mine == set(self.revisions) - self.closed

    @rule()
    def thin(self) -> None:
        with contextlib.suppress(NothingToThinError):
            self.outbox.transact(thin)

    @rule(reboot=st.booleans())
    def restart(self, reboot: bool) -> None:
        self.outbox.close()
        if reboot:
            self.boot += 1
            self.uptime.now = 10**6
        self.open()

    @rule(beyond=st.integers(1, 50))
    def restore_from_a_copy(self, beyond: int) -> None:
        """The cloud is further than the file in one lane: what is numbered there is with it."""
        last = self.outbox.last()
        for batch in self.outbox.unacked(Lane.LIVE):
            self.deliver(records_of([batch]))
        acked = {lane: min((b.first - 1 for b in self.outbox.unacked(lane)), default=last[lane]) for lane in Lane}
        positions = acked | {Lane.LIVE: last[Lane.LIVE] + beyond}
        assert self.outbox.welcome(self.outbox.epoch, positions) is Verdict.BEYOND

    def deliver(self, records: list[object]) -> None:
        self.delivered += [r for r in records if isinstance(r, Event)]
        self.delivered_readings += weight(records)

    @invariant()
    def nothing_is_lost_and_the_counts_are_right(self) -> None:
        held: dict[Lane, list[object]] = {}
        counts = {}
        for lane in Lane:
            batches = self.outbox.unacked(lane)
            numbers = [number for b in batches for number in range(b.first, b.last + 1)]
            assert numbers == list(range(numbers[0], numbers[-1] + 1)) if numbers else True
            held[lane] = list(records_of(batches))
            counts[lane] = len(held[lane])
        waiting = self.outbox.waiting()
        rows: dict[str, list[bytes]] = {}

        def look(connection: Connection) -> None:
            for queue in ("alarm", "live"):
                (aged,) = connection.execute("SELECT aged FROM queue WHERE name = ?", (queue,)).fetchone()
                found = connection.execute(f"SELECT id, body FROM {queue}").fetchall()
                rows[queue] = [body for _, body in found]
                counts[Lane.BACKLOG] += sum(row <= aged for row, _ in found)
                counts[Lane(queue)] += sum(row > aged for row, _ in found)

        self.outbox.transact(look)
        assert waiting == counts
        everything = [r for records in held.values() for r in records] + decode(rows["alarm"] + rows["live"])
        kept = [r for r in everything if isinstance(r, Event)]
        assert sorted(key(e) for e in kept + self.delivered) == sorted(key(e) for e in self.events)
        assert weight(everything) + self.delivered_readings == self.readings


def key(record: Event) -> tuple[str, int]:
    return record.id, record.revision


def weight(records: list[object]) -> int:
    """Readings that the records stand for."""
    return sum(r.count if isinstance(r, Summary) else 1 for r in records if isinstance(r, Reading | Summary))


def decode(bodies: list[bytes]) -> list[object]:
    return [decode_record(body) for body in bodies]


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
