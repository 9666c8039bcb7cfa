"""Robust trends: the Theil-Sen line and the Mann-Kendall test.

Theil-Sen: H. Theil 1950, "A rank-invariant method of linear and polynomial regression analysis", Proc. Ned. Akad.
Wetensch. A 53; P. K. Sen 1968, "Estimates of the regression coefficient based on Kendall's tau", J. Am. Stat. Assoc.
63(324), 1379-1389. The slope is the median of the slopes between all pairs of points, so that up to 29 % of wild
points do not move it far. Mann-Kendall: H. B. Mann 1945, "Nonparametric tests against trend", Econometrica 13,
245-259; M. G. Kendall 1975, "Rank correlation methods"; variance corrected for ties.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

MIN_POINTS: Final = 6
"""Fewer points make no trend: with six in a row, rising each time, the test's z is 2.6."""
Z_ONE_SIDED_5_PERCENT: Final = 1.645
"""Quantile of the normal distribution: one time in twenty, chance alone looks like a trend."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A line ``level + slope * (time - origin)`` and how sure it is: Mann-Kendall's z, positive where values rise."""

    origin: float
    level: float
    slope: float
    z: float

    def at(self, time: float) -> float:
        """The line's value at a time."""
        return self.level + self.slope * (time - self.origin)

    @property
    def rises(self) -> bool:
        """Whether values rise, at the 5 % level, one-sided."""
        return self.z > Z_ONE_SIDED_5_PERCENT and self.slope > 0

    @property
    def falls(self) -> bool:
        """Whether values fall, at the 5 % level, one-sided."""
        return self.z < -Z_ONE_SIDED_5_PERCENT and self.slope < 0


@dataclass(frozen=True, slots=True)
class Settled:
    """Points that stay as they are while the newest one still moves: what they have among themselves is kept."""

    points: list[tuple[float, float]]
    slopes: list[float]
    """Of all pairs, sorted."""
    score: int
    """Mann-Kendall's S of all pairs."""


def settle(points: list[tuple[float, float]]) -> Settled:
    """All pairs among points in order of time; work grows with the square of their number."""
    slopes: list[float] = []
    score = 0
    for place in range(1, len(points)):
        score += _pairs(points[:place], points[place], slopes)
    slopes.sort()
    return Settled(points, slopes, score)


def trend_with(settled: Settled, newest: tuple[float, float]) -> Trend | None:
    """The trend of settled points and one after them; None for fewer than ``MIN_POINTS`` in all."""
    if len(settled.points) + 1 < MIN_POINTS:
        return None
    slopes = settled.slopes.copy()
    score = settled.score + _pairs(settled.points, newest, slopes)
    if not slopes:
        return None
    slopes.sort()  # nearly sorted already, which takes little
    slope = _middle(slopes)
    origin, value = newest
    levels = [value - slope * (time - origin) for time, value in settled.points]
    levels.append(value)
    levels.sort()
    return Trend(origin, _middle(levels), slope, _z(score, [*(value for _, value in settled.points), value]))


def trend_of(points: Sequence[tuple[float, float]]) -> Trend | None:
    """The trend of (time, value) points in order of time; None for fewer than ``MIN_POINTS``.

    Meant for a few dozen points.
    """
    return trend_with(settle(list(points[:-1])), points[-1]) if points else None


def _pairs(earlier: Sequence[tuple[float, float]], newest: tuple[float, float], slopes: list[float]) -> int:
    """Add the slopes from each earlier point to the newest; returns how many rise less how many fall."""
    now, level = newest
    score = 0
    for time, value in earlier:
        rise = level - value
        score += (rise > 0) - (rise < 0)
        if now > time:
            slopes.append(rise / (now - time))
    return score


def _middle(values: Sequence[float]) -> float:
    """Median of sorted values."""
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def _z(score: int, values: Sequence[float]) -> float:
    """Mann-Kendall's standardised score, with the correction for continuity."""
    n = len(values)
    variance = n * (n - 1) * (2 * n + 5)
    if len(set(values)) < n:
        variance -= sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values() if t > 1)
    if variance <= 0 or score == 0:
        return 0.0
    return (score - (1 if score > 0 else -1)) / sqrt(variance / 18)
