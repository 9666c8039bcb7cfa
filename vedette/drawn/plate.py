"""Drawn number plates: for tests and golden samples, where no picture of a real car may ship.

Letters and digits are a drawing font of OpenCV; of the Chinese provinces only 川 (Sichuan) can be drawn, which is three
strokes.
"""

from __future__ import annotations

import cv2
import numpy as np

from models.workshop.sets.data import Image

HEIGHT = 140
"""Pixels of a plate's height as it is drawn: those of a Chinese one are 440 by 140 mm."""
STYLES = {
    "cn-blue": ((168, 68, 12), (245, 245, 245)),
    "cn-yellow": ((20, 175, 240), (20, 20, 20)),
    "eu": ((235, 240, 240), (25, 25, 25)),
}
"""Background and ink, BGR."""
RIVER = "川"


def draw_plate(text: str, style: str = "eu") -> Image:
    """A plate seen from the front, HxWx3 BGR. Raises `KeyError` for a style, `ValueError` for a text it cannot draw."""
    paper, ink = STYLES[style]
    if not text or any(one != RIVER and not (one.isascii() and one.isalnum()) for one in text):
        raise ValueError(f"plate '{text}': letters, digits and {RIVER} can be drawn")
    cell, margin = 56, 22
    image = np.full((HEIGHT, 2 * margin + cell * len(text), 3), paper, np.uint8)
    cv2.rectangle(image, (5, 5), (image.shape[1] - 6, HEIGHT - 6), ink, 3, cv2.LINE_AA)
    for n, one in enumerate(text):
        left = margin + n * cell
        if one == RIVER:
            for x, top, bend in ((10, 32, -6), (26, 40, 0), (44, 30, 0)):
                cv2.line(image, (left + x, top), (left + x + bend, 110), ink, 7, cv2.LINE_AA)
            continue
        (wide, tall), _ = cv2.getTextSize(one, cv2.FONT_HERSHEY_SIMPLEX, 3.0, 9)
        glyph = np.full((tall + 18, wide + 8, 3), paper, np.uint8)
        cv2.putText(glyph, one, (4, tall + 8), cv2.FONT_HERSHEY_SIMPLEX, 3.0, ink, 9, cv2.LINE_AA)
        image[26:116, left + 3 : left + cell - 3] = cv2.resize(glyph, (cell - 6, 90), interpolation=cv2.INTER_AREA)
    return image
