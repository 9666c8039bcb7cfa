"""The image sets: `labels.jsonl` files, their splits, and slices of them.

The format is described in the data folder's README and checked by `labels`. Near-duplicates never cross splits, so
splits are never remade.

Not everything is labelled everywhere. A class is unlabelled in a picture whose line says so (`smoke_labelled: false`),
and in a source that has boxes, but never one of this class, while other sources of the same file have it: `plate` has
pictures of cars with a box around the number plate alone. A line that says `<class>_labelled: true` overrules this, a
source without any box is taken at its word (there is nothing in it), and whoever labels `person-like` knows persons.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.workshop.sets.labels import Point, Row, read_rows

Image = NDArray[np.uint8]
LIKE = "-like"
"""Ends the class of what looks like another and is not: statues and mannequins are `person-like`."""
UNSURE = "?"
"""Ends the class of a box that nobody is sure of: neither taught nor measured."""


def read_pixels(path: Path) -> Image:
    """The pixels of a file, HxWx3 BGR. Raises `ValueError` naming it when it cannot be decoded."""
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"{path}: cannot be decoded: {error.err}") from error
    if image is None:
        raise ValueError(f"{path}: not a picture that can be decoded")
    return np.asarray(image, np.uint8)


@dataclass(frozen=True)
class Truth:
    """A labelled box: class name, and x1, y1, x2, y2 in pixels of the picture."""

    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """A labelled picture. `unlabelled` names classes that may be in view without a box (smoke, in parts of `fire`).

    `boxed` is false where nobody drew boxes at all; `heads` are points on the heads, in its pixels, None where nobody
    marked them; `place` is `indoor`, `outdoor` or empty; `flat` counts labelled boxes without an area, which are no
    truths; `texts` are what the truths say, one each, or what the whole picture says where nobody drew boxes.
    """

    path: Path
    split: str
    width: int
    height: int
    source: str
    truths: tuple[Truth, ...]
    unlabelled: frozenset[str] = field(default_factory=frozenset)
    boxed: bool = True
    heads: tuple[Point, ...] | None = None
    place: str = ""
    flat: int = 0
    texts: tuple[str, ...] = ()

    def read(self, decode: Callable[[Path], Image] = read_pixels) -> Image:
        """The pixels, HxWx3 BGR. Raises what `decode` raises."""
        return decode(self.path)


def data_folder(given: Path | None = None) -> Path:
    """The data folder: `given`, or `VEDETTE_DATA`, or `../shared/data` beside the repository.

    Raises `FileNotFoundError` naming all three ways when there is none.
    """
    folder = given or Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "../shared/data"))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"data folder {folder} does not exist; give its path, set VEDETTE_DATA, or put it at ../shared/data"
        )
    return folder


def read_set(folder: Path, split: str | None = None, anywhere: bool = True) -> list[Picture]:
    """The pictures of one set, or of one of its splits, in file order.

    `anywhere` lets pictures lie outside the folder (see `labels.read_rows`): for the workshop's own sets, not for those
    of others. Raises what `read_rows` raises, and `ValueError` for a split that the set does not have.
    """
    path = folder / "labels.jsonl"
    rows = read_rows(path, anywhere)
    splits = list(dict.fromkeys(row.split for row in rows))
    if split is not None and split not in splits:
        raise ValueError(f"{path}: no split '{split}'; there are: {', '.join(splits)}")
    silent = never_labelled(rows)
    return [to_picture(row, folder, silent[row.source]) for row in rows if split in (None, row.split)]


def to_picture(row: Row, folder: Path, silent: frozenset[str]) -> Picture:
    """A row as a picture; `silent` are the classes that its source never labels."""
    stated = {label for label, known in row.labelled.items() if not known}
    return Picture(
        path=folder / row.image,
        split=row.split,
        width=row.width,
        height=row.height,
        source=row.source,
        truths=tuple(Truth(label, (x1, y1, x2, y2)) for label, x1, y1, x2, y2 in row.boxes),
        unlabelled=frozenset(stated | {label for label in silent if not row.labelled.get(label, False)}),
        boxed=row.boxed,
        heads=row.heads,
        place=row.place,
        flat=row.flat,
        texts=row.texts,
    )


def never_labelled(rows: Sequence[Row]) -> dict[str, frozenset[str]]:
    """By source, the classes that other sources of the file label and it never does, in any split (see above)."""
    has: dict[str, set[str]] = {}
    for row in rows:
        known = has.setdefault(row.source, set())
        for label, *_ in row.boxes:
            known |= {label, label.removesuffix(UNSURE), label.removesuffix(LIKE)}
    every = frozenset(label for row in rows for label, *_ in row.boxes if not label.endswith(UNSURE))
    return {source: every - known if known else frozenset() for source, known in has.items()}


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
