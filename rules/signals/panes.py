"""Numbers of a sliding span, merged into a bounded number of panes.

A pane is a fixed slice of time (after Li et al. 2005, "No pane, no gain", SIGMOD Record 34:1): it holds count, sum,
least and greatest of its samples. Samples that come less often than one a pane are each kept exactly; where they come
faster, the window's far edge is blurred by at most one pane. Order of arrival does not matter.
"""

from bisect import bisect_left
from math import fsum
from typing import Any, Final

PANES: Final = 120
"""Panes to a window: its far edge is exact to 1/120 of its span at worst."""
_HUGE: Final = 1e300


class Panes:
    """The samples of the last ``span`` microseconds."""

    __slots__ = (
        "_exact", "_huge", "_total", "counts", "highs", "indices", "latest", "lows", "offsets", "span", "sums", "width",
    )  # fmt: skip

    def __init__(self, span: int, panes: int = PANES) -> None:
        self.span = span
        self.width = max(1, span // panes)
        self.indices: list[int] = []
        self.latest: list[int] = []
        self.counts: list[int] = []
        self.sums: list[float] = []
        self.lows: list[float] = []
        self.highs: list[float] = []
        self.offsets: list[int] = []
        self._exact: list[float] = []
        """The sum of ``sums``, exactly: numbers that do not overlap, in order of size (see ``_grow``)."""
        self._huge = False
        """Whether a sum is so large that exact sums could overflow: then they are made anew each time."""
        self._total = 0
        """The sum of ``counts``."""

    def add(self, time: int, value: float) -> bool:
        """Take one sample; True where it is the first of its pane."""
        index = time // self.width
        indices = self.indices
        self._total += 1
        place = len(indices) - 1
        if place >= 0 and indices[place] >= index:
            if indices[place] != index:
                place = bisect_left(indices, index)
            if indices[place] == index:
                if time > self.latest[place]:
                    self.latest[place] = time
                self.counts[place] += 1
                before = self.sums[place]
                self.sums[place] = after = before + value
                self._sum(-before)
                self._sum(after)
                if value < self.lows[place]:
                    self.lows[place] = value
                if value > self.highs[place]:
                    self.highs[place] = value
                self.offsets[place] += time - index * self.width
                return False
        else:
            place += 1
        indices.insert(place, index)
        self.latest.insert(place, time)
        self.counts.insert(place, 1)
        self.sums.insert(place, value)
        self._sum(value)
        self.lows.insert(place, value)
        self.highs.insert(place, value)
        self.offsets.insert(place, time - index * self.width)
        return True

    def expire(self, now: int) -> bool:
        """Drop the panes whose samples are all ``span`` or more before ``now``; True where there were any."""
        edge = now - self.span
        if not self.latest or self.latest[0] > edge:
            return False
        gone = next((place for place, latest in enumerate(self.latest) if latest > edge), len(self.latest))
        for count, total in zip(self.counts[:gone], self.sums[:gone], strict=True):
            self._total -= count
            self._sum(-total)
        for column in self._columns():
            del column[:gone]
        return True

    def due(self) -> int | None:
        """When the oldest pane runs out; None where there is none."""
        return self.latest[0] + self.span if self.latest else None

    def end(self) -> int | None:
        """When the newest pane runs out; None where there is none."""
        return self.latest[-1] + self.span if self.latest else None

    @property
    def count(self) -> int:
        """Number of samples."""
        return self._total

    def mean(self) -> float | None:
        """Mean of the samples."""
        if not self._total:
            return None
        return fsum(self.sums if self._huge else self._exact) / self._total

    def points(self) -> list[tuple[float, float]]:
        """(mean time, mean value) of each pane, oldest first."""
        return [
            (index * self.width + offset / count, total / count)
            for index, offset, total, count in zip(self.indices, self.offsets, self.sums, self.counts, strict=True)
        ]

    def dump(self) -> list[Any]:
        """All it holds, as plain lists."""
        return [list(column) for column in self._columns()]

    def load(self, columns: list[Any]) -> None:
        """Take back what ``dump`` gave."""
        for mine, theirs in zip(self._columns(), columns, strict=True):
            mine[:] = theirs
        self._total, self._exact, self._huge = sum(self.counts), [], False
        for total in self.sums:
            self._sum(total)

    def _sum(self, value: float) -> None:
        self._huge = self._huge or not -_HUGE < value < _HUGE
        if not self._huge:
            _grow(self._exact, value)

    def _columns(self) -> tuple[list[Any], ...]:
        return self.indices, self.latest, self.counts, self.sums, self.lows, self.highs, self.offsets


def _grow(parts: list[float], value: float) -> None:
    """Add ``value`` to an exact sum (Shewchuk 1997, "Adaptive Precision Floating-Point Arithmetic", Discrete and
    Computational Geometry 18: the parts do not overlap, and nothing is rounded away)."""
    kept = 0
    for part in parts:
        if abs(value) < abs(part):
            value, part = part, value
        high = value + part
        low = part - (high - value)
        if low:
            parts[kept] = low
            kept += 1
        value = high
    parts[kept:] = [value]
