"""How long to wait, how much to have under way, and who goes first."""

from hypothesis import given
from hypothesis import strategies as st

from contract.records import Lane
from contract.wire import MAX_WIRE
from edge.delivery.timer import FIRST_RTO_S, MAX_RTO_S, MIN_RTO_S, DelayLimit, RetransmitTimer
from edge.delivery.window import MAX_CREDIT, Flight, Window


def sent(window: Window, now: float) -> list[tuple[Lane, int]]:
    found = []
    while step := window.next(now):
        found.append((step[0], step[1].first))
    return found


def flights(count: int, size: int = 100, first: int = 1) -> list[Flight]:
    return [Flight(number, number, size, size) for number in range(first, first + count)]


def test_the_timer_follows_rfc_6298() -> None:
    timer = RetransmitTimer()
    assert timer.rto == FIRST_RTO_S
    timer.sample(0.5)
    assert timer.srtt == 0.5
    assert timer.rto == 0.5 + 4 * 0.25
    timer.sample(0.5)
    assert timer.rto == 0.5 + 4 * 0.1875
    timer.back_off()
    assert timer.rto == 2 * (0.5 + 4 * 0.1875)


@given(st.lists(st.one_of(st.floats(0, 1e6), st.none()), max_size=50))
def test_the_timer_stays_within_its_bounds(samples: list[float | None]) -> None:
    timer = RetransmitTimer()
    for sample in samples:
        if sample is None:
            timer.back_off()
        else:
            timer.sample(sample)
        assert MIN_RTO_S <= timer.rto <= MAX_RTO_S


def test_bulk_shrinks_where_it_delays_and_grows_where_it_does_not() -> None:
    limit = DelayLimit()
    before = limit.bytes
    limit.sample(0.1, 10_000, now=1.0)
    assert limit.bytes == before + 10_000
    limit.sample(3.0, 10_000, now=2.0)
    limit.sample(3.0, 10_000, now=2.1)
    assert limit.bytes == (before + 10_000) // 2
    for step in range(100):
        limit.sample(3.0, 1, now=10.0 * step + 10)
    assert limit.bytes == DelayLimit.LEAST


def test_lanes_go_in_their_order() -> None:
    window = Window()
    for lane in (Lane.BACKLOG, Lane.LIVE, Lane.ALARM):
        window.add(lane, flights(2))
    assert [lane for lane, _ in sent(window, 0.0)] == [Lane.ALARM] * 2 + [Lane.LIVE] * 2 + [Lane.BACKLOG] * 2


def test_only_the_oldest_is_tried_until_something_comes_back() -> None:
    window = Window()
    window.add(Lane.ALARM, flights(5))
    assert len(sent(window, 0.0)) == 5
    assert sent(window, FIRST_RTO_S - 0.01) == []
    assert window.deadline() == FIRST_RTO_S
    assert sent(window, FIRST_RTO_S) == [(Lane.ALARM, 1)]
    assert sent(window, FIRST_RTO_S + 1.0) == []
    assert window.acknowledge(Lane.ALARM, 1, None, FIRST_RTO_S + 1.0)
    assert sent(window, FIRST_RTO_S + 1.0) == [(Lane.ALARM, number) for number in (2, 3, 4, 5)]
    assert window.resent == 5


def test_one_loss_is_answered_once_however_often_the_cloud_complains() -> None:
    window = Window()
    window.add(Lane.ALARM, flights(1))
    sent(window, 0.0)
    window.acknowledge(Lane.ALARM, 1, None, 0.1)
    window.add(Lane.ALARM, flights(4, first=2))
    assert len(sent(window, 1.0)) == 4
    assert window.acknowledge(Lane.ALARM, 1, 2, 1.1)
    assert sent(window, 1.1) == [(Lane.ALARM, number) for number in (2, 3, 4, 5)]
    for late in (1.101, 1.102):
        assert window.acknowledge(Lane.ALARM, 1, 2, late)
        assert sent(window, late) == []


def test_an_answer_for_a_number_we_never_gave_is_reported() -> None:
    window = Window()
    window.add(Lane.ALARM, [Flight(1, 10, 100, 100)])
    sent(window, 0.0)
    assert not window.acknowledge(Lane.ALARM, 4, 5, 0.1)


def test_an_exhausted_credit_stops_bulk_but_not_the_alarm() -> None:
    window = Window(credit=1000)
    window.add(Lane.BACKLOG, flights(20))
    assert len(sent(window, 0.0)) == 5
    window.add(Lane.LIVE, flights(20))
    assert len(sent(window, 0.0)) == 2
    window.offer(0)
    window.add(Lane.ALARM, flights(1))
    assert sent(window, 0.0) == [(Lane.ALARM, 1)]


def test_the_credit_counts_what_lies_in_the_clouds_memory_not_what_the_wire_carried() -> None:
    window = Window(credit=10_000)
    window.add(Lane.BACKLOG, [Flight(number, number, 100, 2_000) for number in range(1, 20)])
    assert len(sent(window, 0.0)) == 2  # half of the credit is the backlog's share
    window = Window(credit=30_000)
    assert window.room(Lane.BACKLOG) == 15_000


def test_a_credit_of_nothing_lets_one_batch_through_at_a_time() -> None:
    window = Window(credit=0)
    window.add(Lane.LIVE, flights(3))
    for number in (1, 2, 3):
        assert sent(window, float(number)) == [(Lane.LIVE, number)]
        window.acknowledge(Lane.LIVE, number, None, number + 0.1)


def test_no_more_lies_in_memory_than_we_allow() -> None:
    window = Window()
    window.offer(1 << 40)
    assert window.credit == MAX_CREDIT
    assert window.room(Lane.ALARM) == MAX_WIRE


def test_nothing_is_numbered_while_something_waits_to_be_sent() -> None:
    window = Window(credit=1000)
    window.add(Lane.LIVE, flights(20))
    sent(window, 0.0)
    assert window.room(Lane.LIVE) == 0
