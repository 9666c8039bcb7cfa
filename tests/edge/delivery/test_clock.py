"""A box knows how far its clock is off, and every record goes out with the clock that stamped it."""

import random
import sqlite3
from pathlib import Path

import pytest

from contract.messages import Batch
from contract.records import Lane
from edge.delivery.clock import CloudClock
from edge.delivery.conversation import Conversation
from edge.delivery.outbox import Outbox
from tests.edge.delivery.model import Channel, Cloud, Faults
from tests.edge.delivery.samples import START, Clock, event, make, reading, records_of

HOUR = 3_600_000_000
SECOND = 1_000_000


def test_the_quickest_exchange_counts_and_its_error_is_half_its_way() -> None:
    here = Clock(START - HOUR)
    clock = CloudClock(here)
    assert clock.ahead(10.0) is None
    # Asked at 10.0, written 0.9 s later, heard at 11.0: half of a second too far on.
    clock.heard(10.0, 11.0, START + 900_000)
    here.now = START - HOUR + SECOND
    assert abs(clock.ahead(11.0) + HOUR) <= SECOND // 2  # type: ignore[operator]
    clock.heard(11.0, 11.02, START + SECOND + 10_000)
    here.now += 20_000
    assert abs(clock.ahead(11.02) + HOUR) <= 10_000  # type: ignore[operator]
    clock.heard(12.0, 20.0, START + 2 * SECOND)
    here.now = START - HOUR + 10 * SECOND
    assert abs(clock.ahead(20.0) + HOUR) <= 10_000  # type: ignore[operator]


def test_setting_the_clock_is_noticed_without_another_exchange() -> None:
    here = Clock(START - HOUR)
    clock = CloudClock(here)
    clock.heard(0.0, 0.01, START)
    assert clock.off
    assert "3600.0 s behind the cloud's" in clock.told(0.01)
    here.now += HOUR
    assert abs(clock.ahead(0.01) or HOUR) < SECOND
    clock.heard(1.0, 1.01, START + SECOND)
    here.now -= 2 * HOUR
    assert abs((clock.ahead(1.01) or 0) + 2 * HOUR) < 2 * SECOND


def test_a_clock_that_hovers_about_the_limit_does_not_flicker() -> None:
    here = Clock()
    clock = CloudClock(here)
    told = []
    for number, off_s in enumerate((4.9, 5.1, 4.9, 5.1, 3.0, 2.4, 4.9)):
        now = float(number * 100)
        theirs = START + round(now * SECOND)
        here.now = theirs + int(off_s * SECOND)
        clock.heard(now, now, theirs)
        told.append(clock.off)
    assert told == [False, True, True, True, True, False, False]


def test_an_exchange_that_took_long_calls_no_clock_wrong() -> None:
    clock = CloudClock(Clock(START))
    clock.heard(0.0, 30.0, START)  # anything from 0 to 30 s off
    assert not clock.off


def simulated(outbox: Outbox, clock: Clock, cloud_ahead: int, faults: Faults) -> Channel:
    """A channel on which the cloud's clock goes, and the box's with it."""
    conversation = Conversation(outbox, clock)
    channel = Channel(conversation, Cloud(), faults, random.Random(3))
    channel.cloud.clock = lambda: START + cloud_ahead + round(channel.now * 1e6)
    conversation.connected(0.0)
    return channel


def run(channel: Channel, clock: Clock, uptime: Clock, seconds: float) -> None:
    """Time passes on both sides, a tenth of a second at once."""
    for _ in range(round(seconds * 10)):
        channel.run(channel.now + 0.1)
        clock.pass_s(0.1)
        uptime.pass_s(0.1)


@pytest.mark.parametrize("off", [-HOUR, HOUR, 0])
def test_batches_say_how_far_the_clock_is_off(outbox: Outbox, clock: Clock, uptime: Clock, off: int) -> None:
    channel = simulated(outbox, clock, -off, Faults(delay=0.05, jitter=0.1))
    for value in range(5):
        outbox.append([reading(value)])
        run(channel, clock, uptime, 1.0)
    claims = [batch.ahead for batch in channel.batches()]
    assert claims
    assert all(claim is not None and abs(claim - off) < 300_000 for claim in claims), claims
    assert channel.conversation.cloud_clock.off is (off != 0)


def test_what_was_stamped_before_the_clock_was_set_goes_out_as_of_the_clock_before(
    outbox: Outbox, clock: Clock, uptime: Clock
) -> None:
    """A box without a battery: an hour slow until it finds a time server, which is when the link is back."""
    clock.now -= HOUR
    outbox.append([reading(1), event("fire")])
    clock.pass_s(10)
    uptime.pass_s(10)
    clock.now += HOUR
    outbox.append([reading(2)])
    channel = simulated(outbox, clock, 10 * SECOND, Faults(delay=0.01))
    run(channel, clock, uptime, 2.0)
    assert channel.cloud.records[Lane.LIVE] == [reading(1), reading(2)]
    batches = channel.batches()
    slow = [batch for batch in batches if abs(batch.ahead + HOUR) < SECOND]  # type: ignore[operator]
    right = [batch for batch in batches if batch.ahead == 0]
    assert [batch.lane for batch in slow] == [Lane.ALARM, Lane.LIVE]
    assert [batch.lane for batch in right] == [Lane.LIVE]
    for batch in slow:
        assert abs(batch.sent - (START + 10 * SECOND - HOUR)) < 2 * SECOND


def test_a_batch_holds_records_of_one_clock(outbox: Outbox, clock: Clock) -> None:
    outbox.append([reading(1), reading(2)])
    clock.now -= HOUR
    outbox.append([reading(3)])
    clock.now += 2 * HOUR
    outbox.append([reading(4)])
    batches = [outbox.number(Lane.LIVE, 1000) for _ in range(4)]
    assert [len(batch.records) for batch in batches if batch] == [2, 1, 1]
    first, second, third = (batch.base for batch in batches if batch)
    assert first is not None
    assert (second, third) == (first - HOUR, first + HOUR)
    assert [batch.base for batch in outbox.unacked(Lane.LIVE)] == [first, second, third]


def test_an_event_that_stays_open_through_a_step_keeps_the_clock_that_stamped_it(
    outbox: Outbox, clock: Clock, uptime: Clock
) -> None:
    outbox.append([event("fire")])
    before = outbox.base
    clock.now += HOUR
    for by in (clock, uptime):
        by.pass_s(60)
    outbox.append([event("other")])
    for _ in range(2):
        outbox.age_into_backlog(30_000_000)
    batches = [outbox.number(Lane.ALARM, 9) for _ in range(2)]
    assert records_of(batches) == [event("other"), event("fire")]
    assert [batch.base for batch in batches if batch] == [before + HOUR, before]
    outbox.append([event("third")])
    third = outbox.number(Lane.ALARM, 9)
    assert third is not None
    assert third.base == before + HOUR


def test_small_steps_are_drift(outbox: Outbox, clock: Clock) -> None:
    for value in range(5):
        outbox.append([reading(value)])
        clock.now += 300_000
    first, second = outbox.number(Lane.LIVE, 1000), outbox.number(Lane.LIVE, 1000)
    assert first is not None
    assert second is not None
    assert len(first.records) == 4  # the fourth step makes a second of it


def test_after_a_restart_of_the_machine_nobody_knows_the_clock_of_before(tmp_path: Path) -> None:
    first = make(tmp_path, boot="a", uptime=Clock(5))
    first.append([reading(1), reading(2)])
    first.number(Lane.LIVE, 1)
    first.close()
    again = make(tmp_path, boot="b", uptime=Clock(1))
    again.append([reading(3)])
    batches = [*again.unacked(Lane.LIVE), again.number(Lane.BACKLOG, 9), again.number(Lane.LIVE, 9)]
    assert records_of(batches) == [reading(1), reading(2), reading(3)]
    assert [batch.base is None for batch in batches if batch] == [True, True, False]
    again.close()


def test_an_outbox_of_an_earlier_release_goes_on(tmp_path: Path) -> None:
    box = make(tmp_path)
    box.append([reading(1), reading(2)])
    box.number(Lane.LIVE, 1)
    box.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as connection:
        connection.executescript("DROP TABLE clock; ALTER TABLE batch DROP COLUMN base")
    connection.close()
    box = make(tmp_path)
    box.append([reading(3)])
    batches = [*box.unacked(Lane.LIVE), box.number(Lane.LIVE, 9), box.number(Lane.LIVE, 9)]
    assert records_of(batches) == [reading(1), reading(2), reading(3)]
    box.close()


def test_what_is_sent_again_carries_the_time_of_that_sending(outbox: Outbox, clock: Clock, uptime: Clock) -> None:
    channel = simulated(outbox, clock, 0, Faults(delay=0.01))
    run(channel, clock, uptime, 1.0)
    channel.faults.loss = 1.0
    outbox.append([event("fire")])
    run(channel, clock, uptime, 20.0)
    sent = [batch.sent for batch in channel.sent if isinstance(batch, Batch)]
    assert len(sent) > 4
    assert sent[-1] - sent[0] > 14 * SECOND
