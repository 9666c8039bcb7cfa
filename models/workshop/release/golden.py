"""Golden samples: pictures that a release must see rightly before it may run.

They travel with the model. A box runs them on its own processor with its own runtime; a wrong file, a broken kernel or
a swapped channel shows here and not in the street.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from contract.detections import Detection
from contract.golden import difference
from contract.manifest import Golden, Manifest
from models.workshop.evaluation.reading import Reads
from models.workshop.sets.data import Image

Detect = Callable[[Image], list[Detection]]
COUNTED = 0.15
"""How far above its threshold a detection must score to be expected: what another processor may lose is not golden."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a golden sample's result."""

    file: str
    text: str


def make_golden(
    folder: Path,
    pictures: Sequence[tuple[str, Image]],
    thresholds: dict[str, float],
    detect: Detect,
    reads: Reads | None = None,
) -> tuple[Golden, ...]:
    """Write pictures (name, HxWx3 BGR) to `folder/golden` as PNG, with what `detect` surely sees in them.

    `detect` must be the FP32 reference at the shipped thresholds, `reads` what the release's readers make of what is
    seen. Each sample also stands for what is *not* there:
    whatever else a model finds surely is a problem.
    """
    samples = []
    for name, image in pictures:
        path = write_sample(folder, name, image)
        expected = tuple(
            Detection(d.label, round(d.score, 4), tuple(round(v, 4) for v in d.box))  # type: ignore[arg-type]
            for d in detect(image)
            if d.score >= thresholds[d.label] + COUNTED
        )
        texts = tuple(reads(image, found.box) for found in expected) if reads else ()
        samples.append(Golden(file=f"golden/{name}.png", sha256=sha256(path), expected=expected, texts=texts))
    return tuple(samples)


def write_sample(folder: Path, name: str, image: Image) -> Path:
    """Write a picture (HxWx3 BGR) as `golden/<name>.png` of a release's folder. Raises `OSError`."""
    path = folder / "golden" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"{path}: could not be written")
    return path


def check_golden(manifest: Manifest, folder: Path, detect: Detect) -> list[Problem]:
    """What is wrong: a sample that is missing or altered, an expected thing not found, or something found surely that
    is not there. An empty list means that the model may run.

    `detect` must apply the manifest's thresholds. What counts as found is the box's own rule, `contract.golden`.
    """
    problems = []
    for sample in manifest.golden:
        path = folder / sample.file
        if not path.is_file():
            problems.append(Problem(sample.file, f"{path} is missing"))
            continue
        if sha256(path) != sample.sha256:
            problems.append(Problem(sample.file, f"{path} is not the file that the manifest names"))
            continue
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            problems.append(Problem(sample.file, f"{path} cannot be decoded"))
            continue
        found = detect(np.asarray(image, np.uint8))
        fault = difference(sample.expected, found, manifest.thresholds, manifest.golden_tolerance)
        if fault:
            problems.append(Problem(sample.file, fault))
    return problems


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
