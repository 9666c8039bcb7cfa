"""Drawn pictures with their boxes, in the format of the other image sets, to mix into training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from models.workshop.progress import track
from models.workshop.sets.data import Image, Picture, Truth, read_set, write_set
from vedette.drawn.flame import Flame
from vedette.drawn.lures import paint_lure
from vedette.drawn.plates import plate_set
from vedette.drawn.scene import Kind, Scene

Read = Callable[[Path, str], Sequence[Picture]]

# Scenes that are shown or tested take seeds below; training and validation begin here and never meet them.
FIRST_TRAINING_SEED = 100_000
FIRST_VALIDATION_SEED = 200_000
MIX: tuple[tuple[Kind, float], ...] = (("fire", 0.5), ("quiet", 0.22), ("people", 0.28))


def draw(count: int, split: str, first: int) -> Iterator[tuple[str, str, Image, list[Truth]]]:
    """`count` pictures, each from a scene of its own: file name, split, pixels, truths."""
    for n in range(count):
        rng = np.random.default_rng([first, n])
        kind = MIX[int(rng.choice(len(MIX), p=[share for _, share in MIX]))][0]
        scene = Scene(kind, first + n, ignition=0.0)
        frame = scene.frame(float(rng.uniform(0.8, 22.0)))
        yield f"{kind}-{first + n}.jpg", split, frame.image, [Truth(m.label, m.box) for m in frame.marks]


def size(rng: np.random.Generator, least: float, most: float) -> float:
    """A random size, evenly spread on a logarithmic scale: far things are small."""
    return float(least * (most / least) ** rng.uniform())


def set_alight(pictures: Sequence[Picture], count: int) -> Iterator[tuple[str, str, Image, list[Truth]]]:
    """Real pictures without a fire, with small drawn things in them: up to five that are orange and do not burn, and in
    every other picture one or two flames, far from the camera.

    Each is a picture as `write_set` takes it, from one of `pictures`, with the flames' boxes alone.
    """
    for n in range(count):
        rng = np.random.default_rng([FIRST_TRAINING_SEED, 1, n])
        image = pictures[int(rng.integers(len(pictures)))].read()
        h, w = image.shape[:2]
        canvas = np.asarray(image / np.float32(255), np.float32)
        for _ in range(int(rng.integers(1, 6))):
            tall = h * size(rng, 0.03, 0.17)
            paint_lure(rng, canvas, float(rng.uniform(0, 1)) * w, float(rng.uniform(0.15, 1)) * h, tall)
        truths = []
        for _ in range(int(rng.integers(1, 3)) if n % 2 else 0):
            tall = h * size(rng, 0.04, 0.24)
            wide = tall * float(rng.uniform(0.45, 1.0))
            flame = Flame(rng, float(rng.uniform(0.1, 0.9)) * w, float(rng.uniform(0.35, 0.95)) * h)
            box = flame.paint(canvas, float(rng.uniform(0, 50)), wide, tall)
            if box is not None:
                truths.append(Truth("fire", box))
        yield f"alight-{n}.jpg", "train", np.clip(canvas * 255, 0, 255).astype(np.uint8), truths


def write_pictures(folder: Path, training: int = 600, validation: int = 120) -> Path:
    """Write the drawn set (`labels.jsonl`, `train/`, `val/`) into `folder`; returns the folder."""
    pictures = chain(
        draw(training, "train", FIRST_TRAINING_SEED),
        draw(validation, "val", FIRST_VALIDATION_SEED),
    )
    write_set(folder, list(track(pictures, "drawing", training + validation)), "drawn")
    return folder


def write_alight(folder: Path, data: Path, count: int = 600, read: Read = read_set) -> Path:
    """Write the set of real pictures with drawn flames and other small orange things into `folder`.

    The pictures are those of the data folder's sets `person`, `crowd` (street cameras, twice as often) and `plate`, as
    `read` gives them (a set's folder and a split). Returns the folder.
    """
    street = [p for p in read(data / "crowd", "train") if p.source == "shanghaitech-B"]
    pictures = [*read(data / "person", "train"), *street, *street, *read(data / "plate", "train")]
    write_set(folder, list(track(set_alight(pictures, count), "setting alight", count)), "alight")
    return folder


def write_plated(folder: Path, data: Path, count: int = 600, read: Read = read_set) -> Path:
    """Write the set of cars with Chinese plates into `folder`; cars and plates are those of the data folder's `plate`.

    `read` gives the cars (a set's folder and a split). Returns the folder.
    """
    cars, plates = read(data / "plate", "train"), read_set(data / "plate", "crop")
    # One source shows little but plates: there is no car to see.
    cars = [p for p in cars if not p.source.endswith("bertugilk")]
    made = plate_set(cars, plates, count, FIRST_TRAINING_SEED + 2)
    write_set(folder, list(track(made, "covering plates", count)), "plated")
    return folder
