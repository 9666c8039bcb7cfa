"""The zoo's files: whole, small, allowed to ship, and golden on the box's own engine."""

import hashlib
import json
from pathlib import Path
from shutil import copytree

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from contract.manifest import decode_manifest, encode_manifest
from edge.updates.golden import run_golden
from edge.updates.release import ReleaseError
from edge.vision.engine import EngineError, choose_target, load_engine
from models import zoo
from models.workshop.release.golden import check_golden
from tests.models.zoo_cases import engine

NAMES = zoo.names()
INT8 = {"x86_64": "x86-u8s8", "aarch64": "arm64-s8s8"}
DETECTORS = [name for name in NAMES if zoo.load(name)[0].task == "detect"]
WEIGHTS = {"face": "CenterFace", "crowd": "EfficientNet-Lite0"}
"""Whose weights a detector is made from, where they are not YOLOX's; its card has to say so."""


def test_the_zoo_holds_faces_fire_and_persons() -> None:
    assert {"face", "fire", "person"} <= set(NAMES)


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=f"no model 'ghost' in the zoo; known: {', '.join(NAMES)}"):
        zoo.load("ghost")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_the_one_that_the_manifest_names(name: str) -> None:
    manifest, folder = zoo.load(name)
    assert set(INT8.values()) <= set(manifest.artefacts)
    for file, (sha256, size) in manifest.files().items():
        raw = (folder / file).read_bytes()
        assert hashlib.sha256(raw).hexdigest() == sha256, file
        assert size in (None, len(raw)), file
    listed = set(manifest.files()) | {"manifest.json", "card.md"}
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert there - {"quantization.json"} == listed, "what a study tried may lie beside what ships"
    readers = {reader.file for reader in manifest.readers}
    assert sum((folder / file).stat().st_size for file in listed - readers) < 12_000_000


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_takes_pixels_and_gives_detections_or_heads(name: str) -> None:
    manifest, folder = zoo.load(name)
    for artefact in manifest.artefacts.values():
        graph = onnx.load(str(folder / artefact.file)).graph
        (given,), (result,) = graph.input, graph.output
        assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        sides = (manifest.input.height, manifest.input.width) if manifest.input.shape == "fixed" else (0, 0)
        assert [d.dim_value for d in given.type.tensor_type.shape.dim] == [1, 3, *sides], "0 is a side that is open"
        wanted = ("detections" if name in DETECTORS else "heads", onnx.TensorProto.FLOAT)
        assert (result.name, result.type.tensor_type.elem_type) == wanted
        kinds = {node.op_type for node in graph.node}
        assert ("NonMaxSuppression" in kinds) == (name in DETECTORS)
        assert ("QuantizeLinear" in kinds) == (artefact.precision == "int8")


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_numbers_licence_and_limits(name: str) -> None:
    manifest, folder = zoo.load(name)
    card = (folder / "card.md").read_text()
    for part in (
        "## Measured",
        "## Limits",
        manifest.licence,
        WEIGHTS.get(name, "YOLOX"),
        *(d.name for d in manifest.datasets),
    ):
        assert part in card
    assert {m.split for m in manifest.metrics} >= {"val", "test"}
    json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["x86-u8s8", "arm64-s8s8"])
def test_golden_samples_pass_on_every_artefact(name: str, target: str) -> None:
    manifest, folder = zoo.load(name)
    shown = [sample.count if sample.count is not None else len(sample.expected) for sample in manifest.golden]
    assert max(shown) >= 1
    assert min(shown) < 1, "one sample must show nothing to find"
    run_golden(manifest, folder, engine(name, target))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_weights_fail_golden(name: str, tmp_path: Path) -> None:
    manifest, folder = zoo.load(name)
    copy = Path(copytree(folder, tmp_path / name))
    target = choose_target(manifest.artefacts)
    artefact = manifest.artefacts[target]
    model = onnx.load(str(copy / artefact.file))
    heads = [n.input[1] for n in model.graph.node if n.op_type == "Conv" and ("score" in n.name or "/maps/" in n.name)]
    for tensor in model.graph.initializer:
        # The signs of the last layer turned round: a file that loads and runs, and sees the opposite.
        if tensor.name in heads or any(
            tensor.name.startswith(head.removesuffix("_DequantizeLinear_Output")) for head in heads
        ):
            value = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array((-value).astype(value.dtype), tensor.name))
    raw = model.SerializeToString()
    (copy / artefact.file).write_bytes(raw)
    document = json.loads(encode_manifest(manifest))
    document["artefacts"][target] |= {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    wrong = decode_manifest(json.dumps(document).encode())
    with pytest.raises(ReleaseError, match="golden sample"):
        run_golden(wrong, copy, load_engine(wrong, copy, 1, target=target))


@pytest.mark.parametrize("name", DETECTORS)
def test_swapped_colours_or_a_mirrored_picture_fail_golden(name: str) -> None:
    manifest, folder = zoo.load(name)
    run = engine(name).detect
    assert check_golden(manifest, folder, lambda image: run(np.ascontiguousarray(image[:, ::-1])))
    assert check_golden(manifest, folder, lambda image: run(np.zeros_like(image)))


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_byte_is_found_before_anything_runs(name: str, tmp_path: Path) -> None:
    manifest, folder = zoo.load(name)
    copy = Path(copytree(folder, tmp_path / name))
    target = choose_target(manifest.artefacts)
    path = copy / manifest.artefacts[target].file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(EngineError, match="is not the file its manifest names"):
        load_engine(manifest, copy, 1, target=target)
    sample = copy / manifest.golden[0].file
    image = cv2.imread(str(sample))
    image[0, 0] ^= 1
    cv2.imwrite(str(sample), image)
    assert next(p.file for p in check_golden(manifest, copy, lambda _: [])) == manifest.golden[0].file


def test_two_fires_in_one_picture_are_both_found() -> None:
    manifest, folder = zoo.load("fire")
    sample = next(s for s in manifest.golden if any(d.label == "fire" for d in s.expected))
    image = np.asarray(cv2.imread(str(folder / sample.file)), np.uint8)
    beside = np.concatenate([image, image[:, ::-1]], 1)
    assert sum(d.label == "fire" for d in engine("fire").detect(beside)) >= 2
