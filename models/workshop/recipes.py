"""How each detector of the zoo is made: its labels, its pictures and their shares, its pace, its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import DataSet
from models.workshop.card import Prose
from models.workshop.data import Picture, read_set
from models.workshop.release import Origin

BASE_NOTICE = (
    "Training started from YOLOX-nano COCO weights, Copyright (c) 2021-2022 Megvii Inc., Apache License 2.0 "
    "(https://github.com/Megvii-BaseDetection/YOLOX); they were changed: RGB input, ReLU, no objectness branch, "
    "other classes, other training."
)
DRAWN = "drawn by Vedette (vedette.drawn)"


NO_PROSE = Prose("", "", ())


@dataclass(frozen=True)
class Portion:
    """A set (a folder of the data folder, or of the work folder where `made`), of it the sources whose names begin with
    `source`, and the share of the training that they get."""

    folder: str
    source: str
    share: float
    made: bool = False

    def pictures(self, data: Path, work: Path) -> tuple[Picture, ...]:
        """The training pictures. Raises `FileNotFoundError` without the set, `ValueError` when it is empty."""
        folder = (work if self.made else data) / self.folder
        found = tuple(p for p in read_set(folder, "train") if p.source.startswith(self.source))
        if not found:
            raise ValueError(f"{folder}: no training picture of source '{self.source}'")
        return found


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a detector. `steps` of `batch` pictures at learning rate `rate`; size in pixels."""

    name: str
    labels: tuple[str, ...]
    portions: tuple[Portion, ...]
    steps: int
    rate: float
    batch: int = 32
    size: tuple[int, int] = (320, 320)
    mosaics: float = 0.5
    folded: bool = False
    """Without batch norms: they are melted in before the first step."""
    refined: tuple[Portion, ...] = ()
    """What a second, gentle part of the training sees, without batch norms; empty where there is none."""
    refine_steps: int = 0
    refine_rate: float = 0.0
    shape: tuple[int, int] | None = None
    """Another input size, for the second part and for the release."""
    thresholds: tuple[tuple[str, float], ...] = ()
    licence: str = "Apache-2.0"
    prose: Prose = NO_PROSE

    @property
    def shipped_size(self) -> tuple[int, int]:
        """Input of the release: width and height in pixels."""
        return self.shape or self.size

    def origin(self, data: Path, work: Path) -> Origin:
        """Data sets with their licences and the number of pictures used, and the notice."""
        counted: dict[str, int] = {}
        used = {p for portion in (*self.portions, *self.refined) for p in portion.pictures(data, work)}
        for picture in {p.path.resolve(): p for p in used}.values():
            counted[picture.source] = counted.get(picture.source, 0) + 1
        sets = tuple(
            DataSet(name=source, licence=licence_of(source), images=counted[source]) for source in sorted(counted)
        )
        return Origin(sets, self.licence, BASE_NOTICE)


LICENCES: Sequence[tuple[str, str]] = (
    ("fire_smoke_sathurshan", "CC BY 4.0"),
    ("continuous_fire_k1mo55", "CC BY 4.0"),
    ("cctv_fire8_abonia", "CC BY 4.0"),
    ("person1", "CC BY 4.0"),
    ("personlike", "not stated; trained on, no picture shipped"),
    ("taught-crowd", "ShanghaiTech B, research data, not stated; trained on, no picture shipped"),
    ("shanghaitech", "research data, not stated; trained on, no picture shipped"),
    ("taught-fire", "CC BY 4.0"),
    ("taught-plate", "CC BY 4.0"),
    ("license_plate", "CC BY 4.0"),
    ("drawn", DRAWN),
    ("alight", "flames drawn by Vedette on pictures of the other sets"),
)


def licence_of(source: str) -> str:
    """The licence of a source, as the data folder's README states it."""
    return next((licence for begin, licence in LICENCES if source.startswith(begin)), "not stated")


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
        "Small flames (under about 12 pixels of the 320-pixel input) are often missed.",
        "Thin smoke is often missed; clouds, haze and grey walls can look like smoke. Smoke alone is weak evidence.",
        "Low sun on dry grass, red lanterns and red cloth come close to the fire threshold.",
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

RECIPES = {
    "fire": Recipe(
        name="fire",
        labels=("fire", "smoke"),
        portions=(
            Portion("fire", "cctv", 0.20),
            Portion("fire", "fire_smoke", 0.37),
            Portion("fire", "continuous", 0.27),
            Portion("drawn", "drawn", 0.07, made=True),
            Portion("person", "", 0.03),
            Portion("crowd", "shanghaitech-B", 0.02),
            Portion("plate", "license", 0.04),
        ),
        # The shipped one: a schedule of 1250 steps, broken off at 700.
        steps=700,
        rate=2e-3,
        refined=(
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
        refine_steps=330,
        refine_rate=3e-4,
        shape=(512, 288),
        thresholds=(("fire", 0.45), ("smoke", 0.35)),
        prose=FIRE,
    ),
    "person": Recipe(
        name="person",
        labels=("person",),
        portions=PEOPLE,
        steps=500,
        rate=5e-4,
        mosaics=0.4,
        folded=True,
        shape=(416, 256),
        thresholds=(("person", 0.38),),
        prose=PERSON,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of a detector. Raises `KeyError` naming the known ones."""
    if name not in RECIPES:
        raise KeyError(f"no recipe for detector '{name}'; known: {', '.join(RECIPES)}")
    return RECIPES[name]
