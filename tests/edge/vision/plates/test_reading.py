"""Characters from the steps of a reader."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.vision.plates.reading import places

CHARACTERS = "AB0o·"


def steps(*rows: dict[str, float]) -> NDArray[np.float32]:
    """One row a step; what is not named is none, `_`."""
    table = np.zeros((len(rows), 1 + len(CHARACTERS)), np.float32)
    for n, row in enumerate(rows):
        for one, chance in row.items():
            table[n, 0 if one == "_" else 1 + CHARACTERS.index(one)] = chance
    return table


def test_a_character_may_last_and_a_blank_parts_two_alike() -> None:
    found = places(
        steps({"A": 0.7, "B": 0.3}, {"A": 0.9, "B": 0.1}, {"_": 1}, {"A": 0.8}, {"B": 0.6, "_": 0.4}), CHARACTERS
    )
    assert [max(place, key=lambda one: place[one]) for place in found] == ["A", "A", "B"]
    assert found[0] == pytest.approx({"A": 0.9, "B": 0.1})
    assert found[2] == pytest.approx({"B": 0.6})


def test_marks_between_characters_are_none_and_small_letters_are_capitals() -> None:
    found = places(steps({"A": 1}, {"·": 0.9, "B": 0.1}, {"o": 0.6, "0": 0.3}), CHARACTERS)
    assert found == [pytest.approx({"A": 1}), pytest.approx({"O": 0.6, "0": 0.3})]


def test_nothing_seen_is_no_place() -> None:
    assert places(steps({"_": 1}, {"_": 0.9, "A": 0.1}), CHARACTERS) == []
    assert places(np.zeros((0, 6), np.float32), CHARACTERS) == []


def test_a_reader_of_other_characters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reader gives \(3, 4\), needed are steps of 6 classes"):
        places(np.zeros((3, 4), np.float32), CHARACTERS)
