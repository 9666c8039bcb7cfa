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


class Panes:
    """The samples of the last ``span`` microseconds."""

    __slots__ = ("counts", "highs", "indices", "latest", "lows", "offsets", "span", "sums", "width")

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

    def add(self, time: int, value: float) -> None:
        """Take one sample."""
        index = time // self.width
        place = len(self.indices)
        if place and self.indices[-1] >= index:
            place = bisect_left(self.indices, index)
            if self.indices[place] == index:
                self.latest[place] = max(self.latest[place], time)
                self.counts[place] += 1
                self.sums[place] += value
                self.lows[place] = min(self.lows[place], value)
                self.highs[place] = max(self.highs[place], value)
                self.offsets[place] += time - index * self.width
                return
        self.indices.insert(place, index)
        self.latest.insert(place, time)
        self.counts.insert(place, 1)
        self.sums.insert(place, value)
        self.lows.insert(place, value)
        self.highs.insert(place, value)
        self.offsets.insert(place, time - index * self.width)

    def expire(self, now: int) -> bool:
        """Drop the panes whose samples are all ``span`` or more before ``now``; True where there were any."""
        gone = 0
        for latest in self.latest:
            if latest > now - self.span:
                break
            gone += 1
        if gone:
            for column in self._columns():
                del column[:gone]
        return gone > 0

    def due(self) -> int | None:
        """When the oldest pane runs out; None where there is none."""
        return self.latest[0] + self.span if self.latest else None

    @property
    def count(self) -> int:
        """Number of samples."""
        return sum(self.counts)

    def mean(self) -> float | None:
        """Mean of the samples."""
        return fsum(self.sums) / sum(self.counts) if self.counts else None

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

    def _columns(self) -> tuple[list[Any], ...]:
        return self.indices, self.latest, self.counts, self.sums, self.lows, self.highs, self.offsets
