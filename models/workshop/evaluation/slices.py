"""Parts of a set that are measured on their own: a mean over a mixed set hides where a detector is weak.

A slice has a name, `kind=value`, and words that say what is in it. Sources are named by the label file. Places are
`indoor` or `outdoor` where a line says so, or the data folder's README of the source; nobody guesses. Surveillance
cameras are known by the source alone. Light is measured: by the median brightness of the picture, for a flame or a lamp
lifts the mean of a dark picture and leaves the median alone. Under 50 of 255 lay what the eye calls night, or a room
without light, in 321 fire pictures of train and val that were looked at for it.

Sizes are COCO's, 32x32 and 96x96 pixels, of a picture of 640x480, COCO's usual size: shares of the picture, for the
sets have been made smaller and a detector sees every picture at its own input's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.workshop.sets.data import Image, Picture

DARK: Final = 50
"""Median brightness, 0 to 255, under which a picture is called night."""
CCTV: Final = ("cctv", "person1", "shanghaitech-B", "easypr")
"""Beginnings of the sources that the data folder's README calls surveillance, fixed, street or road cameras."""
INDOOR: Final = ("person1",)
_SMALL, _MEDIUM = 32 * 32 / (640 * 480), 96 * 96 / (640 * 480)
SIZES: Final = {
    "size=small": (0.0, _SMALL),
    "size=medium": (_SMALL, _MEDIUM),
    "size=large": (_MEDIUM, 2.0),
}
"""Slices of boxes, not of pictures: areas as shares of the picture, lower end included."""
WORDS: Final = {
    "light=day": f"median brightness of {DARK} of 255 or more",
    "light=night": f"dark: median brightness under {DARK} of 255",
    "place=indoor": "indoor by its line or its source",
    "place=outdoor": "outdoor by its line",
    "view=cctv": "surveillance cameras, by their source",
    "size=small": f"boxes under {_SMALL:.2%} of the picture, as 32x32 of 640x480",
    "size=medium": f"boxes of {_SMALL:.2%} to {_MEDIUM:.2%} of the picture, as 96x96 of 640x480",
    "size=large": f"boxes of {_MEDIUM:.2%} of the picture or more",
}


def brightness(image: Image) -> float:
    """Median luma (ITU-R BT.601) of a picture (HxWx3 BGR), 0 to 255, over a grid of about 64 points a side."""
    step = max(1, min(image.shape[:2]) // 64)
    return float(np.median(image[::step, ::step] @ np.array([0.114, 0.587, 0.299])))


def names(picture: Picture, light: float) -> list[str]:
    """The slices that a picture is in; `light` is its `brightness`."""
    found = [f"source={picture.source}"]
    if picture.source.startswith(CCTV):
        found.append("view=cctv")
    found.append("light=night" if light < DARK else "light=day")
    place = picture.place or ("indoor" if picture.source.startswith(INDOOR) else "")
    return [*found, f"place={place}"] if place else found


def order(found: Sequence[str]) -> list[str]:
    """Names of slices, each once: sources first, in the order in which they came, then the others as in `WORDS`."""
    unique = list(dict.fromkeys(found))
    return [n for n in unique if n not in WORDS] + [n for n in WORDS if n in unique]
