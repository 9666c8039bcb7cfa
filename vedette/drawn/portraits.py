"""Drawn pictures with faces in them: what the face detector's golden samples are made of."""

from __future__ import annotations

import cv2
import numpy as np

from models.workshop.sets.data import Image
from vedette.drawn.face import face, paint_face
from vedette.drawn.flame import Box
from vedette.drawn.scene import Scene, label

Place = tuple[float, float, float]
"""Middle (x, y) and height of a head, crown to chin, as shares of the picture's width, height and height."""


def portrait(
    seed: int, places: tuple[Place, ...], width: int, height: int, where: str = "room"
) -> tuple[Image, list[Box]]:
    """A quiet scene, out of focus, with heads in front of it at `places`, the last one nearest; without a sensor's
    noise, which would double the size of the file.

    Returns the picture (HxWx3 BGR) and the boxes of the faces in pixels.
    """
    rng = np.random.default_rng([seed, 11])
    behind = Scene("quiet", seed, width, height, place=where).frame(5.0).image
    canvas = np.asarray(cv2.GaussianBlur(behind, (0, 0), height / 150), np.float32) / np.float32(255)
    boxes = [paint_face(canvas, face(rng, x * width, y * height, tall * height)) for x, y, tall in places]
    return label(np.clip(canvas * 255, 0, 255).astype(np.uint8)), boxes
