"""Golden samples: what passes, and what must not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from contract.detections import Detection
from contract.manifest import Artefact, Input, Manifest, Tolerance
from models import zoo
from models.workshop.release.golden import check_golden, make_golden
from models.workshop.runner import Runner
from tests.models.zoo_cases import engine
from vedette.drawn.golden import golden_pictures
from vedette.drawn.scene import Scene

THERE = (0.2, 0.2, 0.6, 0.6)
ELSEWHERE = (0.7, 0.7, 0.9, 0.9)
THRESHOLDS = {"fire": 0.4}


def manifest(folder: Path, found: list[Detection]) -> Manifest:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)
    return Manifest(
        name="fire",
        version="1.0.0",
        labels=("fire",),
        input=Input(width=320, height=320),
        thresholds=THRESHOLDS,
        artefacts={"onnx-fp32": Artefact(file="a.onnx", sha256="0" * 64, bytes=1, precision="fp32")},
        golden=make_golden(folder, [("one", image)], THRESHOLDS, lambda _: found),
        golden_tolerance=Tolerance(score=0.1, iou=0.7),
        licence="Apache-2.0",
    )


def test_only_what_is_surely_seen_is_expected(tmp_path: Path) -> None:
    made = manifest(tmp_path, [Detection("fire", 0.9, THERE), Detection("fire", 0.45, ELSEWHERE)])
    assert [d.box for d in made.golden[0].expected] == [THERE]
    # The unsure one may appear or not.
    assert check_golden(made, tmp_path, lambda _: [Detection("fire", 0.9, THERE)]) == []
    assert (
        check_golden(made, tmp_path, lambda _: [Detection("fire", 0.9, THERE), Detection("fire", 0.45, ELSEWHERE)])
        == []
    )


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([], "expected fire 0.90"),
        ([Detection("fire", 0.7, THERE)], "expected fire 0.90"),
        ([Detection("fire", 0.9, (0.3, 0.2, 0.7, 0.6))], "expected fire 0.90"),
        ([Detection("fire", 0.9, THERE), Detection("fire", 0.8, ELSEWHERE)], "which is not expected"),
    ],
)
def test_a_miss_a_shift_and_an_invention_are_problems(found: list[Detection], problem: str, tmp_path: Path) -> None:
    made = manifest(tmp_path, [Detection("fire", 0.9, THERE)])
    assert [problem in fault.text for fault in check_golden(made, tmp_path, lambda _: found)] == [True]


def test_a_missing_and_an_altered_sample_are_problems(tmp_path: Path) -> None:
    made = manifest(tmp_path, [])
    path = tmp_path / made.golden[0].file
    image = cv2.imread(str(path))
    image[5, 5] ^= 255
    cv2.imwrite(str(path), image)
    assert "is not the file" in check_golden(made, tmp_path, lambda _: [])[0].text
    path.unlink()
    assert "is missing" in check_golden(made, tmp_path, lambda _: [])[0].text


@pytest.mark.parametrize("name", ["fire", "person"])
def test_the_golden_pictures_are_the_drawn_ones(name: str) -> None:
    _, folder = zoo.load(name)
    for sample, image in golden_pictures(name):
        kept = cv2.imread(str(folder / "golden" / f"{sample}.png"))
        # Another processor may round a shade differently.
        assert np.abs(kept.astype(int) - image.astype(int)).max() <= 2


def test_no_golden_pictures_for_a_stranger() -> None:
    with pytest.raises(KeyError, match="no golden pictures for detector 'ghost'; known: fire, person"):
        golden_pictures("ghost")


@pytest.mark.parametrize("name", ["fire", "person"])
def test_the_workshop_and_the_box_see_the_same(name: str) -> None:
    made, folder = zoo.load(name)
    target = "x86-u8s8"
    runner, box = Runner(folder / made.artefacts[target].file, made.labels, made.input), engine(name, target)
    for kind, seed in (("fire", 3), ("people", 4)):
        image = Scene(kind, seed, ignition=0.0).frame(12.0).image  # type: ignore[arg-type]
        plain = [d for d in runner(image) if d.score >= made.thresholds[d.label]]
        engined = box.detect(image)
        assert [(d.label, round(d.score, 4)) for d in plain] == [(d.label, round(d.score, 4)) for d in engined]
        for one, other in zip(plain, engined, strict=True):
            assert np.allclose(one.box, other.box, atol=2e-3)
