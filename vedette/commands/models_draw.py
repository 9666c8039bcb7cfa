"""What a model saw, drawn over the picture."""

from pathlib import Path
from typing import Any, Final

from vedette.commands.models_options import ModelsError

MOST: Final = 3.0
"""Heads in a cell from which a map of heads is drawn as full."""


def write(path: Path, image: Any, seen: dict[str, Any]) -> None:
    """Write the picture (HxWx3 BGR), at its own size, with what was seen in it: boxes, or a map of heads.

    Raises `ModelsError` where it cannot be written.
    """
    import cv2

    shown = _density(image, seen) if "density" in seen else _boxes(image, seen["detections"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), shown)
    except (OSError, cv2.error) as error:
        raise ModelsError(f"--draw {path.parent}: cannot be written to ({error})") from error
    if not written:
        raise ModelsError(f"--draw {path.parent}: {path.name} cannot be written")


def _boxes(image: Any, found: list[dict[str, Any]]) -> Any:
    """Characters that the font has not become a star."""
    import cv2

    shown = image.copy()
    for one in found:
        x1, y1, x2, y2 = (int(value) for value in one["box"])
        cv2.rectangle(shown, (x1, y1), (x2, y2), (0, 80, 255), _line(image))
        told = "".join(c if c.isascii() else "*" for c in one.get("text", "")) or one["label"]
        _write(shown, f"{told} {one['score']:.2f}", (x1, max(12, y1 - 4)))
    return shown


def _density(image: Any, seen: dict[str, Any]) -> Any:
    """The cells over the picture, red where people are; the count in the corner."""
    import cv2
    import numpy as np

    h, w = image.shape[:2]
    cells = np.array(seen["density"]["cells"], np.float32)
    x1, y1, x2, y2 = seen["density"]["frame"]
    columns, rows = cells.shape[1] / (x2 - x1), cells.shape[0] / (y2 - y1)
    to_cells = np.array([[columns / w, 0, -x1 * columns], [0, rows / h, -y1 * rows]])
    # A cell's number stands for its middle.
    to_cells[:, 2] -= 0.5
    heads = cv2.warpAffine(
        cells, to_cells, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    share = np.clip(heads / MOST, 0, 1)[..., None] ** 0.5
    shown = (image * (1 - 0.6 * share) + np.array([30, 40, 255]) * 0.6 * share).astype(np.uint8)
    _write(shown, f"{seen['count']:.0f} +- {1.645 * seen['sd']:.0f}", (8, 8 + 12 * _line(image)))
    return shown


def _line(image: Any) -> int:
    """Pixels of a line's width."""
    sides: tuple[int, ...] = image.shape[:2]
    return max(2, round(min(sides) / 500))


def _write(image: Any, text: str, place: tuple[int, int]) -> None:
    """Orange with a dark rim: it has to be read on anything."""
    import cv2

    line = _line(image)
    for colour, width in (((20, 20, 20), line + 1), ((0, 130, 255), max(1, line - 1))):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, line / 4, colour, width, cv2.LINE_AA)
