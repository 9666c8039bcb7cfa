"""Which faults happen when: a pure function of a seed, so that a run can be had again."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What is done."""

    KILL = "kill -9"
    STOP = "stop and continue"
    CUT = "network cut, silent"
    RESET = "connections torn"
    FORGET = "messages forgotten"
    REPEAT = "messages repeated"
    REORDER = "messages reordered"


PROCESS: Final = (Kind.KILL, Kind.STOP)
WIRE: Final = (Kind.CUT, Kind.RESET)
MESSAGES: Final = (Kind.FORGET, Kind.REPEAT, Kind.REORDER)

LASTING: Final = frozenset(Kind) - {Kind.RESET, *MESSAGES}
"""What a fault can be that keeps a node from the cloud for long."""

LENGTH_S: Final = {
    Kind.KILL: (0.1, 5.0),
    Kind.STOP: (0.1, 9.0),
    Kind.CUT: (0.2, 9.0),
    Kind.RESET: (0.1, 3.0),
    Kind.FORGET: (2.0, 15.0),
    Kind.REPEAT: (2.0, 15.0),
    Kind.REORDER: (2.0, 15.0),
}
"""From and to; drawn evenly over the logarithm: many short ones, some that outlast every patience."""
LONG_S: Final = (32.0, 40.0)
"""Longer than the 30 s after which readings belong to the backlog."""
LONG_EVERY: Final = 25
"""So many faults for each that is that long; it hits a node or its network, the others go on."""
SPREAD: Final = 0.75
"""Of the mean pause between two faults, by how much it varies."""


@dataclass(frozen=True)
class Fault:
    """Something that happens ``at`` seconds after the start, to ``target``, and ends ``lasts_s`` later."""

    at: float
    kind: Kind
    target: str
    lasts_s: float

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  {self.kind}: {self.target}, for {self.lasts_s:.1f} s"


def targets(nodes: Sequence[str], workers: Sequence[str]) -> list[tuple[str, tuple[Kind, ...]]]:
    """Everything that can be hit, and how. A wire is named by its two ends."""
    found: list[tuple[str, tuple[Kind, ...]]] = [("broker", PROCESS), ("database", PROCESS)]
    found += [(name, PROCESS) for name in (*nodes, *workers)]
    found += [(f"{name}>broker", WIRE + MESSAGES) for name in nodes]
    found += [(f"{name}>broker", MESSAGES) for name in workers]
    found += [(f"{name}>database", WIRE) for name in workers]
    return found


def make_plan(
    seed: int, count: int, nodes: Sequence[str], workers: Sequence[str], pause_s: float = 2.5
) -> tuple[Fault, ...]:
    """``count`` faults in the order of their beginning, ``pause_s`` apart in the mean; several may be under way at
    once, but never two on one target."""
    chance = random.Random(seed)
    hit = targets(nodes, workers)
    free_at = dict.fromkeys((name for name, _ in hit), 0.0)
    faults: list[Fault] = []
    at = 1.0
    for number in range(count):
        at += pause_s * chance.uniform(1 - SPREAD, 1 + SPREAD)
        long = number % LONG_EVERY == LONG_EVERY // 2
        free = [one for one in hit if free_at[one[0]] <= at and (not long or one[0].split(">")[0] in nodes)]
        if not free:
            free = [min(hit, key=lambda one: free_at[one[0]])]
        target, kinds = chance.choice(free)
        if long:
            kind = chance.choice([one for one in kinds if one in LASTING])
            lasts = chance.uniform(*LONG_S)
        else:
            kind = chance.choice(kinds)
            low, high = LENGTH_S[kind]
            lasts = low * (high / low) ** chance.random()
        begins = max(at, free_at[target])
        faults.append(Fault(begins, kind, target, lasts))
        free_at[target] = begins + lasts + 1.0
    return tuple(sorted(faults, key=lambda fault: fault.at))


def by_kind(faults: Sequence[Fault]) -> Counter[Kind]:
    """How many there are of each kind."""
    return Counter(fault.kind for fault in faults)
