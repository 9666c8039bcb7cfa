"""How many boxes two detectors have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAME: Final = 0.9
"""IoU from which on two boxes are one."""


@dataclass(frozen=True)
class Seen:
    """A box that a detector found: x1, y1, x2, y2 in pixels of the picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Agreement:
    """Boxes that both found, and those that one of them found alone."""

    both: int = 0
    ours: int = 0
    theirs: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(self.both + other.both, self.ours + other.ours, self.theirs + other.theirs)

    @property
    def boxes(self) -> int:
        """All boxes, of both."""
        return 2 * self.both + self.ours + self.theirs

    @property
    def share(self) -> float:
        """Boxes with a partner among all boxes of both; 1 where neither found any."""
        return 2 * self.both / self.boxes if self.boxes else 1.0


def overlap(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of each box with each: ``[n, 4]`` and ``[m, 4]`` (x1, y1, x2, y2) to ``[n, m]``; 0 for boxes without area."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=2)
    area = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (ours, theirs)]
    union = area[0][:, None] + area[1][None, :] - shared
    shares: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares


def match(ours: Sequence[Seen], theirs: Sequence[Seen], same: float = SAME) -> list[tuple[int, int]]:
    """Pairs (index in ``ours``, index in ``theirs``) of one label with an IoU of ``same`` or more, each box in one pair
    at most; the pair that overlaps most is taken first."""
    if not ours or not theirs:
        return []
    shares = overlap(np.array([one.box for one in ours], np.float64), np.array([one.box for one in theirs], np.float64))
    labels = np.array([one.label for one in ours])[:, None] == np.array([one.label for one in theirs])[None, :]
    shares = np.where(labels, shares, -1.0)
    pairs: list[tuple[int, int]] = []
    while shares.max() >= same:
        row, column = (int(index) for index in np.unravel_index(int(shares.argmax()), shares.shape))
        pairs.append((row, column))
        shares[row, :] = -1.0
        shares[:, column] = -1.0
    return pairs


def agree(ours: Sequence[Seen], theirs: Sequence[Seen]) -> Agreement:
    """What two detectors found in one picture."""
    both = len(match(ours, theirs))
    return Agreement(both, len(ours) - both, len(theirs) - both)
