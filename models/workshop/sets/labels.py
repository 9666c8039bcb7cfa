"""Label files, read with suspicion: every line of `labels.jsonl` is checked before a picture is believed.

One JSON object a line: `image`, `split`, `width`, `height`, `source` and `boxes` ([class, x1, y1, x2, y2] in pixels).
Besides, where known: `<class>_labelled` (false: may be in view without a box), `place` (`indoor` or `outdoor`) and
`heads` ([x, y] in pixels of every head in view). A set without `boxes` at all has no boxes labelled; an empty list says
that there is nothing in the picture. All faults of a file are gathered, so that it is mended once and not line by line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

EDGE: Final = 1.0
"""Pixels that a box may lie outside its picture: rounding, when the set was made smaller."""
SHOWN: Final = 20
"""Faults that an error lists."""
PLACES: Final = ("indoor", "outdoor")
_ENDS: Final = "_labelled"

Box = tuple[str, float, float, float, float]
Point = tuple[float, float]


class LabelError(ValueError):
    """A label file that cannot be used. `faults` are all of them, each with its line; the text lists the first ones."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        listed = "".join(f"\n  {fault}" for fault in faults[:SHOWN])
        super().__init__(f"{path}: {count}, so none of it is used; mend or remove these lines:{listed}{more}")


@dataclass(frozen=True)
class Row:
    """A line of a label file that has passed. `flat` counts boxes without an area, which are not among `boxes`; `texts`
    has one text for each of `boxes`, or one for the whole picture where nobody drew boxes, or none at all; `heads` is
    None where nobody marked them."""

    line: int
    image: str
    split: str
    width: int
    height: int
    source: str
    boxes: tuple[Box, ...]
    boxed: bool
    heads: tuple[Point, ...] | None
    labelled: Mapping[str, bool]
    place: str
    flat: int
    texts: tuple[str, ...] = ()


def read_rows(path: Path, anywhere: bool = False) -> list[Row]:
    """The rows of a label file, in order; blank lines do not count.

    `anywhere` lets pictures lie outside the file's folder, as the workshop's own lists of pictures need it.
    Raises `FileNotFoundError` without the file, `LabelError` with every fault of it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; see docs/models.md for the data")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise LabelError(path, [f"not text in UTF-8 (byte {error.start})"]) from error
    rows: list[Row] = []
    faults: list[str] = []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row, wrong = read_row(json.loads(line), number, anywhere)
        except (ValueError, RecursionError) as error:
            row, wrong = None, [f"not JSON ({str(error)[:80]})"]
        if row is not None:
            rows.append(row)
            if first.setdefault(row.image, number) != number:
                wrong = [f"image '{row.image}' is already in line {first[row.image]}"]
        faults += [f"line {number}: {fault}" for fault in wrong]
    if faults:
        raise LabelError(path, faults)
    if not rows:
        raise LabelError(path, ["the file is empty: it names no picture"])
    return rows


def read_row(found: object, line: int, anywhere: bool) -> tuple[Row | None, list[str]]:
    """One line, and what is wrong with it; no row where something is."""
    if not isinstance(found, dict):
        return None, [f"{_short(found)} is not an object"]
    faults = [f"'{key}' is missing" for key in ("image", "split", "width", "height", "source") if key not in found]
    faults += [
        f"{key} {_short(found[key])} is not a name"
        for key in ("image", "split", "source")
        if key in found and not _name(found[key])
    ]
    faults += [
        f"{key} {_short(found[key])} is not a whole number of pixels, 1 or more"
        for key in ("width", "height")
        if key in found and not (_number(found[key]) and found[key] == int(found[key]) and found[key] >= 1)
    ]
    if found.get("place", "indoor") not in PLACES:
        faults.append(f"place {_short(found['place'])} is neither 'indoor' nor 'outdoor'")
    labelled = {key.removesuffix(_ENDS): value for key, value in found.items() if key.endswith(_ENDS)}
    faults += [f"{k}{_ENDS} {_short(v)} is not true or false" for k, v in labelled.items() if not isinstance(v, bool)]
    if not faults and not anywhere and _leaves(found["image"]):
        faults.append(f"image '{found['image']}' leaves the folder; name it by its path within")
    boxes = found.get("boxes", [])
    if not isinstance(boxes, list):
        faults.append(f"boxes {_short(boxes)} is not a list")
    heads = found.get("heads")
    if heads is not None and not isinstance(heads, list):
        faults.append(f"heads {_short(heads)} is not a list of points")
    texts, wanted = found.get("texts") or [], len(boxes) if "boxes" in found else 1
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        faults.append(f"texts {_short(texts)} is not a list of texts")
    elif texts and len(texts) != wanted:
        faults.append(f"{len(texts)} texts for {wanted} {'boxes' if 'boxes' in found else 'picture without boxes'}")
    if faults:
        return None, faults
    width, height = int(found["width"]), int(found["height"])
    faults = [f"box {_short(b)}: {fault}" for b in boxes if (fault := box_fault(b, width, height))]
    faults += [f"head {_short(h)}: {fault}" for h in heads or () if (fault := head_fault(h, width, height))]
    if faults:
        return None, faults
    kept = tuple((str(b[0]), float(b[1]), float(b[2]), float(b[3]), float(b[4])) for b in boxes)
    solid = tuple(b for b in kept if _solid(b))
    if boxes and texts:
        texts = [text for text, box in zip(texts, kept, strict=True) if _solid(box)]
    row = Row(
        line=line,
        image=found["image"],
        split=found["split"],
        width=width,
        height=height,
        source=found["source"],
        boxes=solid,
        boxed="boxes" in found,
        heads=None if heads is None else tuple((float(x), float(y)) for x, y in heads),
        labelled={key: bool(value) for key, value in labelled.items()},
        place=found.get("place", ""),
        flat=len(kept) - len(solid),
        texts=tuple(texts),
    )
    return row, []


def _solid(box: Box) -> bool:
    return box[3] > box[1] and box[4] > box[2]


def box_fault(box: object, width: int, height: int) -> str:
    """What is wrong with a box of a picture of `width` x `height` pixels; empty where nothing is.

    A box without an area is no fault: there is none of it left after a set was made smaller.
    """
    if not isinstance(box, list) or len(box) != 5:
        return "needed is [class, x1, y1, x2, y2]"
    label, *sides = box
    if not _name(label):
        return f"class {_short(label)} is not a name"
    if not all(_number(side) for side in sides):
        return "x1, y1, x2, y2 must be finite numbers"
    x1, y1, x2, y2 = sides
    if x2 < x1 or y2 < y1:
        return "x2 < x1 or y2 < y1; the corners are the upper left and the lower right one"
    if min(x1, y1) < -EDGE or x2 > width + EDGE or y2 > height + EDGE:
        return f"outside the picture of {width}x{height} pixels"
    return ""


def head_fault(head: object, width: int, height: int) -> str:
    """What is wrong with the point on a head in a picture of `width` x `height` pixels; empty where nothing is."""
    if not isinstance(head, list) or len(head) != 2 or not all(_number(side) for side in head):
        return "needed is [x, y], finite numbers"
    x, y = head
    if not (-EDGE <= x <= width + EDGE and -EDGE <= y <= height + EDGE):
        return f"outside the picture of {width}x{height} pixels"
    return ""


def _name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e9 and math.isfinite(value)


def _leaves(image: str) -> bool:
    path = PurePosixPath(image.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or "\0" in image


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
