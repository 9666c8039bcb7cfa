"""Whatever the channel does: every record arrives once, in the order of its lane, and alarms first."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.messages import Ack, Batch, Welcome
from contract.records import Event, Lane, Phase, Reading
from contract.wire import encode
from edge.delivery.conversation import Conversation, State
from edge.delivery.outbox import Outbox
from tests.edge.delivery.model import Channel, Cloud, Faults
from tests.edge.delivery.samples import Clock, event, make, reading

SHM = Path("/dev/shm")
FAST = SHM if SHM.is_dir() else None
"""A memory file system: a property test need not wait for thousands of fsyncs."""


@pytest.fixture
def channel(outbox: Outbox, clock: Clock) -> Channel:
    return talk(outbox, clock)


def talk(outbox: Outbox, clock: Clock, faults: Faults | None = None, seed: int = 0) -> Channel:
    def ticking() -> int:
        clock.now += 1
        return clock.now

    conversation = Conversation(outbox, ticking)
    channel = Channel(conversation, Cloud(), faults or Faults(), random.Random(seed))
    conversation.connected(0.0)
    return channel


@settings(max_examples=60, deadline=None)
@given(
    loss=st.floats(0, 0.5),
    double=st.floats(0, 0.5),
    jitter=st.floats(0, 3.0),
    cuts=st.lists(st.floats(0.1, 20.0), max_size=3),
    credit=st.sampled_from([0, 500, 5000, 1 << 20]),
    seed=st.integers(0, 2**32),
)
def test_every_record_arrives_once_and_in_order_over_any_channel(
    loss: float, double: float, jitter: float, cuts: list[float], credit: int, seed: int
) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        outbox = make(Path(folder))
        channel = talk(outbox, Clock(), Faults(loss, double, 0.02, jitter), seed)
        channel.cloud.credit = credit
        appended: list[float] = []
        for step in range(30):
            records = [reading(step * 10 + i) for i in range(chance.randrange(8))]
            appended += [record.value for record in records]
            outbox.append([*records, event("e", step + 1)])
            channel.run(channel.now + chance.random())
        for cut in sorted(cuts):
            channel.run(channel.now + cut)
            channel.cut()
            channel.conversation.connected(channel.now)
        channel.faults = Faults(loss=loss / 2)
        for _ in range(200):
            channel.run(channel.now + 5)
            if sum(outbox.waiting().values()) == 0:
                break
        outbox.close()
    arrived = channel.cloud.records
    assert [e.revision for e in arrived[Lane.ALARM] if isinstance(e, Event)] == list(range(1, 31))
    assert [r.value for r in arrived[Lane.LIVE] if isinstance(r, Reading)] == appended
    assert len(channel.cloud.epochs) == 1


def test_alarms_overtake_a_backlog_of_any_size(channel: Channel, outbox: Outbox, uptime: Clock) -> None:
    outbox.append([reading(i) for i in range(20_000)])
    uptime.pass_s(3 * 86400)
    outbox.append([reading(-1), event("fire")])
    channel.run(0.1)
    assert [batch.lane for batch in channel.batches()][:3] == [Lane.ALARM, Lane.LIVE, Lane.BACKLOG]
    backlog = len(channel.cloud.records[Lane.BACKLOG])
    assert backlog < 20_000
    outbox.append([event("second")])
    before = len(channel.batches())
    channel.run(channel.now + 0.03)
    assert channel.batches()[before].lane is Lane.ALARM
    channel.run(channel.now + 30)
    assert channel.cloud.records[Lane.BACKLOG] == [reading(i) for i in range(20_000)]
    assert outbox.waiting() == dict.fromkeys(Lane, 0)


def test_open_alarms_come_first_after_days_without_a_link(channel: Channel, outbox: Outbox, uptime: Clock) -> None:
    over = [event("over"), event("over", 2, Phase.CLOSE)]
    outbox.append([reading(0), *over, event("still"), event("still", 2, Phase.CHANGE)])
    uptime.pass_s(3 * 86400)
    channel.run(2.0)
    assert channel.cloud.records[Lane.ALARM] == [event("still", 2, Phase.CHANGE)]
    assert channel.cloud.records[Lane.BACKLOG] == [*over, event("still"), reading(0)]
    assert channel.batches()[0].lane is Lane.ALARM


def test_what_lies_while_the_database_is_away_becomes_backlog_too(
    channel: Channel, outbox: Outbox, uptime: Clock
) -> None:
    channel.run(1.0)
    channel.faults.loss = 1.0
    outbox.append([reading(1)])
    channel.run(2.0)
    outbox.append([reading(2)])
    uptime.pass_s(60)
    channel.run(60.0)
    channel.faults.loss = 0.0
    channel.run(90.0)
    assert channel.cloud.records[Lane.LIVE] == [reading(1)]
    assert channel.cloud.records[Lane.BACKLOG] == [reading(2)]


def test_a_second_sending_is_the_same_as_the_first(channel: Channel, outbox: Outbox) -> None:
    channel.run(1.0)
    channel.faults.loss = 1.0
    for value in range(5):
        outbox.append([event("a", value + 1)])
        channel.run(channel.now + 0.01)
    channel.cut()
    channel.conversation.connected(channel.now)
    channel.faults.loss = 0.0
    channel.run(channel.now + 10)
    sendings: dict[int, set[tuple[int, bytes]]] = {}
    for batch in channel.batches():
        sendings.setdefault(batch.first, set()).add((batch.last, b"".join(bytes(raw) for raw in batch.records)))
    assert len(channel.batches()) > len(sendings)
    assert all(len(versions) == 1 for versions in sendings.values())
    assert [e.revision for e in channel.cloud.records[Lane.ALARM] if isinstance(e, Event)] == [1, 2, 3, 4, 5]


def test_a_lost_batch_is_sent_again_within_the_measured_time(channel: Channel, outbox: Outbox) -> None:
    for revision in range(1, 30):
        outbox.append([event("a", revision)])
        channel.run(channel.now + 0.2)
    channel.faults.loss = 1.0
    outbox.append([event("a", 30)])
    channel.run(channel.now + 0.01)
    channel.faults.loss = 0.0
    channel.run(channel.now + 0.5)
    assert len(channel.cloud.records[Lane.ALARM]) == 30


def test_a_silent_cloud_is_asked_now_and_then_not_flooded(channel: Channel, outbox: Outbox) -> None:
    channel.run(1.0)
    channel.faults.loss = 1.0
    outbox.append([event("a", r) for r in range(1, 500)] + [reading(i) for i in range(5000)])
    channel.run(2.0)
    before = len(channel.sent)
    channel.run(102.0)
    assert len(channel.sent) - before <= 2 * 100 / 4 + 10


def test_the_credit_of_the_cloud_is_kept(channel: Channel, outbox: Outbox) -> None:
    channel.cloud.credit = 20_000
    outbox.append([reading(i) for i in range(5_000)])
    channel.run(1.0)
    channel.faults.loss = 1.0
    before = len(channel.sent)
    channel.run(1.2)
    under_way = [encode(message) for message in channel.sent[before:]]
    assert sum(map(len, under_way)) <= 20_000


def test_a_position_beyond_our_numbers_begins_a_new_epoch(channel: Channel, outbox: Outbox) -> None:
    first = outbox.epoch
    channel.cloud.positions[first, Lane.LIVE] = 50
    outbox.append([reading(i) for i in range(10)])
    channel.run(5.0)
    assert outbox.epoch != first
    assert channel.cloud.records[Lane.LIVE] == [reading(i) for i in range(10)]
    assert channel.cloud.epochs == [first, outbox.epoch]


def test_a_cloud_that_lost_what_it_had_gets_a_new_epoch_and_everything_from_then_on(
    channel: Channel, outbox: Outbox
) -> None:
    first = outbox.epoch
    outbox.append([reading(i) for i in range(10)])
    channel.run(2.0)
    channel.cloud.positions.clear()
    outbox.append([reading(i) for i in range(10, 20)])
    channel.run(60.0)
    assert outbox.epoch != first
    assert channel.cloud.records[Lane.LIVE] == [reading(i) for i in range(20)]


def test_a_new_epoch_under_way_is_introduced_before_its_records(channel: Channel, outbox: Outbox) -> None:
    """As when the file was found damaged and replaced by its successor."""
    outbox.claim("square/box")
    outbox.append([reading(i) for i in range(10)])
    channel.run(2.0)
    first = outbox.epoch
    assert outbox.claim("square/other")
    outbox.append([reading(i) for i in range(10, 20)])
    channel.run(10.0)
    assert channel.cloud.records[Lane.LIVE] == [reading(i) for i in range(20)]
    assert channel.cloud.epochs == [first, outbox.epoch]


def test_old_answers_do_not_confuse(channel: Channel, outbox: Outbox) -> None:
    first = outbox.epoch
    for value in range(5):
        outbox.append([reading(value)])
        channel.run(channel.now + 1)
    channel.faults.delay = 0.01
    for answer in list(channel.answers):
        channel.conversation.receive(encode(answer), channel.now)
        channel.run(channel.now + 0.1)
    outbox.append([reading(5)])
    channel.run(channel.now + 30)
    assert outbox.epoch == first
    assert channel.cloud.records[Lane.LIVE] == [reading(i) for i in range(6)]


def test_a_welcome_from_an_earlier_connection_costs_no_epoch(channel: Channel, outbox: Outbox) -> None:
    first = outbox.epoch
    channel.run(1.0)
    (early,) = (answer for answer in channel.answers if isinstance(answer, Welcome))
    outbox.append([reading(i) for i in range(10)])
    channel.run(3.0)
    channel.cut()
    channel.conversation.connected(channel.now)
    channel.faults.delay = 0.5
    channel.run(channel.now + 0.1)
    channel.conversation.receive(encode(early), channel.now)
    channel.faults.delay = 0.02
    outbox.append([reading(i) for i in range(10, 20)])
    channel.run(channel.now + 10)
    assert outbox.epoch == first
    assert channel.cloud.records[Lane.LIVE] == [reading(i) for i in range(20)]


def test_a_late_welcome_that_comes_twice_costs_no_epoch(channel: Channel, outbox: Outbox) -> None:
    """The first raises a doubt; the second must not pass for the answer to what is asked then."""
    first = outbox.epoch
    channel.run(1.0)
    (early,) = (answer for answer in channel.answers if isinstance(answer, Welcome))
    outbox.append([reading(i) for i in range(10)])
    channel.run(3.0)
    channel.cut()
    channel.conversation.connected(channel.now)
    channel.faults.delay = 4.0
    for _ in range(6):  # before anything is asked again, and after it
        channel.conversation.receive(encode(early), channel.now)
        channel.run(channel.now + 0.5)
    channel.faults.delay = 0.02
    outbox.append([reading(i) for i in range(10, 20)])
    channel.run(channel.now + 20)
    assert outbox.epoch == first
    assert channel.cloud.records[Lane.LIVE] == [reading(i) for i in range(20)]


def test_a_cloud_that_does_not_say_what_it_answers_is_heard_once_it_was_asked(channel: Channel, outbox: Outbox) -> None:
    channel.cloud.says_what_it_answers = False
    outbox.append([reading(1)])
    channel.conversation.receive(encode(Welcome(epoch=outbox.epoch, positions={}, time=0)), 0.0)
    assert channel.conversation.state is State.GREETING
    channel.run(1.0)
    assert channel.cloud.records[Lane.LIVE] == [reading(1)]


def test_nonsense_and_strangers_are_passed_over(channel: Channel, outbox: Outbox) -> None:
    channel.run(1.0)
    outbox.append([reading(1)])
    channel.conversation.receive(b"\xc1 nonsense", channel.now)
    stranger = Ack(epoch=outbox.epoch ^ 1, lane=Lane.LIVE, position=1, time=0)
    channel.conversation.receive(encode(stranger), channel.now)
    assert outbox.waiting()[Lane.LIVE] == 1
    assert channel.conversation.state is State.TALKING


def test_a_burst_of_readings_shares_batches(channel: Channel, outbox: Outbox) -> None:
    channel.run(1.0)
    for value in range(100):
        outbox.append([reading(value)])
        channel.run(channel.now + 0.01)
    channel.run(channel.now + 1)
    assert len(channel.cloud.records[Lane.LIVE]) == 100
    assert len([b for b in channel.batches() if isinstance(b, Batch) and b.lane is Lane.LIVE]) < 12
