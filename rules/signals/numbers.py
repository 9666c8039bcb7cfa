"""Windows over numbers: avg, min, max, and the trend's rate, rising, forecast and time_to."""

from datetime import timedelta
from typing import Any, Final

from rules.signals.panes import Panes
from rules.signals.trend import Trend, settle, trend_with
from rules.signals.window import Order, Sample, Value, Window

TREND_PANES: Final = 20
"""Points a trend is drawn through: 190 pairs, and up to five of the points may be wild."""
_LEAST_SHARE: Final = 4
"""A trend needs data over at least a quarter of its span."""


class _Numbers(Window):
    __slots__ = ("order", "panes")

    def __init__(self, over: int, panes: int) -> None:
        self.panes = Panes(over, panes)
        self.order = Order(over)

    def update(self, sample: Sample, now: int) -> bool:
        value = sample.value
        if not sample.matches or not isinstance(value, int | float) or self.order.late(sample, now):
            return False
        if self.panes.add(sample.time, float(value)):
            self.panes.expire(now)  # it may be long until somebody asks
        return True

    def due(self, now: int, listening: int) -> int | None:
        self.panes.expire(now)
        return self.panes.due()

    def dump(self) -> list[Any]:
        return [self.panes.dump(), self.order.newest]

    def load(self, raw: list[Any]) -> None:
        self.panes.load(raw[0])
        self.order.newest = raw[1]


class Average(_Numbers):
    """``avg``: the mean of the samples of the last ``over`` microseconds."""

    __slots__ = ()

    def __init__(self, over: int, panes: int = 120) -> None:
        super().__init__(over, panes)

    def value(self, now: int, listening: int) -> float | None:
        self.panes.expire(now)
        return self.panes.mean()


class Least(Average):
    """``min``: the least of the samples."""

    __slots__ = ()

    def value(self, now: int, listening: int) -> float | None:
        self.panes.expire(now)
        return min(self.panes.lows, default=None)


class Greatest(Average):
    """``max``: the greatest of the samples."""

    __slots__ = ()

    def value(self, now: int, listening: int) -> float | None:
        self.panes.expire(now)
        return max(self.panes.highs, default=None)


class _Trending(_Numbers):
    """Draws the trend through the means of ``TREND_PANES`` panes, anew only when a sample came or a pane ran out."""

    __slots__ = ("_drawn", "_settled", "_trend")

    def __init__(self, over: int) -> None:
        super().__init__(over, TREND_PANES)
        self._drawn = False
        self._settled = settle([])
        self._trend: Trend | None = None

    def update(self, sample: Sample, now: int) -> bool:
        taken = super().update(sample, now)
        self._drawn = self._drawn and not taken
        return taken

    def due(self, now: int, listening: int) -> int | None:
        self._drawn = not self.panes.expire(now) and self._drawn
        return self.panes.due()

    def trend(self, now: int) -> Trend | None:
        """The trend at ``now``; None where there are too few points, or they cover too little of the span."""
        self._drawn = not self.panes.expire(now) and self._drawn
        if not self._drawn:
            points = self.panes.points()
            covered = bool(points) and (points[-1][0] - points[0][0]) * _LEAST_SHARE >= self.panes.span
            self._trend = self._draw(points) if covered else None
            self._drawn = True
        return self._trend

    def _draw(self, points: list[tuple[float, float]]) -> Trend | None:
        newest = points.pop()
        if points != self._settled.points:
            self._settled = settle(points)
        return trend_with(self._settled, newest)

    def load(self, raw: list[Any]) -> None:
        super().load(raw)
        self._drawn = False


class Rate(_Trending):
    """``rate``: how much the values rise (or fall, negative) in ``per`` microseconds, by the Theil-Sen line."""

    __slots__ = ("per",)

    def __init__(self, over: int, per: int) -> None:
        super().__init__(over)
        self.per = per

    def value(self, now: int, listening: int) -> float | None:
        trend = self.trend(now)
        return None if trend is None else trend.slope * self.per


class Rising(_Trending):
    """``rising``: whether values rise (Mann-Kendall, 5 %), and by at least ``by`` over the span, by the line."""

    __slots__ = ("by",)

    def __init__(self, over: int, by: float) -> None:
        super().__init__(over)
        self.by = by

    def value(self, now: int, listening: int) -> bool | None:
        trend = self.trend(now)
        return None if trend is None else trend.rises and trend.slope * self.panes.span >= self.by


class Forecast(_Trending):
    """``forecast``: the line's value ``ahead`` microseconds from now."""

    __slots__ = ("ahead",)

    def __init__(self, over: int, ahead: int) -> None:
        super().__init__(over)
        self.ahead = ahead

    def value(self, now: int, listening: int) -> float | None:
        trend = self.trend(now)
        return None if trend is None else trend.at(now + self.ahead)


class TimeTo(_Trending):
    """``time_to``: when the line reaches ``limit``, from below or (``falling``) from above.

    At most ``within``: so much it is also where the limit lies farther, or where there is no trend towards it that
    passes the Mann-Kendall test. 0 where the line is already there.
    """

    __slots__ = ("falling", "limit", "within")

    def __init__(self, over: int, limit: float, within: int, *, falling: bool) -> None:
        super().__init__(over)
        self.limit = limit
        self.within = within
        self.falling = falling

    def value(self, now: int, listening: int) -> Value | None:
        trend = self.trend(now)
        if trend is None:
            return None
        left = self.limit - trend.at(now)
        if (left >= 0) if self.falling else (left <= 0):
            return timedelta(0)
        if not (trend.falls if self.falling else trend.rises):
            return timedelta(microseconds=self.within)
        return timedelta(microseconds=min(float(self.within), left / trend.slope))
