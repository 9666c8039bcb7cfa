"""From a camera's picture to a detector's input tensor, and from the detector's boxes back to the picture."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.manifest import Input
from edge.vision.picture import Bgr

KEPT: Final = 8
"""Shapes of pictures whose tensors are kept."""


@dataclass(frozen=True)
class Placement:
    """Where the scaled picture lies in the input, in input pixels."""

    left: int
    top: int
    width: int
    height: int

    def to_picture(self, boxes: NDArray[np.float32]) -> NDArray[np.float64]:
        """Boxes ``[n, 4]`` (x1, y1, x2, y2) from input pixels to fractions of the picture, clipped to 0 to 1."""
        shifted = boxes.astype(np.float64) - (self.left, self.top, self.left, self.top)
        clipped: NDArray[np.float64] = np.clip(shifted / (self.width, self.height, self.width, self.height), 0.0, 1.0)
        return clipped


def place(width: int, height: int, input_width: int, input_height: int) -> Placement:
    """Scale by ``min(W/w, H/h)`` and centre: the placement every Vedette model was trained with."""
    ratio = min(input_width / width, input_height / height)
    new_width = min(input_width, max(1, round(width * ratio)))
    new_height = min(input_height, max(1, round(height * ratio)))
    return Placement((input_width - new_width) // 2, (input_height - new_height) // 2, new_width, new_height)


class Letterbox:
    """Writes pictures into input tensors that are allocated once, one for each shape of picture (see ``Input.fit``).

    A tensor is ``[1, 3, H, W]`` of the manifest's type; a session may be bound to its memory. A pixel becomes
    ``(pixel - mean) * scale`` per channel; around the picture lies the manifest's grey.
    """

    def __init__(self, spec: Input) -> None:
        self._spec = spec
        self._canvases: OrderedDict[tuple[int, int], Canvas] = OrderedDict()

    def put(self, picture: Bgr) -> tuple["Canvas", Placement]:
        """The canvas that now holds the picture (``[h, w, 3]`` uint8 BGR, see ``to_bgr``), and where it lies there."""
        sides = self._spec.fit(picture.shape[1], picture.shape[0])
        if sides not in self._canvases:
            # Cameras have few shapes; pictures from anywhere could have many.
            if len(self._canvases) == KEPT:
                self._canvases.popitem(last=False)
            self._canvases[sides] = Canvas(self._spec, *sides)
        self._canvases.move_to_end(sides)
        canvas = self._canvases[sides]
        return canvas, canvas.put(picture)


class Canvas:
    """One input tensor, ``[1, 3, height, width]``."""

    def __init__(self, spec: Input, width: int, height: int) -> None:
        self._spec, self._width, self._height = spec, width, height
        self._pixels = np.empty((3, height, width), np.uint8)
        self._scaled = np.empty((height, width, 3), np.uint8)
        self._plain = spec.dtype == "uint8"
        self.tensor: NDArray[Any] = (
            self._pixels[None] if self._plain else np.empty((1, 3, height, width), np.dtype(spec.dtype))
        )
        planes = [self._pixels[2], self._pixels[1], self._pixels[0]]
        self._planes = planes if spec.colour == "rgb" else planes[::-1]
        self._mean = np.array(spec.mean, np.float32).reshape(3, 1, 1)
        self._scale = np.array(spec.scale, np.float32).reshape(3, 1, 1)
        self._placed: Placement | None = None

    def put(self, picture: Bgr) -> Placement:
        """Fill ``tensor`` with the picture; returns where it lies."""
        spot = place(picture.shape[1], picture.shape[0], self._width, self._height)
        if spot != self._placed:
            # Cameras of one size leave the grey as it is; only another shape of picture has to draw it anew.
            self._pixels.fill(self._spec.letterbox)
            self._placed = spot
        scaled = self._scaled.reshape(-1)[: spot.height * spot.width * 3].reshape(spot.height, spot.width, 3)
        cv2.resize(picture, (spot.width, spot.height), dst=scaled, interpolation=cv2.INTER_LINEAR)
        for channel, plane in enumerate(self._planes):
            window = plane[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width]
            cv2.extractChannel(scaled, channel, window)
        if not self._plain:
            np.subtract(self._pixels, self._mean, out=self.tensor[0], casting="same_kind")
            np.multiply(self.tensor[0], self._scale, out=self.tensor[0], casting="same_kind")
        return spot
