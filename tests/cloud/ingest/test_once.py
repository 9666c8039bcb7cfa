"""Every record once: whatever is repeated, reordered or cut off, whoever else writes."""

from collections.abc import Iterator, Sequence

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from cloud.ingest import journal
from cloud.ingest.arrival import Arrival, Waiting, read
from cloud.ingest.gathering import Gathering
from cloud.ingest.journal import FenceError, Line
from cloud.ingest.nodes import Nodes
from cloud.ingest.positions import Place, Positions, Verdict
from cloud.ingest.transaction import SeriesIds, Work, commit
from cloud.store.connection import connect
from cloud.store.retention import SEQ_BITS
from cloud.store.times import DAY
from cloud.store.upkeep import ensure_days
from contract.messages import Batch
from contract.records import Lane, Reading
from contract.topics import Address, Channel
from contract.wire import encode
from tests.cloud.ingest.conftest import batch

NOW = 1_764_000_000_000_000
NODE = Address(5, "mill", "north")
UP = NODE.topic(Channel.UP)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, "test") as connection:
        connection.execute("INSERT INTO node (site, node, partition) VALUES ('mill', 'north', 5)")
        ensure_days(connection, NOW)
        yield connection


class Taker:
    """What a worker holds for as long as its session lasts."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.heads = {NODE.partition: journal.heads(connection, [NODE.partition])[NODE.partition][0]}
        self.positions = Positions()
        self.series = SeriesIds()
        self.gathering = Gathering(connection, Nodes(connection, lambda: 0.0), self.positions, self.heads.__contains__)

    def take(self, arrivals: Sequence[Arrival]) -> None:
        gathered = self.gathering.gather(arrivals)
        if gathered.work:
            commit(self.connection, self.heads, self.series, gathered.work)
        self.positions.settle()

    def held(self, epoch: int, lane: Lane) -> int:
        place = Place(NODE.site, NODE.node, epoch, lane)
        return self.positions.held(place) if self.positions.knows(place) else 0


def reading(number: int) -> Reading:
    return Reading(time=NOW + number, source="gas-1", quantity="co", value=number)


def arrival(epoch: int, lane: Lane, first: int, last: int) -> Arrival:
    records = [reading(1000 * list(Lane).index(lane) + 100_000 * epoch + n) for n in range(first, last + 1)]
    return read(UP, encode(batch(epoch, first, records, lane)), NOW)


BATCHES = st.tuples(st.integers(1, 2), st.sampled_from(Lane), st.integers(1, 12), st.integers(0, 6))


@given(
    turns=st.lists(st.lists(BATCHES, min_size=1, max_size=4), max_size=12),
    restarts=st.sets(st.integers(0, 11), max_size=3),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_repetition_ends_with_every_record_once(
    connection: psycopg.Connection, turns: list[list[tuple[int, Lane, int, int]]], restarts: set[int]
) -> None:
    connection.execute("TRUNCATE reading, latest, journal, journal_head, position")
    taker = Taker(connection)
    for number, turn in enumerate(turns):
        if number in restarts:
            taker = Taker(connection)
        taker.take([arrival(epoch, lane, first, first + more) for epoch, lane, first, more in turn])
    for epoch in (1, 2):
        for lane in Lane:
            taker.take([arrival(epoch, lane, 1, 1)])  # the node asks where it is
            if (held := taker.held(epoch, lane)) < 20:
                taker.take([arrival(epoch, lane, held + 1, 20)])
    found = connection.execute("SELECT value, count(*) FROM reading GROUP BY 1").fetchall()
    assert len(found) == 2 * 3 * 20
    assert {count for _, count in found} == {1}
    assert connection.execute("SELECT sum(last - first + 1) FROM journal").fetchone() == (120,)


def test_a_second_writer_cannot_commit(connection: psycopg.Connection, database: str) -> None:
    first, second = Taker(connection), Taker(connection)
    second.take([arrival(1, Lane.LIVE, 9, 9)])  # learns that nothing is held yet
    first.take([arrival(1, Lane.LIVE, 1, 3)])
    with connect(database, "test") as other:
        second.connection = other
        with pytest.raises(FenceError, match="another worker has written"):
            second.take([arrival(1, Lane.LIVE, 1, 3)])
    assert connection.execute("SELECT count(*) FROM reading").fetchone() == (3,)


def test_nor_can_one_who_knows_the_head_but_not_the_journal(connection: psycopg.Connection) -> None:
    first = Taker(connection)
    first.take([arrival(1, Lane.LIVE, 1, 3)])
    connection.execute("UPDATE journal_head SET seq = 0")
    second = Taker(connection)
    with pytest.raises(psycopg.errors.UniqueViolation):
        second.take([arrival(2, Lane.LIVE, 1, 3)])


def test_a_new_day_of_the_journal_begins_above_the_old_one() -> None:
    today = NOW // DAY
    lines = [Line(5, "tick", NOW), Line(5, "tick", NOW), Line(5, "tick", NOW + DAY), Line(5, "tick", NOW)]
    first = today << SEQ_BITS
    tomorrow = (today + 1) << SEQ_BITS
    assert journal.number({5: 0}, lines) == [first, first + 1, tomorrow, tomorrow + 1]


def test_the_journal_gives_back_what_it_was_given(connection: psycopg.Connection) -> None:
    lines = [
        Line(5, "rules", NOW, b"rules"),
        Line(5, "batch", NOW, b"\x00body", "mill", "north", Lane.BACKLOG, 2**63 - 1, 1, 9),
        Line(5, "tick", NOW + 1),
    ]
    heads = {5: journal.heads(connection, [5])[5][0]}
    work = Work(lines=lines, records=[(), (), ()])
    numbers, _ = commit(connection, heads, SeriesIds(), work)
    assert journal.read(connection, 5, 0, 10) == list(zip(numbers, lines, strict=True))
    assert journal.read(connection, 5, numbers[1], 10) == [(numbers[2], lines[2])]
    assert journal.heads(connection, [5])[5] == (numbers[2], journal.fingerprint(b"rules"))


def test_positions_judge_by_number_alone() -> None:
    place = Place("mill", "north", 1, Lane.LIVE)
    positions = Positions()
    positions.learn(place, 10)
    assert positions.judge(place, 12, 13) is Verdict.MISPLACED
    assert positions.judge(place, 11, 12) is Verdict.ACCEPTED
    assert positions.judge(place, 11, 12) is Verdict.REPEATED
    assert positions.judge(place, 13, 13) is Verdict.ACCEPTED
    positions.undo()
    assert positions.held(place) == 10
    assert positions.judge(place, 10, 11) is Verdict.MISPLACED
    assert positions.judge(place, 11, 10) is Verdict.REPEATED  # an empty one


def test_alarms_overtake_bulk_but_never_starve_it() -> None:
    waiting = Waiting()
    bulk = [arrival(1, Lane.LIVE, n, n) for n in (1, 2)]
    alarms = [arrival(1, Lane.ALARM, n, n) for n in (1, 2)]
    for one in (bulk[0], alarms[0], bulk[1]):
        waiting.put(one)
    assert waiting.take(1, 100) == [alarms[0]]
    waiting.put(alarms[1])
    assert waiting.take(1, 100) == [alarms[1], *bulk]
    assert waiting.bytes == 0
    assert waiting.take(0, 100) == []


def test_who_is_behind_gathers_for_a_moment() -> None:
    waiting = Waiting()
    bulk = [arrival(1, Lane.LIVE, n, n + 9) for n in (1, 11, 21)]
    for one in bulk:
        waiting.put(one)
    assert waiting.take(1, 20) == bulk[:2]
    assert waiting.take(1, 20, gather_s=0.001) == bulk[2:]


def test_what_there_is_no_room_for_is_dropped_and_counted() -> None:
    small = arrival(1, Lane.LIVE, 1, 1)
    waiting = Waiting(most_bytes=2 * small.held)
    assert [waiting.put(small) for _ in range(3)] == [True, True, False]
    assert waiting.put(arrival(1, Lane.ALARM, 1, 1))
    assert (waiting.dropped(), waiting.dropped()) == (1, 0)


def test_what_waits_is_weighed_unpacked() -> None:
    """A few kilobytes of nothing, packed, unpack to a quarter of a million records."""
    nils = encode(Batch(epoch=1, lane=Lane.LIVE, first=1, last=250_000, sent=NOW, records=(Raw(b"\xc0"),) * 250_000))
    assert len(nils) < 10_000
    one = read(UP, nils, NOW)
    assert one.records == 250_000
    assert one.held > 250_000 * 96
    waiting = Waiting()
    kept = sum(waiting.put(one) for _ in range(1000))
    assert 1 <= kept <= 2
