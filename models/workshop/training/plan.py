"""The pace of a training: how long, how fast, on which shapes, and what is done to the pictures."""

from __future__ import annotations

from dataclasses import dataclass

SCALES = (0.4, 1.4)
LARGE_MAPS = ("stem", "stage2", "branches")
"""Parts of the network where maps are large."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long, how fast, on which shapes: `sizes` are widths and heights of inputs in pixels, `rate` is the highest
    learning rate."""

    steps: int
    rate: float
    sizes: tuple[tuple[int, int], ...]
    schedule: int = 0
    """Steps over which the rate falls, where the training was broken off before; 0 = `steps`."""
    batch: int = 32
    decay: float = 0.02
    warm_up: int = 100
    scales: tuple[float, float] = SCALES
    """Least and greatest size of a picture against its letterboxed one: cameras see from further away than
    photographers."""
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Plan(Pace):
    """How to train a detector."""

    mosaics: float = 0.5
    """Share of the pictures made of four."""
    plain_tail: float = 0.15
    """The last share of the steps runs almost without mosaics, on pictures as cameras give them."""
    folded: bool = False
    """Without batch norms, melted into the convolutions before the first step: a third faster, for gentle parts."""
    evenings: float = 0.0
    """Share of the pictures without a truth that are shown in the colours of low sun."""
    relu: tuple[str, ...] = LARGE_MAPS
    """Parts of the network whose activation is ReLU; the others have SiLU, as they were published."""
    objectness: bool = False
    """Whether scores are those of a class times one for whether there is anything, as it was published. Only where all
    of a detector's labels are labelled in every picture (see `network`)."""
    taught: float = 0.0
    """Share of the steps in which the published network teaches instead of the labels."""
