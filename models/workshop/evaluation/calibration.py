"""Whether a score means what it says: of detections at 0.8, are eight of ten right?

Expected calibration error of Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), in the form that
Küppers et al., "Multivariate Confidence Calibration for Object Detection" (CVPR Workshops 2020) give it for detectors:
in each bin of scores the mean score is held against the precision there (found a truth at IoU 0.5), for nobody can say
how often a detector was rightly silent. Only the score is binned, not where or how large the box is.

Maps from score to chance are fitted for the report; no score is changed by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Detections with scores from `low` to under `high`: how many, their mean score, and the share that is right."""

    low: float
    high: float
    count: int
    score: float
    precision: float

    def as_dict(self) -> dict[str, Any]:
        """For a table."""
        return {
            "low": round(self.low, 3),
            "high": round(self.high, 3),
            "count": self.count,
            "score": round(self.score, 4),
            "precision": round(self.precision, 4),
        }


def reliability(scores: Array, right: Mask, bins: int = BINS) -> list[Bin]:
    """The reliability table: `bins` of equal width from 0 to 1; those without a detection are left out."""
    places = np.clip((scores * bins).astype(np.int64), 0, bins - 1)
    return [
        Bin(n / bins, (n + 1) / bins, int(inside.sum()), float(scores[inside].mean()), float(right[inside].mean()))
        for n in range(bins)
        if (inside := places == n).any()
    ]


def expected_error(table: list[Bin]) -> float:
    """Mean distance of score and precision, each bin by its number of detections; not a number without any."""
    total = sum(one.count for one in table)
    return sum(one.count * abs(one.score - one.precision) for one in table) / total if total else float("nan")


def fit_temperature(scores: Array, right: Mask) -> float:
    """The temperature T that makes `sigmoid(logit(score) / T)` most likely (Guo et al., section 4.2, for one class).

    Above 1: the scores are surer than they may be. Found by golden section over log T between 1/20 and 20. Raises
    `ValueError` unless some detections are right and some are wrong.
    """
    _check(scores, right)
    logits = _logit(scores)

    def loss(log: float) -> float:
        z = logits / np.exp(log)
        return float(np.mean(np.logaddexp(0.0, np.where(right, -z, z))))

    ratio = (np.sqrt(5) - 1) / 2
    low, high = -np.log(20.0), np.log(20.0)
    for _ in range(60):
        left, right_end = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right_end):
            high = right_end
        else:
            low = left
    return float(np.exp((low + high) / 2))


def cool(scores: Array, temperature: float) -> Array:
    """The scores, at a temperature."""
    result: Array = 1 / (1 + np.exp(-_logit(scores) / temperature))
    return result


def fit_isotonic(scores: Array, right: Mask) -> tuple[Array, Array]:
    """The rising steps nearest to the outcomes (pool adjacent violators; Zadrozny and Elkan, KDD 2002).

    Returns the lowest score of each step, and the precision there. Raises `ValueError` as `fit_temperature`.
    """
    _check(scores, right)
    order = np.argsort(scores, kind="stable")
    # Equal scores are one point: no map can tell them apart.
    starts, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    hits = np.add.reduceat(right[order].astype(np.float64), first)
    steps: list[tuple[float, float, float]] = []  # first score, hits, count
    for start, hit, count in zip(starts.tolist(), hits.tolist(), counts.tolist(), strict=True):
        one = (start, hit, float(count))
        while steps and steps[-1][1] / steps[-1][2] >= one[1] / one[2]:
            last = steps.pop()
            one = (last[0], last[1] + one[1], last[2] + one[2])
        steps.append(one)
    return np.array([s[0] for s in steps]), np.array([s[1] / s[2] for s in steps])


def by_steps(scores: Array, steps: tuple[Array, Array]) -> Array:
    """The scores, mapped by `fit_isotonic`'s steps."""
    result: Array = steps[1][np.clip(np.searchsorted(steps[0], scores, side="right") - 1, 0, None)]
    return result


def _logit(scores: Array) -> Array:
    inner = np.clip(scores, 1e-6, 1 - 1e-6)
    result: Array = np.log(inner / (1 - inner))
    return result


def _check(scores: Array, right: Mask) -> None:
    if len(scores) != len(right) or not right.any() or right.all():
        raise ValueError(f"{len(scores)} detections, {int(right.sum())} right: a map needs right ones and wrong ones")
