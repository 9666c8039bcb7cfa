"""The image sets: `labels.jsonl` files, their splits, and slices of them.

The format is described in the data folder's README: one JSON object a line with `image`, `split`, `width`, `height`,
`source` and `boxes` (class, x1, y1, x2, y2 in pixels). Near-duplicates never cross splits, so splits are never remade.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Truth:
    """A labelled box: class name, and x1, y1, x2, y2 in pixels of the picture."""

    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """A labelled picture. `unlabelled` names classes that may be in view without a box (smoke, in parts of `fire`)."""

    path: Path
    split: str
    width: int
    height: int
    source: str
    truths: tuple[Truth, ...]
    unlabelled: frozenset[str] = field(default_factory=frozenset)

    def read(self) -> Image:
        """The pixels, HxWx3 BGR. Raises `ValueError` naming the file when it cannot be decoded."""
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{self.path}: not a picture that can be decoded")
        return np.asarray(image, np.uint8)


def data_folder(given: Path | None = None) -> Path:
    """The data folder: `given`, or `VEDETTE_DATA`, or `../shared/data` beside the repository.

    Raises `FileNotFoundError` naming all three ways when there is none.
    """
    folder = given or Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "../shared/data"))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"data folder {folder} does not exist; give its path, set VEDETTE_DATA, or put it at ../shared/data"
        )
    return folder


def read_set(folder: Path, split: str | None = None) -> list[Picture]:
    """The pictures of one set, or of one of its splits, in file order.

    Raises `FileNotFoundError` when the set has no labels, `ValueError` for an unknown split or a broken line.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split '{split}' is not one of {', '.join(SPLITS)}")
    labels = folder / "labels.jsonl"
    if not labels.is_file():
        raise FileNotFoundError(f"{labels} does not exist; see docs/models.md for the data")
    pictures = []
    for number, line in enumerate(labels.read_text().splitlines(), 1):
        try:
            picture = parse(json.loads(line), folder)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{labels}, line {number}: {error!r}") from error
        if split in (None, picture.split):
            pictures.append(picture)
    return pictures


def parse(row: dict[str, object], folder: Path) -> Picture:
    """One line of `labels.jsonl`."""
    boxes = row.get("boxes", [])
    if not isinstance(boxes, list):
        raise TypeError("boxes must be a list")
    truths = tuple(Truth(str(b[0]), (float(b[1]), float(b[2]), float(b[3]), float(b[4]))) for b in boxes)
    return Picture(
        path=folder / str(row["image"]),
        split=str(row["split"]),
        width=int(str(row["width"])),
        height=int(str(row["height"])),
        source=str(row["source"]),
        truths=truths,
        unlabelled=frozenset() if row.get("smoke_labelled", True) else frozenset({"smoke"}),
    )


def write_set(folder: Path, pictures: Sequence[tuple[str, str, Image, Sequence[Truth]]], source: str) -> None:
    """Write pictures (file name, split, BGR pixels, truths) and their `labels.jsonl`, as JPEG of quality 92."""
    lines = []
    for name, split, image, truths in pictures:
        path = folder / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise OSError(f"{path}: could not be written")
        boxes = [[t.label, *(round(float(v), 1) for v in t.box)] for t in truths]
        lines.append(
            json.dumps(
                {
                    "image": f"{split}/{name}",
                    "split": split,
                    "width": image.shape[1],
                    "height": image.shape[0],
                    "source": source,
                    "boxes": boxes,
                }
            )
        )
    (folder / "labels.jsonl").write_text("\n".join(lines) + "\n")


def write_list(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write a `labels.jsonl` that points at pictures elsewhere, without their boxes: all of them background."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "image": str(p.path.resolve()),
            "split": p.split,
            "width": p.width,
            "height": p.height,
            "source": p.source,
            "boxes": [],
        }
        for p in pictures
    ]
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def slices(pictures: Iterable[Picture]) -> dict[str, list[Picture]]:
    """The pictures by source: a mean over a mixed set hides where a detector is weak."""
    by: dict[str, list[Picture]] = {}
    for picture in pictures:
        by.setdefault(picture.source, []).append(picture)
    return by


def letterbox(image: Image, width: int, height: int, pad: int = 114) -> tuple[Image, float, int, int]:
    """The picture scaled into `width` x `height` without distortion, centred on grey.

    Returns the canvas, the scale and the left and top margins in pixels. This is the definition that boxes use:
    linear interpolation to the rounded size, margins rounded down.
    """
    h, w = image.shape[:2]
    scale = min(width / w, height / h)
    size = (round(w * scale), round(h * scale))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas = np.full((height, width, 3), pad, np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return canvas, scale, left, top
