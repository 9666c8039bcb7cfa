"""Training on a part of the data: always the same part, and in a folder of its own."""

import random
from pathlib import Path

import pytest

from models.workshop.recipes import RECIPES
from models.workshop.sets.data import Picture
from models.workshop.trainer import fewer, own_folder, part, scaled
from models.workshop.training.machine import Machine


def pictures(folder: str, count: int) -> list[Picture]:
    return [Picture(Path(folder) / "train" / f"{n}.webp", "train", 8, 8, "x", ()) for n in range(count)]


def test_a_tenth_is_the_same_tenth_in_any_order_and_any_place() -> None:
    all_of_them = pictures("/a/fire", 995)
    tenth = part(all_of_them, 0.1)
    assert len(tenth) == 100
    mixed = list(all_of_them)
    random.Random(1).shuffle(mixed)
    assert set(part(mixed, 0.1)) == set(tenth)
    assert [p.path.name for p in part(pictures("/b/fire", 995), 0.1)] == [p.path.name for p in tenth]
    assert [p.path.name for p in part(pictures("/a/person", 995), 0.1)] != [p.path.name for p in tenth]
    assert set(tenth) < set(part(all_of_them, 0.2))
    assert part(all_of_them, 1) == tuple(all_of_them)
    assert len(part(all_of_them[:3], 0.1)) == 1


def test_steps_shrink_with_the_data_but_not_under_the_fewest() -> None:
    assert fewer(2000, 100, 0.1) == 200
    assert fewer(700, 100, 0.1) == 100
    assert fewer(60, 100, 0.1) == 60
    first = RECIPES["fire"].parts[0]
    small = scaled(first, 0.5, seed=9)
    assert small.steps == round(first.steps / 2)
    assert small.seed == 9
    assert scaled(first, 1.0, None) == first


def test_a_part_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert own_folder(tmp_path, 1.0) == tmp_path
    assert own_folder(tmp_path, 0.1) == tmp_path / "part-0.1"
    for wrong in (0, -0.1, 1.5):
        with pytest.raises(ValueError, match=r"--part-of .*: give a share above 0 and up to 1"):
            own_folder(tmp_path, wrong)


def test_a_machine_is_checked_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="device 'gpu' is not one of cpu, cuda"):
        Machine("gpu")
    with pytest.raises(ValueError, match="0 threads: give 1 or more"):
        Machine(threads=0)
