"""How each network is made: its labels, its pictures and their shares, its pace, its words.

`base` and `street` are not released: `base` is the published network with ReLU on large maps, from which `fire` and
`plate` start; `street` knows people and vehicles, and `vehicle` starts from it.
"""

from __future__ import annotations

from dataclasses import replace

from models.workshop.recipe import Network, Part, Portion, Recipe
from models.workshop.release.card import Prose

BASE_NOTICE = (
    "Training started from YOLOX-nano COCO weights, Copyright (c) 2021-2022 Megvii Inc., Apache License 2.0 "
    "(https://github.com/Megvii-BaseDetection/YOLOX); they were changed: RGB input, ReLU on large maps, no objectness "
    "branch, other classes, other training."
)
SQUARE, SMALL, MIDDLE = (320, 320), (384, 384), (416, 416)
WIDE, WIDER, VGA = (416, 256), (512, 288), (640, 480)

BASE = Network(
    name="base",
    start="",
    labels=(),
    parts=(
        Part(
            portions=(
                Portion("fire", "", 0.35),
                Portion("person", "person1", 0.15),
                Portion("person", "personlike", 0.20),
                Portion("crowd", "", 0.15),
                Portion("plate", "license", 0.15),
            ),
            steps=450,
            rate=1e-3,
            sizes=(SQUARE, SQUARE, WIDE, MIDDLE),
            warm_up=30,
            mosaics=0.2,
            taught=1.0,
            fewest=200,
        ),
    ),
)
STREET = Network(
    name="street",
    start="",
    labels=("person", "vehicle"),
    parts=(
        Part(
            portions=(
                Portion("person", "personlike", 0.28),
                Portion("person", "person1", 0.10),
                Portion("crowd", "shanghaitech-A", 0.12),
                Portion("crowd", "shanghaitech-B", 0.12),
                Portion("plate", "license", 0.20),
                Portion("fire", "", 0.18),
            ),
            steps=500,
            rate=1e-3,
            sizes=(SQUARE, MIDDLE, WIDER),
            warm_up=30,
            mosaics=0.25,
            taught=1.0,
            seed=7,
        ),
        Part(
            portions=(
                Portion("taught/personlike", "taught", 0.26, made=True),
                Portion("taught/crowd-b", "taught", 0.185, made=True),
                Portion("taught/crowd-a", "taught", 0.11, made=True),
                Portion("taught/plate", "taught", 0.27, made=True),
                Portion("person", "person1", 0.175),
            ),
            steps=600,
            rate=8e-4,
            sizes=(SQUARE, MIDDLE, WIDER),
            warm_up=30,
            mosaics=0.35,
            plain_tail=0.2,
            taught=1 / 3,
            seed=9,
        ),
    ),
)

FIRE_PROSE = Prose(
    purpose=(
        "Finds flames and smoke in pictures of fixed cameras, indoors and in the street. It is one witness: the box's "
        "fire analyzer asks for flicker, growth and time before anything is called a fire."
    ),
    training=(
        "Our own network code in PyTorch (YOLOX-nano layout, ReLU on large maps, no objectness), started from "
        "published COCO weights, which taught it by distillation, then trained on the sets below on two CPU cores: "
        "37,000 pictures at many sizes, then 33,000 with hard negatives, flames far away and drawn things that are "
        "orange and do not burn. Where smoke is in view and unlabelled its score was neither taught nor measured."
    ),
    limits=(
        "Only 13 validation and 36 test pictures come from surveillance cameras; the rest are photographs.",
        "Small flames score low: in most single frames of the burning doll's house they stay under the threshold.",
        "Smoke is labelled loosely in the sets (patches of a plume, often several boxes for one), and found badly.",
        "Pale roads and plain walls can look like smoke. Smoke alone is weak evidence.",
        "Yellow lines on a road, indicator lamps and red leaves come close to the fire threshold, and some reach it.",
        "The clips were looked at while the training was shaped: they flatter it.",
        "Drawn scenes were in training (other seeds): how well it sees drawn fires says nothing about real ones.",
    ),
)

GENTLE = Part(
    portions=(),
    steps=450,
    rate=4e-4,
    sizes=(SMALL, WIDER, WIDER, SQUARE),
    warm_up=20,
    mosaics=0.2,
    plain_tail=0.4,
    folded=True,
    evenings=0.3,
    scales=(0.22, 1.1),
)
"""What the later parts of `fire` have in common: no batch norms, evening light, things far away."""

FIRE = Recipe(
    name="fire",
    start="base",
    labels=("fire", "smoke"),
    parts=(
        Part(
            portions=(
                Portion("fire", "cctv", 0.16),
                Portion("fire", "fire_smoke", 0.38),
                Portion("fire", "continuous", 0.22),
                Portion("drawn", "drawn", 0.04, made=True),
                Portion("alight", "alight", 0.10, made=True),
                Portion("person", "", 0.04),
                Portion("crowd", "", 0.02),
                Portion("plate", "license", 0.04),
            ),
            steps=1150,
            rate=1e-3,
            sizes=(SQUARE, SQUARE, WIDE, SMALL),
            warm_up=50,
            decay=0.05,
            seed=5,
            fewest=300,
        ),
        # Hard negatives, lamps and evening light, flames far away, and pictures as cameras give them.
        replace(
            GENTLE,
            portions=(
                Portion("fire", "cctv", 0.15),
                Portion("fire", "fire_smoke", 0.33),
                Portion("fire", "continuous", 0.17),
                Portion("drawn", "drawn", 0.03, made=True),
                Portion("drawn", "drawn", 0.02, made=True, free_of=("fire", "smoke")),
                Portion("alight", "alight", 0.15, made=True),
                Portion("mined/fire", "", 0.10, made=True),
                Portion("person", "", 0.02),
                Portion("crowd", "", 0.01),
                Portion("plate", "license", 0.02),
            ),
            mosaics=0.25,
            scales=(0.25, 1.2),
            seed=33,
        ),
        # Above all what it still takes for fire.
        replace(
            GENTLE,
            portions=(
                Portion("fire", "cctv", 0.13),
                Portion("fire", "fire_smoke", 0.28),
                Portion("fire", "continuous", 0.13),
                Portion("drawn", "drawn", 0.03, made=True),
                Portion("drawn", "drawn", 0.02, made=True, free_of=("fire", "smoke")),
                Portion("alight", "alight", 0.19, made=True),
                Portion("mined/fire", "", 0.18, made=True),
                Portion("plate", "license", 0.04),
            ),
            steps=350,
            seed=34,
        ),
        # Cars once more, whose lamps and whose roads' lines it still takes for fire.
        replace(
            GENTLE,
            portions=(
                Portion("fire", "cctv", 0.12),
                Portion("fire", "fire_smoke", 0.26),
                Portion("fire", "continuous", 0.12),
                Portion("drawn", "drawn", 0.03, made=True),
                Portion("drawn", "drawn", 0.02, made=True, free_of=("fire", "smoke")),
                Portion("alight", "alight", 0.16, made=True),
                Portion("mined/fire", "", 0.13, made=True),
                Portion("plate", "license_plates", 0.16),
            ),
            steps=220,
            rate=2.5e-4,
            seed=35,
        ),
    ),
    size=WIDER,
    thresholds=(("fire", 0.5), ("smoke", 0.6)),
    notice=BASE_NOTICE,
    prose=FIRE_PROSE,
)

TAUGHT_NOTICE = (
    "Part of its labels are what that network and SSDLite MobileNetV2 (COCO, TensorFlow Object Detection API, Apache "
    "License 2.0) agree on."
)
TAUGHT = (
    "Sets named 'taught' carry labels on which five looks of two published detectors agree; where they were unsure "
    "nothing was taught."
)
STREET_TRAINING = (
    "Our own network code in PyTorch (YOLOX-nano layout, ReLU on large maps, no objectness), started from published "
    "COCO weights, trained on two CPU cores: first the published network taught it people and vehicles on every "
    "picture, then labels and the published network in turns. "
    f"{TAUGHT}"
)
PERSON_PROSE = Prose(
    purpose="Finds people in pictures of fixed cameras, indoors and in the street, to count and to follow them.",
    training=(
        "Our own network code in PyTorch (YOLOX-nano layout, SiLU and objectness as published), started from published "
        "COCO weights and trained on two CPU cores: labels and the published network taught it in turns, so that it "
        f"did not forget what no picture here shows. {TAUGHT} Statues and mannequins (class person-like) were "
        "background."
    ),
    limits=(
        "The validation pictures show rooms of few fixed cameras; the figures for coco128 are nearer to the street.",
        "The published weights have seen coco128, so its figures flatter.",
        "It does not count dense crowds: a density model does that.",
        "Drawn scenes were in training (other seeds): how well it sees drawn people says nothing about real ones.",
    ),
)

PERSON = Recipe(
    name="person",
    start="",
    labels=("person",),
    parts=(
        # Every person is labelled, so all may stay as it was published, objectness too: it begins as good as that.
        Part(
            portions=(
                Portion("person", "person1", 0.20),
                Portion("taught/personlike", "taught", 0.30, made=True),
                Portion("taught/crowd-b", "taught", 0.18, made=True),
                Portion("taught/crowd-a", "taught", 0.10, made=True),
                Portion("taught/plate", "taught", 0.14, made=True),
                Portion("drawn", "drawn", 0.08, made=True),
            ),
            steps=550,
            rate=2e-4,
            sizes=(MIDDLE, WIDER, SMALL),
            warm_up=40,
            mosaics=0.25,
            plain_tail=0.3,
            folded=True,
            relu=(),
            objectness=True,
            taught=1 / 2,
            seed=23,
        ),
    ),
    size=VGA,
    thresholds=(("person", 0.35),),
    notice=(
        "Training started from YOLOX-nano COCO weights, Copyright (c) 2021-2022 Megvii Inc., Apache License 2.0 "
        "(https://github.com/Megvii-BaseDetection/YOLOX); they were changed: RGB input, one class, other training. "
        f"{TAUGHT_NOTICE}"
    ),
    prose=PERSON_PROSE,
)

VEHICLE_PROSE = Prose(
    purpose="Finds cars, lorries, buses and motorcycles in pictures of street cameras.",
    training=f"{STREET_TRAINING} At the end labels taught alone.",
    limits=(
        "Vehicles were labelled in one set alone, mostly single cars near the camera: boxes tend to be generous.",
        "What it knows of traffic far away it has from the published detectors.",
        "Bicycles are not vehicles here; neither are trams and trains.",
        "A picture of the test set without a labelled vehicle may show one all the same: it is no true negative.",
        "No night pictures of traffic were labelled.",
        "Drawn cars were in training (other seeds): how well it sees them says nothing about real ones.",
    ),
)

PLATE_PROSE = Prose(
    purpose="Finds number plates in pictures of road cameras, to be read by what comes after it.",
    training=(
        "Our own network code in PyTorch (YOLOX-nano layout, ReLU on large maps, no objectness), started from "
        "published COCO weights, which taught it by distillation, then trained on the sets below on two CPU cores. In "
        "the set 'plated' the plates of European and American cars are covered by Chinese ones from other pictures."
    ),
    limits=(
        "No picture of a Chinese road was in training: what it knows of Chinese plates it has from composed pictures.",
        "It gives upright boxes: a plate that is turned is set straight afterwards.",
        "Plates under 20 pixels of width were rare in training; nobody could read them.",
    ),
)

VEHICLE = Recipe(
    name="vehicle",
    start="street",
    labels=("vehicle",),
    parts=(
        Part(
            portions=(
                Portion("taught/plate", "taught", 0.62, made=True),
                Portion("taught/crowd-b", "taught", 0.10, made=True),
                Portion("taught/personlike", "taught", 0.10, made=True),
                Portion("taught/crowd-a", "taught", 0.05, made=True),
                Portion("person", "person1", 0.07),
                Portion("drawn", "drawn", 0.06, made=True),
            ),
            steps=200,
            rate=3e-4,
            sizes=(MIDDLE, WIDER, SMALL),
            warm_up=20,
            mosaics=0.25,
            plain_tail=0.4,
            folded=True,
            seed=13,
        ),
    ),
    size=MIDDLE,
    thresholds=(("vehicle", 0.4),),
    notice=f"{BASE_NOTICE} {TAUGHT_NOTICE}",
    prose=VEHICLE_PROSE,
)

PLATE = Recipe(
    name="plate",
    start="base",
    labels=("plate",),
    parts=(
        Part(
            portions=(
                Portion("plate", "license_plates", 0.36),
                Portion("plate", "license_plate_bertugilk", 0.08),
                Portion("plate", "license_plate_lizenzbear", 0.06),
                Portion("plated", "plated", 0.30, made=True),
                Portion("person", "", 0.08),
                Portion("crowd", "shanghaitech-B", 0.05),
                Portion("fire", "", 0.07),
            ),
            steps=700,
            rate=8e-4,
            sizes=(SQUARE, MIDDLE, MIDDLE, WIDER),
            warm_up=40,
            decay=0.04,
            plain_tail=0.25,
            seed=41,
            fewest=200,
        ),
    ),
    size=VGA,
    thresholds=(("plate", 0.4),),
    notice=BASE_NOTICE,
    prose=PLATE_PROSE,
)

NETWORKS = {network.name: network for network in (BASE, STREET, FIRE, PERSON, VEHICLE, PLATE)}
RECIPES = {network.name: network for network in (FIRE, PERSON, VEHICLE, PLATE)}


def network(name: str) -> Network:
    """How a network is made. Raises `KeyError` naming the known ones."""
    if name not in NETWORKS:
        raise KeyError(f"no recipe for network '{name}'; known: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def recipe(name: str) -> Recipe:
    """The recipe of a detector. Raises `KeyError` naming the known ones."""
    if name not in RECIPES:
        raise KeyError(f"no recipe for detector '{name}'; known: {', '.join(RECIPES)}")
    return RECIPES[name]


def before(name: str) -> tuple[Network, ...]:
    """The networks that one starts from, the first one first."""
    start = network(name).start
    return (*before(start), network(start)) if start else ()
