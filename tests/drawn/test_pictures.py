"""Drawn pictures for training: a set like any other, from seeds that are never shown."""

from pathlib import Path

from models.workshop.sets.data import read_set
from vedette.drawn.pictures import FIRST_TRAINING_SEED, FIRST_VALIDATION_SEED, write_pictures


def test_the_drawn_set_reads_like_the_others(tmp_path: Path) -> None:
    write_pictures(tmp_path, training=12, validation=3)
    train, val = read_set(tmp_path, "train"), read_set(tmp_path, "val")
    assert (len(train), len(val)) == (12, 3)
    assert {t.label for p in train for t in p.truths} >= {"fire", "smoke", "person"}
    for picture in train:
        assert picture.read().shape[:2] == (picture.height, picture.width)
        assert picture.unlabelled == frozenset()


def test_training_never_meets_the_seeds_that_are_shown() -> None:
    assert min(FIRST_TRAINING_SEED, FIRST_VALIDATION_SEED) > 10_000
    assert abs(FIRST_TRAINING_SEED - FIRST_VALIDATION_SEED) > 10_000
