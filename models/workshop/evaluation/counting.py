"""How well heads are counted: how far off, how sure of it, and where.

As in the literature of crowds, `mae` is the mean absolute error of a picture's count and `mse` the *root* of the mean
squared error (Zhang et al., "Single-Image Crowd Counting via Multi-Column Convolutional Neural Network", CVPR 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.workshop.evaluation import slices
from models.workshop.evaluation.degraded import WORDS as DEGRADED
from models.workshop.evaluation.evaluate import Read, check_shape
from models.workshop.evaluation.figures import Figure
from models.workshop.sets.data import Image, Picture

Counts = Callable[[Image], tuple[float, float]]
"""From a picture (HxWx3 BGR) to the number of heads in it and its standard deviation."""
NINETY = 1.645
"""Standard deviations on either side within which a normal distribution has 90 % of its values."""
CROWDS = {
    "heads=few": (0, 50, "fewer than 50 heads"),
    "heads=many": (50, 200, "50 to 199 heads"),
    "heads=dense": (200, 10**9, "200 heads or more"),
}


@dataclass(frozen=True)
class Counted:
    """A picture with as many heads as people marked in it, what was counted, and how bright it is."""

    picture: Picture
    true: int
    heads: float
    sd: float
    light: float
    way: str = ""
    """How it was degraded (see `degraded`), empty where it was not."""


def count(
    pictures: Iterable[Picture], counts: Counts, faults: list[str], read: Read | None = None, way: str = ""
) -> list[Counted]:
    """Count in every picture whose heads people marked. One that cannot be looked at is told in `faults`."""
    result = []
    for picture in pictures:
        if picture.heads is None:
            continue
        try:
            image = picture.read() if read is None else picture.read(read)
            check_shape(picture, image)
            heads, sd = counts(image)
            result.append(Counted(picture, len(picture.heads), heads, sd, slices.brightness(image), way))
        except (OSError, RuntimeError, ValueError) as error:
            text = str(error)
            faults.append(text if str(picture.path) in text else f"{picture.path}: {text}")
    return result


def figures(name: str, counted: Sequence[Counted], about: str) -> list[Figure]:
    """The figures of all pictures, and of each slice that is there; of degraded ones by the way they were."""
    plain = [one for one in counted if not one.way]
    result = _figures(name, plain, about, "")
    parts: dict[str, list[Counted]] = {}
    for one in plain:
        crowd = next(part for part, (low, high, _) in CROWDS.items() if low <= one.true < high)
        for part in (*slices.names(one.picture, one.light), crowd):
            parts.setdefault(part, []).append(one)
    for part in (*slices.order([p for p in parts if p not in CROWDS]), *(p for p in CROWDS if p in parts)):
        words = CROWDS[part][2] if part in CROWDS else slices.WORDS.get(part, part.partition("=")[2])
        result += _figures(name, parts[part], f"{about}, {words}", part)
    for way, words in DEGRADED.items():
        result += _figures(name, [o for o in counted if o.way == way], f"{about}, {words}", f"look={way}")
    return result


def _figures(name: str, counted: Sequence[Counted], about: str, part: str) -> list[Figure]:
    if not counted:
        return []
    true, off, sd = _columns(counted)
    conditions = f"{about}, {len(counted)} pictures, {int(true.sum())} heads"
    worst = sorted(counted, key=lambda one: -abs(one.heads - one.true))[:10]
    table = tuple({"picture": o.picture.path.name, "heads": o.true, "counted": round(o.heads, 1)} for o in worst)
    return [
        Figure(f"{name}.mae", float(np.abs(off).mean()), "heads", conditions, part, table),
        Figure(f"{name}.mse", float(np.sqrt((off**2).mean())), "heads", f"{conditions}, root of the mean square", part),
        Figure(f"{name}.bias", float(off.mean()), "heads", f"{conditions}, counted less true", part),
        Figure(f"{name}.relative_error", float(np.abs(off).sum() / max(1.0, true.sum())), "", conditions, part),
        Figure(
            f"{name}.within_90", float((np.abs(off) <= NINETY * sd).mean()), "", f"{conditions}, asked is 0.90", part
        ),
    ]


def _columns(counted: Sequence[Counted]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    true = np.array([one.true for one in counted], np.float64)
    return true, np.array([one.heads for one in counted]) - true, np.array([one.sd for one in counted])


def fit_uncertainty(counted: Sequence[Counted]) -> tuple[float, float]:
    """`spread` and `relative` (see `contract.manifest.Counting`) under which errors are likeliest, as normal ones.

    `counted` are pictures that were held out of training, each with the root of the plain sum of variances for its
    `sd`. By search over a grid.
    """
    _, off, sd = _columns(counted)
    heads = np.array([one.heads for one in counted])
    best = (np.inf, 1.0, 0.0)
    for spread in np.geomspace(0.25, 32, 43):
        for relative in np.linspace(0, 0.4, 81):
            variance = spread * sd**2 + (relative * heads) ** 2 + 1e-3
            unlikely = float((np.log(variance) + off**2 / variance).sum())
            best = min(best, (unlikely, float(spread), float(relative)))
    return round(best[1], 4), round(best[2], 4)


def marked(pictures: Sequence[Picture], about: str) -> list[Picture]:
    """Those whose heads people marked. Raises `ValueError` when there are none."""
    found = [picture for picture in pictures if picture.heads is not None]
    if not found:
        raise ValueError(f"{about}: no line has 'heads'; an empty list would say that there is nobody in a picture")
    return found
