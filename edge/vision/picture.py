"""Pictures as detectors take them: ``HxWx3`` uint8, blue first, as OpenCV reads them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bgr = NDArray[np.uint8]
"""``[height, width, 3]``, blue, green, red, 0 to 255."""

MAX_SIDE = 32_768
"""Pixels; OpenCV's image operations take no longer side."""
_GREY = 114
"""What lies behind a transparent pixel: the same grey as around a letterboxed picture."""


class PictureError(ValueError):
    """What was given is no picture that a detector can look at; the text says what was found and what is needed."""


def to_bgr(picture: NDArray[Any]) -> Bgr:
    """The picture with three 8-bit channels; the very same array where it already has them.

    Grey becomes three equal channels, 16 bits become their upper eight, transparent parts show grey.

    Args:
        picture: ``[h, w]``, ``[h, w, 1]``, ``[h, w, 3]`` (BGR) or ``[h, w, 4]`` (BGRA), uint8 or uint16.

    Raises:
        PictureError: another type or shape, no pixels, or a side longer than ``MAX_SIDE``.
    """
    if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size > 0:
        _check_sides(picture)
        return picture
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, 3, 4)):
        raise PictureError(f"picture of shape {picture.shape}; needed is [height, width] with 1, 3 or 4 channels")
    if picture.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"picture of {picture.dtype}; needed are whole numbers of 8 or 16 bits (uint8, uint16)")
    _check_sides(picture)
    eight: NDArray[np.uint8] = (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture
    if eight.ndim == 2 or eight.shape[2] == 1:
        return np.repeat(eight.reshape(*eight.shape[:2], 1), 3, axis=2)
    return _over_grey(eight) if eight.shape[2] == 4 else eight


def read_picture(path: Path) -> Bgr:
    """Read a picture file of any kind that OpenCV knows.

    Raises:
        PictureError: the file cannot be read, is no picture, or is one that ``to_bgr`` refuses.
    """
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from error
    try:
        # A telephone's JPEG may say that it lies on its side: only this mode turns it, and it would drop transparency.
        mode = cv2.IMREAD_COLOR if raw[:2].tobytes() == b"\xff\xd8" else cv2.IMREAD_UNCHANGED
        picture = cv2.imdecode(raw, mode) if raw.size else None
    except cv2.error as error:
        raise PictureError(f"{path} cannot be decoded: {error.err}") from error
    if picture is None:
        raise PictureError(f"{path} is no picture that can be decoded; JPEG, PNG, WebP and TIFF are")
    try:
        return to_bgr(picture)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None


def _check_sides(picture: NDArray[Any]) -> None:
    height, width = picture.shape[:2]
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise PictureError(f"picture of {width}x{height} pixels; each side must be 1 to {MAX_SIDE}")


def _over_grey(picture: NDArray[np.uint8]) -> Bgr:
    opaque = picture[:, :, 3:].astype(np.uint16)
    mixed = (picture[:, :, :3] * opaque + _GREY * (255 - opaque) + 127) // 255
    return mixed.astype(np.uint8)
