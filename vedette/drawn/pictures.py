"""Drawn pictures with their boxes, in the format of the other image sets, to mix into training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.workshop.data import Image, Truth, write_set
from vedette.drawn.scene import Kind, Scene

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


def write_pictures(folder: Path, training: int = 600, validation: int = 120) -> Path:
    """Write the drawn set (`labels.jsonl`, `train/`, `val/`) into `folder`; returns the folder."""
    pictures = [
        *draw(training, "train", FIRST_TRAINING_SEED),
        *draw(validation, "val", FIRST_VALIDATION_SEED),
    ]
    write_set(folder, pictures, "drawn")
    return folder
