"""Waiting between tries."""

from hypothesis import given
from hypothesis import strategies as st

from edge.supervisor.backoff import Backoff


def test_pauses_double_up_to_the_limit() -> None:
    backoff = Backoff(first_s=0.5, longest_s=30)
    assert [backoff.failed(now=float(n)) for n in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_what_worked_for_long_enough_starts_anew() -> None:
    backoff = Backoff(first_s=0.5, longest_s=30, calm_s=60)
    for n in range(5):
        backoff.failed(now=float(n))
    assert backoff.failed(now=100.0, lasted_s=61) == 0.5
    assert backoff.failed(now=101.0, lasted_s=0.2) == 1.0


def test_failures_within_a_minute_are_counted() -> None:
    backoff = Backoff()
    for now in (0.0, 10.0, 50.0, 65.0):
        backoff.failed(now)
    assert backoff.count(66.0, within_s=60) == 3


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_no_row_of_failures_waits_longer_than_the_limit_or_not_at_all(times: list[float]) -> None:
    backoff = Backoff(first_s=0.5, longest_s=30)
    assert all(0.5 <= backoff.failed(now) <= 30 for now in times)
