"""What was appended is there, in order, until the cloud has it."""

from pathlib import Path

import pytest

from contract.records import Lane, Phase
from edge.delivery.outbox import MAX_RECORD_BYTES, Outbox, RecordError
from edge.delivery.schema import OutboxError
from tests.edge.delivery.samples import Clock, drain, event, evidence, make, reading, records_of

MINUTE = 60_000_000


def test_records_come_out_of_their_lanes_in_the_order_they_went_in(outbox: Outbox) -> None:
    outbox.append([reading(1), event("a"), reading(2)])
    outbox.append([event("a", 2, Phase.CHANGE), reading(3)])
    assert records_of([outbox.number(Lane.ALARM, 10)]) == [event("a"), event("a", 2, Phase.CHANGE)]
    assert records_of([outbox.number(Lane.LIVE, 10)]) == [reading(1), reading(2), reading(3)]
    assert outbox.number(Lane.BACKLOG, 10) is None


def test_numbers_have_no_gap_and_a_batch_keeps_its_range(outbox: Outbox) -> None:
    outbox.append([reading(i) for i in range(10)])
    batches = [outbox.number(Lane.LIVE, 4) for _ in range(3)]
    assert [(b.first, b.last) for b in batches if b] == [(1, 4), (5, 8), (9, 10)]
    assert outbox.unacked(Lane.LIVE) == batches
    outbox.append([reading(10)])
    assert outbox.unacked(Lane.LIVE) == batches
    assert outbox.unacked(Lane.LIVE, after=8) == batches[2:]


def test_a_batch_takes_no_more_bytes_than_it_may_but_always_one_record(outbox: Outbox) -> None:
    outbox.append([reading(i) for i in range(10)])
    batch = outbox.number(Lane.LIVE, 1000, max_bytes=200)
    assert batch is not None
    assert 1 < len(batch.records) < 10
    assert sum(len(bytes(raw)) for raw in batch.records) <= 200
    single = outbox.number(Lane.LIVE, 1000, max_bytes=1)
    assert single is not None
    assert len(single.records) == 1


def test_what_the_database_holds_is_forgotten_and_nothing_else(outbox: Outbox) -> None:
    outbox.append([reading(i) for i in range(10)])
    for _ in range(3):
        outbox.number(Lane.LIVE, 4)
    outbox.ack(outbox.epoch + 1, Lane.LIVE, 10)
    outbox.ack(outbox.epoch, Lane.ALARM, 10)
    outbox.ack(outbox.epoch, Lane.LIVE, 11)
    assert len(outbox.unacked(Lane.LIVE)) == 3
    outbox.ack(outbox.epoch, Lane.LIVE, 4)
    outbox.ack(outbox.epoch, Lane.LIVE, 2)
    assert [b.first for b in outbox.unacked(Lane.LIVE)] == [5, 9]


def test_an_acknowledgement_inside_a_batch_leaves_the_rest_of_it(outbox: Outbox) -> None:
    outbox.append([reading(i) for i in range(6)])
    outbox.number(Lane.LIVE, 6)
    outbox.ack(outbox.epoch, Lane.LIVE, 2)
    (rest,) = outbox.unacked(Lane.LIVE)
    assert (rest.first, rest.last) == (3, 6)
    assert records_of([rest]) == [reading(i) for i in range(2, 6)]


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    first = make(tmp_path)
    first.append([reading(1), reading(2), event("a")])
    batch = first.number(Lane.LIVE, 1)
    epoch = first.epoch
    first.close()
    second = make(tmp_path)
    assert second.epoch == epoch
    assert second.unacked(Lane.LIVE) == [batch]
    assert records_of([second.number(Lane.LIVE, 9)]) == [reading(2)]
    assert second.open_events() == [event("a")]
    second.close()


def test_open_events_are_known_to_whoever_starts_again(outbox: Outbox) -> None:
    outbox.append([event("a"), event("b", source="lobby"), event("c")])
    outbox.append([event("a", 2, Phase.CHANGE), event("c", 2, Phase.CLOSE)])
    assert outbox.open_events() == [event("a", 2, Phase.CHANGE), event("b", source="lobby")]
    assert outbox.open_events(["lobby"]) == [event("b", source="lobby")]
    assert outbox.open_events([]) == []
    for lane in Lane:
        drain(outbox, lane)
    assert len(outbox.open_events()) == 2


def test_waiting_counts_every_record_until_it_is_acknowledged(outbox: Outbox, uptime: Clock) -> None:
    outbox.append([reading(1), reading(2), event("a"), evidence("0" * 64)])
    assert outbox.waiting() == {Lane.ALARM: 2, Lane.LIVE: 2, Lane.BACKLOG: 0}
    outbox.number(Lane.LIVE, 1)
    uptime.pass_s(60)
    assert outbox.age_into_backlog(30_000_000) == 2
    assert outbox.waiting() == {Lane.ALARM: 1, Lane.LIVE: 1, Lane.BACKLOG: 2}
    for lane in Lane:
        drain(outbox, lane)
    assert outbox.waiting() == dict.fromkeys(Lane, 0)


def test_what_lay_too_long_joins_the_backlog_but_open_events_stay_in_front(outbox: Outbox, uptime: Clock) -> None:
    over = [event("over"), event("over", 2, Phase.CLOSE)]
    still = [event("still"), event("still", 2, Phase.CHANGE)]
    outbox.append([reading(1), *over, *still])
    uptime.pass_s(3 * 86400)
    outbox.append([event("new"), reading(2)])
    outbox.age_into_backlog(30_000_000)
    assert drain(outbox, Lane.ALARM) == [event("new"), still[1]]
    assert drain(outbox, Lane.LIVE) == [reading(2)]
    assert drain(outbox, Lane.BACKLOG) == [*over, still[0], reading(1)]


def test_an_event_that_the_cloud_saw_opening_is_seen_closing(outbox: Outbox, uptime: Clock) -> None:
    outbox.append([event("seen"), event("unseen-yet")])
    outbox.number(Lane.ALARM, 1)
    outbox.append([event("seen", 2, Phase.CHANGE), event("seen", 3, Phase.CLOSE), event("unseen-yet", 2, Phase.CLOSE)])
    uptime.pass_s(3600)
    outbox.age_into_backlog(30_000_000)
    assert outbox.open_events() == []
    assert drain(outbox, Lane.ALARM) == [event("seen"), event("seen", 3, Phase.CLOSE)]
    assert drain(outbox, Lane.BACKLOG) == [
        event("unseen-yet"),
        event("seen", 2, Phase.CHANGE),
        event("unseen-yet", 2, Phase.CLOSE),
    ]


def test_a_jump_of_the_clock_ages_nothing(outbox: Outbox, clock: Clock, uptime: Clock) -> None:
    for jump in (-86400 * 365, 86400 * 3650):
        outbox.append([reading(1), event("a"), event("a", 2, Phase.CLOSE)])
        clock.pass_s(jump)
        uptime.pass_s(1)
        assert outbox.age_into_backlog(30_000_000) == 0


def test_what_a_run_of_the_machine_left_is_old_after_its_restart(tmp_path: Path) -> None:
    before = make(tmp_path, boot="one", uptime=Clock(5 * 86_400_000_000))
    before.append([reading(1), event("over"), event("over", 2, Phase.CLOSE), event("still")])
    before.close()
    after = make(tmp_path, boot="two", uptime=Clock(MINUTE))
    assert after.age_into_backlog(30_000_000) == 0
    assert drain(after, Lane.ALARM) == [event("still")]
    assert drain(after, Lane.LIVE) == []
    assert len(drain(after, Lane.BACKLOG)) == 3
    after.close()


def test_a_record_no_message_can_carry_is_refused_by_name(outbox: Outbox) -> None:
    huge = reading(1, quantity="x" * MAX_RECORD_BYTES)
    with pytest.raises(RecordError, match="reading of 1"):
        outbox.append([reading(1), huge])
    assert outbox.waiting()[Lane.LIVE] == 0
    outbox.append([])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match=r"nowhere/outbox\.sqlite.*storage\.folder"):
        make(tmp_path / "nowhere")
