"""Drawn plates."""

import numpy as np
import pytest

from edge.vision.plates.colour import background
from vedette.drawn.plate import RIVER, STYLES, draw_plate


@pytest.mark.parametrize(("style", "colour"), [("cn-blue", "blue"), ("cn-yellow", "yellow"), ("eu", "white")])
def test_a_plate_has_the_colour_of_its_kind(style: str, colour: str) -> None:
    plate = draw_plate(f"{RIVER}A12345" if style.startswith("cn") else "RK755AJ", style)
    assert plate.shape == (140, 436, 3)
    assert background(plate) == colour


def test_a_dark_plate_has_a_colour_only_where_it_can_be_seen() -> None:
    assert background(np.full((30, 90, 3), 0, np.uint8)) == ""
    assert background((draw_plate("AB123", "cn-blue") // 8).astype(np.uint8)) in ("", "blue", "black")


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="letters, digits and 川 can be drawn"):
        draw_plate("京A12345")
    with pytest.raises(KeyError):
        draw_plate("AB123", "moon")
    assert set(STYLES) == {"cn-blue", "cn-yellow", "eu"}
