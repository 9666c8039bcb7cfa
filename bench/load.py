"""What the nodes of a benchmark have to say, and the rules that listen."""

import itertools
import random
import time
from collections.abc import Sequence
from typing import Final

from bench.fleet import Source, wall
from bench.rules import RULE
from cloud.ingest.ruleset import shipped_texts
from contract.records import Event, Phase, Reading, Record
from rules.language import load_rules

RULES: Final = 100


class Offered:
    """Records that come to be at ``per_s``, shared by nodes; what is not yet sent waits, as in an outbox."""

    def __init__(self, per_s: float) -> None:
        self.made = 0
        self._owed = 0.0
        self._per_s = per_s
        self._at = time.monotonic()

    @property
    def per_s(self) -> float:
        """How many a second, from now on."""
        return self._per_s

    @per_s.setter
    def per_s(self, value: float) -> None:
        self._grow()
        self._per_s = value

    def share(self, source: Source, nodes: int) -> Source:
        """What one of the nodes has by now."""
        taken = 0

        def next_records(most: int) -> Sequence[Record]:
            nonlocal taken
            self._grow()
            due = min(most, self.made // nodes - taken)
            taken += max(due, 0)
            return source(due) if due > 0 else ()

        return next_records

    def _grow(self) -> None:
        now = time.monotonic()
        self._owed += self._per_s * (now - self._at)
        self._at = now
        whole = int(self._owed)
        self.made += whole
        self._owed -= whole


def readings(first: int, count: int) -> Source:
    """Readings of ``count`` series, one after the other, in quantities that one own rule each listens to; one in
    twenty is carbon monoxide, which the shipped rules watch."""
    sources = [f"s{first + number}" for number in range(count)]
    quantities = [
        "co" if number % 20 == 19 else f"co-{number % (RULES - 12)}" for number in range(first, first + count)
    ]
    place = itertools.count()
    noise = random.Random(first)

    def next_records(most: int) -> Sequence[Reading]:
        now = wall()
        made = []
        for index in itertools.islice(place, most):
            at = index % count
            made.append(
                Reading(
                    time=now + int(noise.random() * 1000),
                    source=sources[at],
                    quantity=quantities[at],
                    value=round(noise.gauss(20.0, 3.0), 2),
                    unit="[ppm]",
                )
            )
        return made

    return next_records


def hundred() -> dict[str, str]:
    """The shipped rules, and our own up to a hundred."""
    texts = dict(shipped_texts())
    shipped = sum(len(load_rules(text, name)) for name, text in texts.items())
    texts["bench.yaml"] = "---".join(RULE.format(number=number) for number in range(RULES - shipped))
    return texts


def fire(name: str) -> Event:
    """Flames before a camera of their own: each is a warning."""
    now = wall()
    return Event(
        id=name, kind="fire", phase=Phase.OPEN, revision=1, time=now, started=now, source=f"cam-{name}", score=0.9,
        attrs={"area_share": 0.02},
    )  # fmt: skip
