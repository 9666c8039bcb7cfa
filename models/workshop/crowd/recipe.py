"""How the crowd counter is made: what it sees, at which pace, and which pictures it never sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from contract.manifest import Input, Output
from models.workshop.recipe import Portion
from models.workshop.sets.data import Picture
from models.workshop.training.plan import Pace

CELL = 16
"""Pixels of a side of a cell."""
NAME = "crowd"
LABEL = "person"
OUTPUT = Output(name="heads", format="mean-variance")
SIZE = (832, 640)
"""Width and height of the input in pixels: what makes pictures smaller makes heads vanish."""
FRAME = (768, 576)
"""What times are measured on."""
INPUT = Input(width=SIZE[0], height=SIZE[1], shape="fit")


@dataclass(frozen=True, kw_only=True)
class Part(Pace):
    """One part of the training, and what it sees."""

    portions: tuple[Portion, ...]
    folded: bool = False
    """Without batch norms in the head, melted into its convolutions before the first step."""


def mixed(streets: float, dense: float, nobody: float) -> tuple[Portion, ...]:
    """Streets, dense crowds, and streets and statues without anybody, by their shares: nobody there is a count too."""
    return (
        Portion("crowd", "shanghaitech-B", streets),
        Portion("crowd", "shanghaitech-A", dense),
        Portion("taught/plate", "", round(0.6 * nobody, 4), made=True, free_of=("person", "person?")),
        Portion("person", "personlike", round(0.4 * nobody, 4), free_of=("person",)),
    )


FEWEST = 100
SIZES = ((256, 256), (256, 256), (384, 192), (192, 320))
PARTS = (
    Part(
        portions=mixed(0.52, 0.38, 0.10),
        steps=1300,
        schedule=3000,
        rate=4e-4,
        sizes=SIZES,
        batch=16,
        decay=0.01,
        scales=(0.65, 1.4),
    ),
    # A batch norm tells from its batch whether there are crowds at all, and a box shows one picture at a time: until
    # here streets are counted a fifth too low.
    Part(
        portions=mixed(0.52, 0.38, 0.10),
        steps=1700,
        rate=3e-4,
        sizes=SIZES,
        batch=16,
        decay=0.01,
        warm_up=50,
        scales=(0.65, 1.4),
        folded=True,
        seed=2,
    ),
    # At last more of a picture at once, nearer to how a box will see it.
    Part(
        portions=mixed(0.66, 0.22, 0.12),
        steps=1200,
        rate=2e-4,
        sizes=((320, 320), (320, 320), (384, 256)),
        batch=12,
        decay=0.01,
        warm_up=40,
        scales=(0.75, 1.25),
        folded=True,
        seed=3,
    ),
)
HELD_OUT = 10
"""One picture in so many is held out of training: the crowd set has no `val` of its own."""


def held_out(picture: Picture) -> bool:
    """Whether a picture is for choosing and calibrating, not for training; its file name alone decides."""
    return int(sha256(picture.path.name.encode()).hexdigest(), 16) % HELD_OUT == 0


def learned(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """The pictures to train on."""
    return tuple(picture for picture in pictures if not held_out(picture))
