"""Exact bounds, against published tables."""

import pytest

from models.workshop.evaluation.intervals import rate_upper, share_upper


# Half the chi-square quantile with 2n + 2 degrees of freedom, from tables of that distribution.
@pytest.mark.parametrize(
    ("events", "confidence", "bound"),
    [
        (0, 0.95, 5.991 / 2),
        (1, 0.95, 9.488 / 2),
        (2, 0.95, 12.592 / 2),
        (9, 0.95, 31.410 / 2),
        (0, 0.975, 7.378 / 2),
        (1, 0.975, 11.143 / 2),
        (4, 0.975, 20.483 / 2),
        (19, 0.975, 59.342 / 2),
        (0, 0.99, 9.210 / 2),
    ],
)
def test_a_rate_is_bounded_as_the_chi_square_tables_say(events: int, confidence: float, bound: float) -> None:
    assert rate_upper(events, confidence) == pytest.approx(bound, abs=6e-4)


# Where nothing was seen the bound is 1 - 0.05 ** (1 / n); where all but one was, 0.95 ** (1 / n).
@pytest.mark.parametrize(
    ("hits", "trials", "bound"),
    [(0, 100, 0.0295130), (0, 1, 0.95), (0, 300, 0.0099360), (9, 10, 0.95**0.1), (10, 10, 1.0), (1, 2, 0.95**0.5)],
)
def test_a_share_is_bounded_exactly(hits: int, trials: int, bound: float) -> None:
    assert share_upper(hits, trials) == pytest.approx(bound, abs=1e-6)


def test_bounds_of_many_are_near_the_normal_ones() -> None:
    assert share_upper(500, 1000) == pytest.approx(0.5 + 1.645 * (0.25 / 1000) ** 0.5, abs=1e-3)
    assert rate_upper(10_000) == pytest.approx(10_000 + 1.645 * 100, rel=1e-3)


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2 is not a share"):
        share_upper(3, 2)
    with pytest.raises(ValueError, match="0 of 0 is not a share"):
        share_upper(0, 0)
    with pytest.raises(ValueError, match="-1 is not a count"):
        rate_upper(-1)
