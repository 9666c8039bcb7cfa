"""What readings of one series amount to within a minute, an hour or a day. Pure; the same law as in the tables.

Good and uncertain readings count in ``count``, ``sum``, ``least``, ``greatest`` and ``last``. Bad ones count in ``bad``
alone, since what they say is not what was measured; ``quality`` is the worst of all. A value beyond ±1e100 counts as
bad: it is no measurement, and a sum of such values is no number. A summary counts for all the readings it stands for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cloud.store.times import DAY
from contract.ids import Micros

LARGEST: Final = 1e100
"""Beyond it, on either side of nought, a value is no measurement."""
BAD: Final = 2
"""The code of the quality ``bad``."""


class Level(IntEnum):
    """How wide a bucket is."""

    MINUTE = 0
    HOUR = 1
    DAY = 2

    @property
    def width(self) -> int:
        """Microseconds."""
        return _WIDTHS[self]

    def begin(self, time: Micros) -> Micros:
        """The beginning of the bucket that a time lies in; hours and days are those of UTC."""
        return time - time % _WIDTHS[self]


_WIDTHS: Final = (60_000_000, 3_600_000_000, DAY)


def level_of(time: Micros, until: Micros) -> Level:
    """The narrowest bucket that holds a whole summary; that of its day for one that goes over midnight."""
    for level in (Level.MINUTE, Level.HOUR):
        if level.begin(time) == level.begin(until):
            return level
    return Level.DAY


@dataclass(slots=True)
class Bucket:
    """A bucket, or a part of one. While ``count`` is nought, ``least``, ``greatest`` and ``last`` mean nothing."""

    count: int = 0
    bad: int = 0
    sum: float = 0.0
    least: float = 0.0
    greatest: float = 0.0
    last: float = 0.0
    last_time: Micros = 0
    quality: int = 0

    def add(self, time: Micros, value: float, quality: int) -> None:
        """Count a reading in; ``add_many`` with one reading, for the many there are."""
        if quality > self.quality:
            self.quality = quality
        if quality >= BAD or not -LARGEST <= value <= LARGEST:
            self.bad += 1
            return
        if self.count == 0:
            self.least = self.greatest = self.last = value
            self.last_time = time
        else:
            if value < self.least:
                self.least = value
            elif value > self.greatest:
                self.greatest = value
            if time > self.last_time or (time == self.last_time and value > self.last):
                self.last, self.last_time = value, time
        self.count += 1
        self.sum += value

    def add_many(self, count: int, last_time: Micros, figures: tuple[float, float, float, float], quality: int) -> None:
        """Count a summary in: its ``count``, the time of its last reading, and its least, greatest, mean and last."""
        least, greatest, mean, last = figures
        if quality > self.quality:
            self.quality = quality
        if quality >= BAD or not (least >= -LARGEST and greatest <= LARGEST):
            self.bad += count
            return
        if self.count == 0:
            self.least, self.greatest, self.last, self.last_time = least, greatest, last, last_time
        else:
            self.least = min(self.least, least)
            self.greatest = max(self.greatest, greatest)
            self.last_time, self.last = max((self.last_time, self.last), (last_time, last))
        self.count += count
        self.sum += min(max(mean, least), greatest) * count


Key = tuple[int, int, Micros]
"""Level, series, beginning."""


def gather(
    readings: Iterable[tuple[int, Micros, float, int]],
    summaries: Iterable[tuple[int, Micros, Micros, int, tuple[float, float, float, float], int]],
) -> dict[Key, Bucket]:
    """Parts of buckets, as narrow as they can be.

    Args:
        readings: series, time, value, quality.
        summaries: series, time, until, count, figures (least, greatest, mean, last), quality.
    """
    minutes: dict[tuple[int, Micros], Bucket] = {}
    for series, time, value, quality in readings:
        place = series, time - time % _WIDTHS[0]
        bucket = minutes.get(place)
        if bucket is None:
            bucket = minutes[place] = Bucket()
        bucket.add(time, value, quality)
    found: dict[Key, Bucket] = {(0, *place): bucket for place, bucket in minutes.items()}
    for series, time, until, count, figures, quality in summaries:
        level = level_of(time, until)
        found.setdefault((int(level), series, level.begin(time)), Bucket()).add_many(count, until, figures, quality)
    return found
