"""Points are thinned as the thesis says, and no peak is lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.store.lttb import chosen, with_extremes


def assert_by_definition(times: list[float], values: list[float], found: list[int]) -> None:
    """Each bucket of the thesis gives one point, and none of its points makes a larger triangle."""
    number, count = len(times), len(found)
    every = (number - 2) / (count - 2)
    edges = [int(bucket * every) + 1 for bucket in range(count - 2)] + [number - 1]
    buckets = [*(list(range(a, b)) for a, b in pairwise(edges)), [number - 1]]
    assert (found[0], found[-1]) == (0, number - 1)
    for a, b, (here, after) in zip(found, found[1:-1], pairwise(buckets), strict=False):
        x, y = (sum(column[index] for index in after) / len(after) for column in (times, values))

        def area(index: int, a: int = a, x: float = x, y: float = y) -> float:
            ax, ay, bx, by = times[a], values[a], times[index], values[index]
            return abs((ax - x) * (by - ay) - (ax - bx) * (y - ay)) / 2

        assert b in here
        assert area(b) >= max(map(area, here)) * (1 - 1e-9)


@given(
    values=st.lists(st.integers(-1000, 1000).map(float), min_size=0, max_size=120),
    count=st.integers(3, 40),
    step=st.integers(1, 9),
)
def test_it_chooses_what_the_definition_chooses(values: list[float], count: int, step: int) -> None:
    times = [float(index * step + index % 3) for index in range(len(values))]
    found = chosen(np.array(times), np.array(values), count).tolist()
    if len(values) <= count:
        assert found == list(range(len(values)))
    else:
        assert len(found) == count
        assert_by_definition(times, values, found)


@pytest.mark.parametrize("place", [1, 137, 500, 998])
def test_a_single_peak_stays(place: int) -> None:
    times, values = np.arange(1000.0), np.sin(np.arange(1000.0))
    values[place] = 50
    assert place in chosen(times, values, 20)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(3, 20))
def test_least_and_greatest_are_among_the_points(values: list[float], count: int) -> None:
    kept = with_extremes(np.arange(len(values), dtype=float), np.array(values), count)
    shown = [values[index] for index in kept]
    assert (min(shown), max(shown)) == (min(values), max(values))
    assert len(kept) <= count + 2
    assert list(kept) == sorted(set(kept))
