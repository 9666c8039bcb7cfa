"""The workshop's steps: what is missing is named, with the way out."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from contract.detections import Detection
from models.workshop.recipes import RECIPES, before, recipe
from models.workshop.sets.data import Truth, read_set, write_list, write_set
from models.workshop.sets.licences import licence_of
from models.workshop.steps import MissingExtraError, at, prepare, start_weights
from models.workshop.trainer import train_network

WITHOUT_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")


@WITHOUT_TORCH
def test_training_without_torch_says_how_to_get_it(tmp_path: Path) -> None:
    for step in (
        lambda: train_network("base", tmp_path, tmp_path, print),
        lambda: train_network("fire", tmp_path, tmp_path, print),
    ):
        with pytest.raises(MissingExtraError, match=r"torch.* not installed; .*pip install 'vedette\[train\]'"):
            step()


def test_missing_weights_and_unknown_detectors_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no yolox_nano_coco"):
        start_weights(tmp_path)
    with pytest.raises(FileNotFoundError, match="no yolox_nano_coco"):
        prepare(tmp_path, tmp_path, print)
    with pytest.raises(KeyError, match="no recipe for detector 'ghost'; known: fire, person"):
        recipe("ghost")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_shares_are_shares_and_every_label_has_a_threshold(name: str) -> None:
    how = recipe(name)
    for part in [part for one in (*before(name), how) for part in one.parts]:
        assert sum(p.share for p in part.portions) == pytest.approx(1.0)
        assert sum(p.share for p in part.portions if p.source == "drawn" and not p.free_of) <= 0.08
    assert set(dict(how.thresholds)) == set(how.labels)


def test_a_licence_is_stated_for_every_source() -> None:
    assert licence_of("cctv_fire8_abonia") == "CC BY 4.0"
    assert licence_of("somewhere else") == "not stated"


def test_thresholds_are_by_label() -> None:
    found = [Detection("fire", 0.5, (0, 0, 1, 1)), Detection("smoke", 0.5, (0, 0, 1, 1))]
    image = np.zeros((8, 8, 3), np.uint8)
    assert [d.label for d in at(lambda _: found, {"fire": 0.4, "smoke": 0.6})(image)] == ["fire"]


def test_a_list_points_elsewhere_and_has_no_boxes(tmp_path: Path) -> None:
    image = np.full((40, 60, 3), 7, np.uint8)
    write_set(tmp_path / "a", [("x.png", "train", image, [Truth("fire", (1, 2, 30, 20))])], "made")
    write_list(tmp_path / "b", read_set(tmp_path / "a"))
    (only,) = read_set(tmp_path / "b", "train")
    assert only.truths == ()
    assert np.array_equal(only.read(), image)
