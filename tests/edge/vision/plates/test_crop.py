"""Plates cut out and set straight."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from contract.detections import Box
from edge.vision.plates.crop import cut_out, slant, straight
from vedette.drawn.plate import draw_plate


def street(angle: float, wide: int = 160) -> tuple[NDArray[np.uint8], Box]:
    """A picture with a plate turned by `angle` degrees, falling to the right, and the box around it."""
    plate = draw_plate("RK755AJ")
    scale = wide / plate.shape[1]
    a = np.radians(angle)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) * scale
    corners = np.array([[0, 0], [plate.shape[1], 0], plate.shape[1::-1], [0, plate.shape[0]]]) @ turn.T
    start = np.array([200.0, 150.0]) - corners.mean(0)
    image = np.full((300, 400, 3), 80, np.uint8)
    cv2.warpAffine(
        plate,
        np.column_stack([turn, start]),
        (400, 300),
        image,
        borderMode=cv2.BORDER_TRANSPARENT,
        flags=cv2.INTER_AREA,
    )
    corners += start
    (x1, y1), (x2, y2) = corners.min(0), corners.max(0)
    return image, (x1 / 400, y1 / 300, x2 / 400, y2 / 300)


@pytest.mark.parametrize("angle", [-14, -8, 0, 8, 14])
def test_a_slant_is_found_and_taken_back(angle: int) -> None:
    image, box = street(angle)
    found = slant(image, box)
    assert found == pytest.approx(angle, abs=2)
    line = cut_out(image, box, found)
    level, _ = street(0)
    want = cut_out(level, street(0)[1])
    assert line.shape[1] / line.shape[0] == pytest.approx(want.shape[1] / want.shape[0], rel=0.15)
    same = cv2.resize(line, want.shape[1::-1]).astype(float)
    assert np.corrcoef(same.ravel(), want.astype(float).ravel())[0, 1] > 0.75


def test_nothing_to_see_has_no_slant() -> None:
    assert slant(np.full((100, 100, 3), 90, np.uint8), (0.2, 0.4, 0.8, 0.6)) == 0


def test_a_turned_plate_fills_its_box() -> None:
    wide, tall = straight(100 * np.cos(0.2) + 30 * np.sin(0.2), 100 * np.sin(0.2) + 30 * np.cos(0.2), np.degrees(0.2))
    assert (wide, tall) == (pytest.approx(100), pytest.approx(30))


def test_a_box_outside_of_the_picture_is_refused_and_one_at_the_edge_is_not() -> None:
    image = np.full((100, 200, 3), 90, np.uint8)
    with pytest.raises(ValueError, match=r"plate box \(1.1, 0.1, 1.4, 0.2\) has no pixel in a picture of 200x100"):
        cut_out(image, (1.1, 0.1, 1.4, 0.2))
    assert cut_out(image, (-0.1, 0.9, 0.3, 1.2)).size
