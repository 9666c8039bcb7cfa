"""Exact bounds for small counts: nothing seen in little time is not nothing.

One-sided upper bounds. Shares after Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the
case of the binomial" (Biometrika 26, 1934); rates after Garwood, "Fiducial limits for the Poisson distribution"
(Biometrika 28, 1936), where the bound is half the chi-square quantile with 2n + 2 degrees of freedom. Both are found by
halving: the bound is the value under which so few would be seen with a chance of 1 - `confidence`.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def share_upper(hits: int, trials: int, confidence: float = 0.95) -> float:
    """Upper bound of a share, 0 to 1, of which `hits` were seen in `trials`.

    Raises `ValueError` unless 0 <= `hits` <= `trials`, and at least one trial.
    """
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"{hits} of {trials} is not a share")
    if hits == trials:
        return 1.0
    return _fall(lambda share: _binomial(hits, trials, share), 1 - confidence, hits / trials, 1.0)


def rate_upper(events: int, confidence: float = 0.95) -> float:
    """Upper bound of the expected number of events where `events` were seen; over the exposure it bounds the rate.

    2.996 for none at 0.95; 3.689 at 0.975, the upper end of the two-sided interval of 95 %.
    Raises `ValueError` for a negative count.
    """
    if events < 0:
        raise ValueError(f"{events} is not a count")
    high = events + 10.0
    while _poisson(events, high) > 1 - confidence:
        high *= 2
    return _fall(lambda mean: _poisson(events, mean), 1 - confidence, float(events), high)


def _fall(function: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where a falling function passes `level`."""
    for _ in range(200):
        middle = (low + high) / 2
        if function(middle) > level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _binomial(hits: int, trials: int, share: float) -> float:
    """Chance of at most `hits` in `trials`."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    yes, no = math.log(share), math.log1p(-share)
    ways = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(ways - math.lgamma(n + 1) - math.lgamma(trials - n + 1) + n * yes + (trials - n) * no)
        for n in range(hits + 1)
    )


def _poisson(events: int, mean: float) -> float:
    """Chance of at most `events` where `mean` are expected."""
    if mean <= 0:
        return 1.0
    return math.fsum(math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(events + 1))
