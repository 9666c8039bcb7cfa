"""The picture that decided, as it was: nothing is drawn into it, the boxes travel with the event."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.ids import Micros
from contract.records import Event, Evidence
from edge.evidence.files import EvidenceFiles

QUALITY: Final = 85
"""JPEG; at 85 a small flame still looks like one."""


def encode_jpeg(image: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """A JPEG of ``[h, w, 3]`` uint8 BGR.

    Raises:
        ValueError: the picture cannot be encoded.
    """
    good, raw = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise ValueError(f"picture of shape {image.shape} cannot be written as JPEG")
    return bytes(raw)


def take_snapshot(event: Event, image: NDArray[np.uint8], captured: Micros, files: EvidenceFiles) -> Evidence:
    """Keep the picture as evidence of ``event``; returns the record that goes with it.

    Raises:
        ValueError: the picture cannot be encoded.
        OSError: the disk is full.
    """
    sha256, size = files.add(encode_jpeg(image))
    return Evidence(
        event=event.id,
        sha256=sha256,
        bytes=size,
        media_type="image/jpeg",
        role="snapshot",
        source=event.source,
        time=captured,
        detections=event.detections,
    )
