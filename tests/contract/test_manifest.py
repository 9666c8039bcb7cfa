"""A manifest that could hurt is refused before any file of it is read."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.detections import Detection, iou
from contract.manifest import (
    Artefact,
    Counting,
    Golden,
    Input,
    Manifest,
    ManifestError,
    decode_manifest,
    encode_manifest,
)

MANIFEST = Manifest(
    name="fire",
    version="1.0.0",
    labels=("fire", "smoke"),
    input=Input(width=320, height=320),
    thresholds={"fire": 0.4, "smoke": 0.5},
    artefacts={"x86-u8s8": Artefact(file="fire.onnx", sha256="a" * 64, bytes=10, precision="int8")},
    golden=(
        Golden(
            file="golden/1.png", sha256="b" * 64, expected=(Detection(label="fire", score=0.9, box=(0, 0, 0.5, 0.5)),)
        ),
    ),
    licence="Apache-2.0",
)


def test_manifest_comes_back_and_lists_its_files() -> None:
    assert decode_manifest(encode_manifest(MANIFEST)) == MANIFEST
    assert MANIFEST.files() == {"fire.onnx": ("a" * 64, 10), "golden/1.png": ("b" * 64, None)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"thresholds": {"fire": 0.4}}, "label 'smoke' has no threshold"),
        ({"thresholds": {"fire": 0.4, "smoke": 1.0}}, "label 'smoke' has no threshold"),
        ({"artefacts": {}}, "lists no artefact"),
        ({"golden": ()}, "no golden sample"),
        ({"task": "guess"}, "task 'guess' is neither 'detect' nor 'count'"),
        ({"task": "count"}, "'counting' belongs to a release of task 'count'"),
        ({"counting": Counting(cell=16)}, "'counting' belongs to a release of task 'count'"),
        ({"task": "count", "counting": Counting(cell=16)}, "must have a 'count' where the task is 'count'"),
        ({"task": "count", "counting": Counting(cell=20)}, "input.stride 32 is not made of whole cells of 20 pixels"),
        ({"version": "1.0"}, "version"),
        ({"name": "../fire"}, "name"),
    ],
)
def test_manifest_that_cannot_be_used_says_why(change: dict[str, object], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        decode_manifest(encode_manifest(msgspec.structs.replace(MANIFEST, **change)))


@pytest.mark.parametrize("file", ["../fire.onnx", "/etc/passwd", "a/../../b", "a//b", "~/x"])
def test_file_that_leaves_the_folder_is_refused(file: str) -> None:
    artefact = Artefact(file=file, sha256="a" * 64, bytes=10, precision="int8")
    with pytest.raises(ManifestError):
        decode_manifest(encode_manifest(msgspec.structs.replace(MANIFEST, artefacts={"x86-u8s8": artefact})))


@given(width=st.integers(1, 10_000), height=st.integers(1, 10_000))
def test_an_input_that_fits_wastes_less_than_a_fixed_one_and_costs_no_more(width: int, height: int) -> None:
    fixed, fitting = Input(width=512, height=288), Input(width=512, height=288, shape="fit")
    assert fixed.fit(width, height) == (512, 288)
    w, h = fitting.fit(width, height)
    assert w % 32 == h % 32 == 0
    assert w * h <= 512 * 288
    assert max(w, h) <= 1024
    if max(width, height) <= 3 * min(width, height):
        assert min(w / width, h / height) >= min(512 / width, 288 / height, 1)


def test_shapes_of_common_cameras() -> None:
    spec = Input(width=512, height=288, shape="fit")
    sizes = ((1920, 1080), (640, 480), (500, 500), (1080, 1920), (320, 240), (4000, 1), (1, 1))
    found = {size: spec.fit(*size) for size in sizes}
    assert found == {
        (1920, 1080): (512, 288),
        (640, 480): (448, 320),
        (500, 500): (384, 384),
        (1080, 1920): (288, 512),
        (4000, 1): (1024, 32),
        (320, 240): (320, 256),
        (1, 1): (32, 32),
    }


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Input(width=64, height=64, shape="any"), "neither 'fixed' nor 'fit'"),
        (Input(width=64, height=16, shape="fit"), "smaller than its stride 32"),
    ],
)
def test_an_input_without_sense_is_refused(spec: Input, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        decode_manifest(encode_manifest(msgspec.structs.replace(MANIFEST, input=spec)))


def test_iou_of_boxes() -> None:
    assert iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert iou((0, 0, 1, 1), (1, 1, 2, 2)) == 0.0
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0.0
