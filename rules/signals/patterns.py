"""Windows over several samples together: k_of_n (voting) and then (one after another)."""

from collections import deque
from typing import Any

from rules.signals.window import Order, Sample, Window


class Votes(Window):
    """``k_of_n``: whether at least ``k`` of the last ``n`` samples meet ``where``; without ``n``, whether at least
    ``k`` sources do with their newest sample (two out of three sensors). Samples count for ``over`` microseconds; with
    none left the answer is unknown."""

    __slots__ = ("k", "n", "order", "samples", "sources")

    def __init__(self, over: int, k: int, n: int | None) -> None:
        self.order = Order(over)
        self.k = k
        self.n = n
        self.samples: deque[tuple[int, bool]] = deque(maxlen=n or 1)
        self.sources: dict[str, tuple[int, bool]] = {}

    def update(self, sample: Sample, now: int) -> bool:
        if self.order.late(sample, now):
            return False
        if self.n is None:
            self.sources.pop(sample.source, None)
            self.sources[sample.source] = (sample.time, sample.matches)
        else:
            self.samples.append((sample.time, sample.matches))
        return True

    def value(self, now: int, listening: int) -> bool | None:
        edge = now - self.order.span
        held = self.samples if self.n is not None else self.sources.values()
        votes = [matches for time, matches in held if time > edge]
        return sum(votes) >= self.k if votes else None

    def due(self, now: int, listening: int) -> int | None:
        edge = now - self.order.span
        if self.n is None:
            self.sources = {source: held for source, held in self.sources.items() if held[0] > edge}
            oldest = min((time for time, _ in self.sources.values()), default=None)
        else:
            oldest = min((time for time, _ in self.samples if time > edge), default=None)
        return None if oldest is None else oldest + self.order.span

    def dump(self) -> list[Any]:
        return [list(self.samples), self.sources, self.order.newest]

    def load(self, raw: list[Any]) -> None:
        self.samples.extend((time, matches) for time, matches in raw[0])
        self.sources = {source: (time, matches) for source, (time, matches) in raw[1].items()}
        self.order.newest = raw[2]


class Sequence(Window):
    """``then``: whether the steps happened one after another, from the first to the last in at most ``within``
    microseconds. True for ``within`` from the last step on."""

    __slots__ = ("begun", "done", "order", "reached")

    def __init__(self, within: int, steps: int) -> None:
        self.order = Order(within)
        self.begun = [0] * steps
        """For each step: the start of the newest sequence that has come so far; 0 for none."""
        self.reached = [0] * steps
        """For each step: when it came there."""
        self.done = 0

    def update(self, sample: Sample, now: int) -> bool:
        step = sample.stage
        if not sample.matches or sample.time <= now - self.order.span:
            return False
        if step == 0:
            start = sample.time
        else:
            start = self.begun[step - 1]
            in_time = start and sample.time - start <= self.order.span and sample.time > self.reached[step - 1]
            if not in_time:
                return False
        if start < self.begun[step]:
            return False
        self.begun[step], self.reached[step] = start, sample.time
        if step == len(self.begun) - 1:
            self.done = max(self.done, sample.time)
        return True

    def value(self, now: int, listening: int) -> bool:
        return self.done > 0 and now - self.done < self.order.span

    def due(self, now: int, listening: int) -> int | None:
        newest = max(max(self.reached), self.done) + self.order.span
        if newest <= now:
            return None
        return self.done + self.order.span if self.done and self.done + self.order.span > now else newest

    def dump(self) -> list[Any]:
        return [self.begun, self.reached, self.done]

    def load(self, raw: list[Any]) -> None:
        self.begun, self.reached, self.done = raw
