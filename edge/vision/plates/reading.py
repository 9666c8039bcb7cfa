"""From a reader's output to the characters of a plate, place by place.

Readers are trained with connectionist temporal classification (Graves et al., ICML 2006): for each step from left to
right they give a probability to every character and to none, and a character may last several steps. They know
characters that no plate carries, and take dots, screws and seals for them: these are no places.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contract.plates import CHARACTERS
from edge.vision.plates.grammar import Place

BLANK = 0
"""The class that stands for no character."""
KEPT = 4
"""Characters that a place keeps at most."""
LEAST = 1e-3
"""Probability under which a character is not kept."""


def places(steps: NDArray[np.float32], characters: str) -> list[Place]:
    """The places of the likeliest path, each with the characters that it may have.

    Args:
        steps: probabilities `[T, 1 + len(characters)]`, `BLANK` first.
        characters: those of the other classes, one for each; small letters count as capitals.

    Raises `ValueError` when the numbers of classes differ.
    """
    if steps.ndim != 2 or steps.shape[1] != 1 + len(characters):
        raise ValueError(f"reader gives {steps.shape}, needed are steps of {1 + len(characters)} classes")
    best = steps.argmax(1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    found: list[Place] = []
    for start, end in pairwise([*starts, len(best)]):
        if best[start] == BLANK or characters[best[start] - 1].upper() not in CHARACTERS:
            continue
        # The peak of a run is where the reader is surest, at its edges it sees the neighbours.
        row = steps[start + int(steps[start:end, best[start]].argmax())]
        chances: dict[str, float] = {}
        for number in np.argsort(-row)[: KEPT + 1]:
            one = characters[number - 1].upper() if number != BLANK else ""
            if row[number] >= LEAST and one in CHARACTERS:
                chances[one] = chances.get(one, 0.0) + float(row[number])
        found.append(chances)
    return found
