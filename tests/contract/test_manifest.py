"""A manifest that could hurt is refused before any file of it is read."""

import msgspec
import pytest

from contract.detections import Detection, iou
from contract.manifest import Artefact, Golden, Input, Manifest, ManifestError, decode_manifest, encode_manifest

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


def test_iou_of_boxes() -> None:
    assert iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert iou((0, 0, 1, 1), (1, 1, 2, 2)) == 0.0
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0.0
