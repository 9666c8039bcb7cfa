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
from statistics import median
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


def trend_of(points: Sequence[tuple[float, float]]) -> Trend | None:
    """The trend of (time, value) points in order of time; None for fewer than ``MIN_POINTS``.

    Work grows with the square of the number of points: meant for a few dozen.
    """
    if len(points) < MIN_POINTS:
        return None
    slopes: list[float] = []
    score = 0
    for later in range(1, len(points)):
        time, value = points[later]
        for earlier in range(later):
            rise = value - points[earlier][1]
            score += (rise > 0) - (rise < 0)
            if time > points[earlier][0]:
                slopes.append(rise / (time - points[earlier][0]))
    if not slopes:
        return None
    slope = median(slopes)
    origin = points[-1][0]
    level = median(value - slope * (time - origin) for time, value in points)
    return Trend(origin, level, slope, _z(score, [value for _, value in points]))


def _z(score: int, values: Sequence[float]) -> float:
    """Mann-Kendall's standardised score, with the correction for continuity."""
    n = len(values)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values() if t > 1)
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0 or score == 0:
        return 0.0
    return (score - (1 if score > 0 else -1)) / sqrt(variance)
