"""Every camera gets its turn, none too often, and always with its newest frame."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge.vision.scheduler import Scheduler


def run(scheduler: Scheduler, cost_s: float, until_s: float, rate: float = 30.0) -> Counter[str]:
    """Cameras that give ``rate`` frames a second, looked at by detectors that take ``cost_s`` for each."""
    looks: Counter[str] = Counter()
    now = 0.0
    while now < until_s:
        ready = [c for c in scheduler.due(now) if int(now * rate) + 1 > scheduler.sequence(c)]
        if not ready:
            now += 0.005
            continue
        scheduler.take(ready[0], int(now * rate) + 1, now)
        looks[ready[0]] += 1
        now += cost_s
    return looks


@given(st.integers(1, 12), st.floats(0.001, 0.5))
def test_equal_cameras_get_equal_turns_however_slow_the_detectors_are(cameras, cost_s):
    looks = run(Scheduler({f"camera-{i}": 5.0 for i in range(cameras)}), cost_s, 30.0)
    assert max(looks.values()) - min(looks.values()) <= 1


def test_each_cameras_rate_is_a_ceiling_kept_on_average():
    looks = run(Scheduler({"slow": 1.0, "fast": 10.0}), 0.002, 60.0)
    assert 58 <= looks["slow"] <= 61
    assert 590 <= looks["fast"] <= 601


def test_a_slow_camera_is_not_starved_by_fast_ones():
    looks = run(Scheduler({"slow": 1.0, "fast": 30.0, "faster": 30.0}), 0.2, 60.0)
    assert looks["slow"] >= 55


def test_missed_turns_are_not_made_up_for():
    scheduler = Scheduler({"a": 2.0})
    scheduler.take("a", 1, 0.0)
    scheduler.take("a", 2, 100.0)
    assert scheduler.due(100.1) == ()
    assert scheduler.due(100.5) == ("a",)


def test_frames_that_never_had_a_turn_are_counted_and_a_new_writer_is_no_gap():
    scheduler = Scheduler({"a": 5.0})
    for sequence in (7_000_000, 7_000_001, 7_000_005, 9_000_000, 9_000_002):
        scheduler.take("a", sequence, 0.0)
    assert scheduler.skipped("a") == 4


def test_the_wait_ends_with_the_next_turn_of_a_camera_that_is_not_due():
    scheduler = Scheduler({"a": 4.0, "b": 2.0})
    assert scheduler.wait_s(0.0) == float("inf")
    scheduler.take("a", 1, 0.0)
    assert 0.0 < scheduler.wait_s(0.0) <= 0.25
    scheduler.take("b", 1, 0.0)
    assert scheduler.wait_s(0.2) == 0.25 - 0.2
