"""How each detector of the zoo is made: its labels, its pictures and their shares, its pace, its words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.manifest import DataSet, Input
from models.workshop.card import Prose
from models.workshop.data import Picture, read_set
from models.workshop.licences import licence_of as licence_of
from models.workshop.merge import training
from models.workshop.release import Origin

BASE_NOTICE = (
    "Training started from YOLOX-nano COCO weights, Copyright (c) 2021-2022 Megvii Inc., Apache License 2.0 "
    "(https://github.com/Megvii-BaseDetection/YOLOX); they were changed: RGB input, ReLU, no objectness branch, "
    "other classes, other training."
)


@dataclass(frozen=True)
class Portion:
    """A set (a folder of the data folder, or of the work folder where `made`), of it the sources whose names begin with
    `source`, without the pictures that show a label of `free_of`; and the share of the training that they get."""

    folder: str
    source: str
    share: float
    made: bool = False
    free_of: tuple[str, ...] = ()

    def pictures(self, data: Path, work: Path) -> tuple[Picture, ...]:
        """The training pictures that `work/data.json` keeps; of a set made here all of them.

        Raises `FileNotFoundError` without the set, `DataError` without its `data.json`, `ValueError` when it is empty.
        """
        folder = (work if self.made else data) / self.folder
        found = tuple(
            p
            for p in (read_set(folder, "train") if self.made else training(folder, work))
            if p.source.startswith(self.source) and not any(t.label in self.free_of for t in p.truths)
        )
        if not found:
            raise ValueError(f"{folder}: no training picture of source '{self.source}'")
        return found


@dataclass(frozen=True)
class Part:
    """One part of a training: what it sees, and its pace. `sizes` are widths and heights in pixels, `rate` is the
    highest learning rate."""

    portions: tuple[Portion, ...]
    steps: int
    rate: float
    sizes: tuple[tuple[int, int], ...]
    schedule: int = 0
    """Steps over which the rate falls, where the part was broken off before; 0 = `steps`."""
    batch: int = 32
    warm_up: int = 100
    mosaics: float = 0.5
    plain_tail: float = 0.15
    folded: bool = False
    """Without batch norms: they are melted in before the first step."""
    evenings: float = 0.0
    seed: int = 1
    fewest: int = 100
    """Steps at least, however small the part of the data is that is trained on."""

    @property
    def mines(self) -> bool:
        """Whether it needs the hard negatives of the part before."""
        return any(portion.folder.startswith("mined") for portion in self.portions)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a detector. Its parts follow each other; `size` is the release's width and height."""

    name: str
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    size: tuple[int, int]
    thresholds: tuple[tuple[str, float], ...]
    prose: Prose
    licence: str = "Apache-2.0"

    @property
    def input(self) -> Input:
        """The input of the release, as its manifest states it."""
        return Input(width=self.size[0], height=self.size[1], shape="fit")

    def origin(self, data: Path, work: Path) -> Origin:
        """Data sets with their licences and the number of pictures used, and the notice."""
        counted: dict[str, int] = {}
        used = {p for part in self.parts for portion in part.portions for p in portion.pictures(data, work)}
        for picture in {p.path.resolve(): p for p in used}.values():
            counted[picture.source] = counted.get(picture.source, 0) + 1
        sets = tuple(
            DataSet(name=source, licence=licence_of(source), images=counted[source]) for source in sorted(counted)
        )
        return Origin(sets, self.licence, BASE_NOTICE)


TEACH = (
    Portion("fire", "", 0.35),
    Portion("person", "person1", 0.15),
    Portion("person", "personlike", 0.20),
    Portion("crowd", "", 0.15),
    Portion("plate", "license", 0.15),
)
"""What the ReLU base network sees while the published network teaches it."""
TEACH_STEPS = 400
TEACH_RATE = 2e-3
TEACH_FEWEST = 200
"""Steps at least, however small the part of the data is that is taught on."""

FIRE = Prose(
    purpose=(
        "Finds flames and smoke in pictures of fixed cameras, indoors and in the street. It is one witness: the box's "
        "fire analyzer asks for flicker, growth and time before anything is called a fire."
    ),
    training=(
        "Our own network code in PyTorch (YOLOX-nano layout with ReLU, no objectness), started from published COCO "
        "weights, taught to use ReLU by distillation, then trained on the sets below on two CPU cores. Where smoke is "
        "in view and unlabelled its score was neither taught nor measured."
    ),
    limits=(
        "Only 13 validation and 36 test pictures come from surveillance cameras; the rest are photographs.",
        "Small flames score low: in most single frames of the burning doll's house they stay under the threshold.",
        "On the few surveillance pictures with a labelled flame (18 boxes in test) it finds none: they are tiny.",
        "Smoke is found badly, and plain grey walls can look like it. Smoke alone is weak evidence.",
        "Dry grass in low sun, red cloth and lamp shades come close to the fire threshold.",
        "The clips were looked at while the training was shaped, and when its last part was chosen: they flatter it.",
        "Drawn scenes were in training (other seeds): how well it sees drawn fires says nothing about real ones.",
    ),
)

PERSON = Prose(
    purpose=(
        "Finds people in pictures of fixed cameras: for counting, for zones, and to answer 'is anyone there' when "
        "something else has happened. It knows nobody: no face, no identity."
    ),
    training=(
        "Our own network code in PyTorch (YOLOX-nano layout with ReLU, no objectness), started from published COCO "
        "weights, taught to use ReLU by distillation, then trained on the sets below on two CPU cores. Sets named "
        "'taught' carry labels from the published network where it was sure; what it was unsure of was painted over. "
        "Statues and mannequins (class person-like) were background."
    ),
    limits=(
        "The validation pictures show rooms of few fixed cameras; the figures for coco128 are nearer to the street.",
        "The published weights have seen coco128, so its figures flatter.",
        "People under about 20 pixels of the 320-pixel input are often missed; dense crowds need another model.",
        "Drawn scenes were in training (other seeds): how well it sees drawn people says nothing about real ones.",
    ),
)

PEOPLE = (
    Portion("person", "person1", 0.40),
    Portion("person", "personlike", 0.22),
    Portion("taught/crowd", "taught", 0.18, made=True),
    Portion("taught/fire", "taught", 0.07, made=True),
    Portion("taught/plate", "taught", 0.07, made=True),
    Portion("drawn", "drawn", 0.06, made=True),
)

SQUARE, WIDE, WIDER = (320, 320), (416, 256), (512, 288)
RECIPES = {
    "fire": Recipe(
        name="fire",
        labels=("fire", "smoke"),
        parts=(
            Part(
                portions=(
                    Portion("fire", "cctv", 0.20),
                    Portion("fire", "fire_smoke", 0.37),
                    Portion("fire", "continuous", 0.27),
                    Portion("drawn", "drawn", 0.07, made=True),
                    Portion("person", "", 0.03),
                    Portion("crowd", "shanghaitech-B", 0.02),
                    Portion("plate", "license", 0.04),
                ),
                steps=700,
                schedule=1250,
                rate=2e-3,
                sizes=(SQUARE,),
            ),
            Part(
                portions=(
                    Portion("fire", "cctv", 0.16),
                    Portion("fire", "fire_smoke", 0.36),
                    Portion("fire", "continuous", 0.22),
                    Portion("drawn", "drawn", 0.06, made=True),
                    Portion("alight", "alight", 0.08, made=True),
                    Portion("mined/fire", "", 0.06, made=True),
                    Portion("person", "", 0.02),
                    Portion("crowd", "", 0.02),
                    Portion("plate", "license", 0.02),
                ),
                steps=330,
                rate=3e-4,
                sizes=(WIDER,),
                warm_up=30,
                mosaics=0.4,
                plain_tail=0.3,
                folded=True,
            ),
            # Lamps and evening light: scenes without a fire, far more often than before.
            Part(
                portions=(
                    Portion("fire", "cctv", 0.13),
                    Portion("fire", "fire_smoke", 0.36),
                    Portion("fire", "continuous", 0.22),
                    Portion("drawn", "drawn", 0.06, made=True),
                    Portion("drawn", "drawn", 0.10, made=True, free_of=("fire", "smoke")),
                    Portion("alight", "alight", 0.08, made=True),
                    Portion("mined/fire", "", 0.05, made=True),
                ),
                steps=130,
                rate=3e-4,
                sizes=(WIDER,),
                warm_up=20,
                mosaics=0.2,
                plain_tail=0.4,
                folded=True,
                evenings=0.5,
                seed=11,
            ),
        ),
        size=WIDER,
        thresholds=(("fire", 0.47), ("smoke", 0.5)),
        prose=FIRE,
    ),
    "person": Recipe(
        name="person",
        labels=("person",),
        parts=(
            Part(PEOPLE, steps=500, rate=5e-4, sizes=(SQUARE,), warm_up=30, mosaics=0.4, folded=True),
            Part(PEOPLE, steps=400, rate=4e-4, sizes=(WIDE,), warm_up=30, mosaics=0.4, folded=True),
        ),
        size=WIDE,
        thresholds=(("person", 0.38),),
        prose=PERSON,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of a detector. Raises `KeyError` naming the known ones."""
    if name not in RECIPES:
        raise KeyError(f"no recipe for detector '{name}'; known: {', '.join(RECIPES)}")
    return RECIPES[name]
