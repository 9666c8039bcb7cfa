"""Windows say what the plain definition says, in whatever order samples come, and keep only so much."""

from datetime import timedelta
from itertools import pairwise
from math import fsum
from statistics import mean

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.durations import DAY, MINUTE, SECOND
from rules.signals.numbers import Average, Forecast, Greatest, Least, Rate, Rising, TimeTo
from rules.signals.occurrences import MOST, Absent, Count, Distinct, Last, LastOpen, Open, Seen
from rules.signals.panes import PANES, Panes
from rules.signals.patterns import Sequence, Votes
from rules.signals.trend import trend_of
from rules.signals.window import Sample, Window

T = 1_700_000_000 * SECOND
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work may share the machine
SPAN = 2 * MINUTE  # panes of exactly one second

samples = st.lists(
    st.tuples(st.integers(0, 400), st.floats(-1000, 1000)), min_size=1, max_size=80, unique_by=lambda pair: pair[0]
)


@PATIENT
@given(samples, st.randoms(use_true_random=False))
def test_avg_min_and_max_are_those_of_the_samples_in_the_span(pairs: list[tuple[int, float]], shuffle) -> None:
    now = T + max(second for second, _ in pairs) * SECOND
    inside = [value for second, value in pairs if T + second * SECOND > now - SPAN]
    shuffle.shuffle(pairs)
    windows = (Average(SPAN), Least(SPAN), Greatest(SPAN), Count(SPAN))
    for place, (second, value) in enumerate(pairs):
        for window in windows:
            window.update(Sample(T + second * SECOND, f"a/{place}", value), now)
    average, least, greatest, count = (window.value(now, 0) for window in windows)
    assert average == pytest.approx(mean(inside))
    assert (least, greatest, count) == (min(inside), max(inside), len(inside))


def test_a_fast_source_takes_no_more_room_than_a_slow_one() -> None:
    panes = Panes(SPAN)
    for step in range(100_000):
        panes.add(T + step * 10_000, 1.0)
        panes.expire(T + step * 10_000)
    assert len(panes.indices) <= PANES + 1
    assert panes.count == pytest.approx(12_000, rel=0.01)


@PATIENT
@given(st.floats(-5, 5), st.floats(-100, 100), st.integers(6, 20))
def test_a_straight_line_is_found_exactly(slope: float, level: float, n: int) -> None:
    trend = trend_of([(float(i), level + slope * i) for i in range(n)])
    assert trend is not None
    assert trend.slope == pytest.approx(slope, abs=1e-9)
    assert trend.at(n + 5) == pytest.approx(level + slope * (n + 5), abs=1e-6)


def test_a_trend_is_not_moved_far_by_wild_points() -> None:
    points = [(float(i), 2.0 * i) for i in range(20)]
    for wild in (3, 8, 14, 17):
        points[wild] = (float(wild), 1e6)
    trend = trend_of(points)
    assert trend is not None
    assert trend.slope == pytest.approx(2.0, abs=0.3)
    assert trend.rises


def test_no_trend_is_seen_in_what_stays_and_none_in_too_little() -> None:
    flat = trend_of([(float(i), 5.0) for i in range(20)])
    assert flat is not None
    assert not flat.rises
    assert not flat.falls
    assert flat.z == 0.0
    assert trend_of([(0.0, 1.0), (1.0, 2.0)]) is None


def fill(window: Window, values: list[float], every: int = SECOND) -> int:
    now = T
    for place, value in enumerate(values):
        now = T + place * every
        window.update(Sample(now, "a", value), now)
    return now


def test_time_to_counts_down_to_the_limit_and_is_zero_past_it() -> None:
    window = TimeTo(SPAN, 200.0, 15 * MINUTE, falling=False)
    now = fill(window, [10.0 + second for second in range(61)])
    left = window.value(now, 0)
    assert isinstance(left, timedelta)
    assert left.total_seconds() == pytest.approx(130, abs=1)
    now = fill(window, [150.0 + second for second in range(101)])
    assert window.value(now, 0) == timedelta(0)


def test_time_to_reads_as_its_horizon_where_the_limit_is_far_or_the_trend_leads_away() -> None:
    for values in ([5.0] * 60, [100.0 - second for second in range(60)], [second / 1000 for second in range(60)]):
        window = TimeTo(SPAN, 200.0, 15 * MINUTE, falling=False)
        assert window.value(fill(window, values), 0) == timedelta(minutes=15)


def test_falling_oxygen_reaches_its_limit_from_above() -> None:
    window = TimeTo(SPAN, 18.0, 15 * MINUTE, falling=True)
    left = window.value(fill(window, [21.0 - second / 60 for second in range(61)]), 0)
    assert isinstance(left, timedelta)
    assert left.total_seconds() == pytest.approx(120, abs=3)


def test_rate_rising_and_forecast_follow_the_line() -> None:
    values = [3.0 + second / 10 for second in range(100)]
    rate, rising, forecast = Rate(SPAN, MINUTE), Rising(SPAN, by=5.0), Forecast(SPAN, 10 * MINUTE)
    now = max(fill(window, values) for window in (rate, rising, forecast))
    assert rate.value(now, 0) == pytest.approx(6.0)
    assert rising.value(now, 0) is True
    assert forecast.value(now, 0) == pytest.approx(3.0 + 9.9 + 60.0, abs=0.2)
    assert Rising(SPAN, by=5.0).value(now, 0) is None


def test_late_samples_change_nothing() -> None:
    window = Average(SPAN)
    assert window.update(Sample(T, "a", 1.0), T)
    assert not window.update(Sample(T - SECOND, "a", 99.0), T)
    assert window.update(Sample(T - SECOND, "b", 3.0), T)
    assert not window.update(Sample(T - SPAN, "c", 99.0), T)
    assert window.value(T, 0) == pytest.approx(2.0)


def test_what_runs_out_leaves_no_value_behind() -> None:
    later = T + SPAN
    for window in (Average(SPAN), Least(SPAN), Greatest(SPAN), Last(SPAN)):
        window.update(Sample(T, "a", 1.0), T)
        assert window.due(T, 0) == later
        assert window.value(later - 1, 0) == 1.0
        assert window.value(later, 0) is None
        assert window.due(later, 0) is None


def test_seen_and_absent_are_each_others_opposite() -> None:
    seen, absent = Seen(SPAN), Absent(SPAN)
    for window in (seen, absent):
        window.update(Sample(T, "a"), T)
    for now in (T, T + SPAN - 1, T + SPAN, T + 2 * SPAN):
        assert seen.value(now, 0) is not absent.value(now, 0)


def test_absence_counts_from_the_first_word_and_never_from_before_we_listened() -> None:
    absent = Absent(SPAN)
    assert absent.update(Sample(T, "a", matches=False), T)
    assert absent.value(T + SPAN - 1, 0) is False
    assert absent.value(T + SPAN, 0) is True
    assert absent.value(T + SPAN, T + SECOND) is False


def test_open_counts_events_until_they_close_stop_matching_or_are_forgotten() -> None:
    window, last = Open(), LastOpen()
    for held in (window, last):
        held.update(Sample(T, "a", 0.5, event="x", open=True), T)
        held.update(Sample(T, "a", 0.7, event="y", open=True), T)
        assert held.update(Sample(T, "a", event="x", open=True, matches=False), T)
        assert not held.update(Sample(T, "a", event="z", open=False), T)
    assert (window.value(T, 0), last.value(T, 0)) == (1, 0.7)
    assert window.due(T, 0) == T + DAY
    assert (window.value(T + DAY, 0), last.value(T + DAY, 0)) == (0, None)


def test_distinct_tells_values_apart_and_count_tells_events_apart() -> None:
    plates, fires = Distinct(SPAN, events=False), Distinct(SPAN, events=True)
    for second, value in enumerate(("a", "b", "a", "c")):
        now = T + second * SECOND
        plates.update(Sample(now, "cam", value), now)
        fires.update(Sample(now, "cam", event=value, open=True), now)
    assert (plates.value(now, 0), fires.value(now, 0)) == (3, 3)
    assert plates.value(T + 2 * SECOND + SPAN, 0) == 1
    for number in range(MOST + 10):
        plates.update(Sample(now, "cam", float(number)), now)
    assert plates.value(now, 0) == MOST


def test_two_of_three_sensors_decide() -> None:
    votes = Votes(SPAN, 2, None)
    assert votes.value(T, 0) is None
    for source, matches, so_far in (("a", True, False), ("b", False, False), ("c", True, True), ("a", False, False)):
        votes.update(Sample(T, source, matches=matches), T)
        assert votes.value(T, 0) is so_far
    assert votes.value(T + SPAN, 0) is None


def test_two_of_the_last_three_samples_decide() -> None:
    votes = Votes(SPAN, 2, 3)
    answers = []
    for second, matches in enumerate((True, False, True, False, False)):
        now = T + second * SECOND
        votes.update(Sample(now, "a", matches=matches), now)
        answers.append(votes.value(now, 0))
    assert answers == [False, False, True, False, False]


def test_one_after_another_in_time_and_in_order() -> None:
    def run(*steps: tuple[int, int]) -> bool:
        window = Sequence(SPAN, 3)
        for second, stage in steps:
            now = T + second * SECOND
            window.update(Sample(now, "a", event="e", stage=stage), now)
        return window.value(now, 0)

    assert run((0, 0), (10, 1), (20, 2))
    assert not run((0, 1), (10, 0), (20, 2))
    assert not run((0, 0), (10, 1), (121, 2))
    assert run((0, 0), (50, 0), (60, 1), (150, 2))


@PATIENT
@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 10), st.booleans()), max_size=40), st.integers(0, 40))
def test_a_window_taken_down_and_put_up_again_goes_on_as_before(steps, cut: int) -> None:
    makers = (
        lambda: Average(SPAN),
        lambda: Count(SPAN),
        lambda: Distinct(SPAN, events=False),
        lambda: Seen(SPAN),
        lambda: Absent(SPAN),
        lambda: Last(SPAN),
        Open,
        LastOpen,
        lambda: Votes(SPAN, 2, 3),
        lambda: Votes(SPAN, 2, None),
        lambda: Sequence(SPAN, 2),
        lambda: TimeTo(SPAN, 9.0, MINUTE, falling=False),
        lambda: Rising(SPAN, 0.0),
    )
    times = [T]
    for gap, _, _ in steps:
        times.append(times[-1] + gap * SECOND)
    assert all(one <= two for one, two in pairwise(times))
    for make in makers:
        whole, parts = make(), make()
        for place, (now, (_, value, flag)) in enumerate(zip(times, steps, strict=False)):
            if place == cut:
                fresh = make()
                fresh.load(parts.dump())
                parts = fresh
            sample = Sample(now, "ab"[flag], value, flag, "xyz"[place % 3], flag, place % 2)
            assert whole.update(sample, now) == parts.update(sample, now)
            assert whole.value(now, T) == parts.value(now, T)
            assert whole.due(now, 0) == parts.due(now, 0)


@PATIENT
@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.floats(-1e12, 1e12) | st.floats(allow_nan=False, allow_infinity=False)),
        max_size=60,
    )
)
def test_a_mean_is_the_exact_sum_of_its_panes(pairs: list[tuple[int, float]]) -> None:
    """Kept from sample to sample, and yet what summing all panes anew would give: nothing is left of what ran out."""
    window = Average(SPAN)
    now = T
    for second, value in pairs:
        now += second * SECOND // 20
        window.update(Sample(now, "a", value), now)
        panes = window.panes
        try:
            expected = fsum(panes.sums) / sum(panes.counts)
        except OverflowError:
            return
        assert window.value(now, 0) == expected
        restored = Panes(SPAN)
        restored.load(panes.dump())
        assert restored.mean() == expected
