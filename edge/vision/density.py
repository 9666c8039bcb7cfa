"""How many heads there are, and where: a map over the picture that counts any part of it, and says how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.manifest import Counting

FINE: Final = 8
"""Parts of a cell's side when an area is laid over it."""
PLAIN: Final = Counting(cell=16)
"""Variances that simply add up."""
PICTURE: Final = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True)
class Count:
    """How many heads, with the standard deviation."""

    heads: float
    sd: float

    def above(self, limit: float) -> float:
        """The probability that there are more than ``limit``, of a normal distribution."""
        if self.sd <= 0:
            return float(self.heads > limit)
        return 0.5 * (1 + erf((self.heads - limit) / (self.sd * sqrt(2))))


@dataclass(frozen=True)
class Density:
    """Heads in the cells that lie over a picture.

    ``mean`` and ``variance`` are ``[rows, columns]``; ``frame`` is x1, y1, x2, y2 of the whole grid in fractions of the
    picture, less than 0 and more than 1 where the grid reaches beyond it; ``counting`` is the release's.
    """

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    frame: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    counting: Counting = PLAIN

    def count(self, area: Sequence[tuple[float, float]] = PICTURE) -> Count:
        """The heads within a polygon (x, y in fractions of the picture), in the whole picture when left out."""
        share = self._share(area)
        heads = float((self.mean * share).sum(dtype=np.float64))
        variance = float((self.variance * share).sum(dtype=np.float64))
        return Count(heads, self.counting.deviation(heads, variance))

    def _share(self, area: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
        """How much of each cell lies within a polygon, of what of it lies in the picture: ``[rows, columns]``."""
        within = self._cover(PICTURE)
        return _parts(self._cover(area) & within) / np.maximum(_parts(within), 1e-6)

    def _cover(self, area: Sequence[tuple[float, float]]) -> NDArray[np.uint8]:
        """1 where a polygon lies: ``[rows, FINE, columns, FINE]``."""
        rows, columns = self.mean.shape
        x1, y1, x2, y2 = self.frame
        scale = np.array([columns * FINE / (x2 - x1), rows * FINE / (y2 - y1)])
        corners = np.round((np.array(area, np.float64) - (x1, y1)) * scale).astype(np.int32)
        mask = np.zeros((rows * FINE, columns * FINE), np.uint8)
        cv2.fillPoly(mask, [corners], 1)
        return mask.reshape(rows, FINE, columns, FINE)


def _parts(cover: NDArray[np.uint8]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = cover.mean(axis=(1, 3))
    return share
