"""Which frames are looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.pace import Freshness, Sampler


@pytest.mark.parametrize(("stream_fps", "wanted"), [(25, 5), (30, 5), (23.976, 5), (10, 5), (12.5, 10), (15, 2)])
def test_frames_are_picked_evenly(stream_fps: float, wanted: float) -> None:
    sampler = Sampler(wanted)
    picked = sum(sampler.pick(number / stream_fps) for number in range(int(stream_fps * 60)))
    assert picked / 60 == pytest.approx(wanted, rel=0.02)


def test_a_stream_slower_than_wanted_is_looked_at_whole() -> None:
    sampler = Sampler(10)
    assert all(sampler.pick(number / 4) for number in range(100))


def test_after_a_gap_there_is_no_burst_to_make_up_for_it() -> None:
    sampler = Sampler(5)
    for number in range(25):
        sampler.pick(number / 25)
    assert sum(sampler.pick(60 + number / 25) for number in range(25)) <= 6


def test_time_that_jumps_back_does_not_stop_the_picking() -> None:
    sampler = Sampler(5)
    for number in range(250):
        sampler.pick(1000 + number / 25)
    assert sum(sampler.pick(number / 25) for number in range(250)) == pytest.approx(50, abs=2)


def test_frames_out_of_order_are_no_jump() -> None:
    sampler = Sampler(5)
    in_coding_order = [group * 3 + offset for group in range(100) for offset in (2, 0, 1)]
    assert sum(sampler.pick(number / 25) for number in in_coding_order) == pytest.approx(60, abs=3)


@given(st.lists(st.floats(0.001, 5), min_size=2, max_size=200), st.floats(0.5, 30))
def test_never_more_than_wanted(gaps: list[float], fps: float) -> None:
    sampler, now, picked = Sampler(fps), 0.0, []
    for gap in gaps:
        now += gap
        if sampler.pick(now):
            picked.append(now)
    assert len(picked) <= (now - picked[0]) * fps + 2


def test_whoever_has_to_wait_is_not_behind() -> None:
    fresh, now = Freshness(0.0), 0.0
    for _ in range(100):
        fresh.came(asked=now, now=now + 0.03)
        now += 0.04
        assert not fresh.behind(now)


def test_whoever_never_waits_is_behind_until_it_waits_again() -> None:
    fresh, now = Freshness(0.0), 0.0
    while now < 1.5:
        fresh.came(asked=now, now=now + 0.0001)
        now += 0.05
    assert fresh.behind(now)
    fresh.came(asked=now, now=now + 0.02)
    assert not fresh.behind(now + 0.02)
