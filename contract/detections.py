"""What a detector sees in one frame."""

import msgspec

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of the picture's width and height, 0 to 1, origin in the upper left corner."""


class Detection(msgspec.Struct, frozen=True):
    """A box in a frame, with its label and the detector's score (0 to 1)."""

    label: str
    score: float
    box: Box
    track: int | None = None
    """The tracker's number for the thing, unique within one source and one run of the vision process."""


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1 (Jaccard index); 0 where both are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0
