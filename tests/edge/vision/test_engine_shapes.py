"""An input that fits its picture, and a zoo that two libraries see alike."""

import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contract.detections import Detection, iou
from contract.manifest import Artefact, Input, fit
from edge.vision.engine import EngineError, load_engine
from edge.vision.letterbox import place
from edge.vision.picture import read_picture
from models import zoo

from .kinds import KINDS, OPENVINO
from .orange import manifest_of, orange_model

SPEC = Input(width=128, height=128, shape="fit")


def open_model() -> bytes:
    """A graph for any shape: its box lies from a quarter to half of the input, its score is the brightest pixel's."""
    constants = {
        "second": np.array([3, 2, 3, 2], np.int64),
        "parts": np.array([0.25, 0.25, 0.5, 0.5], np.float32),
        "scale": np.array(1 / 255, np.float32),
        "label": np.zeros((1, 1), np.float32),
        "four": np.array([1, 4], np.int64),
        "one": np.array([1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "second"], ["sides"]),
        helper.make_node("Cast", ["sides"], ["lengths"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["lengths", "parts"], ["corners"]),
        helper.make_node("Reshape", ["corners", "four"], ["box"]),
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["pixels"], ["brightest"], keepdims=0),
        helper.make_node("Mul", ["brightest", "scale"], ["sure"]),
        helper.make_node("Reshape", ["sure", "one"], ["score"]),
        helper.make_node("Concat", ["box", "score", "label"], ["detections"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "open",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["N", 6])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def expected(width: int, height: int) -> tuple[float, ...]:
    sides = fit(SPEC, width, height)
    spot = place(width, height, *sides)
    corners = np.array([[sides[0] / 4, sides[1] / 4, sides[0] / 2, sides[1] / 2]], np.float32)
    return tuple(spot.to_picture(corners)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_gets_the_shape_that_fits_it_however_often_it_comes(tmp_path, kind):
    raw = open_model()
    (tmp_path / "orange.onnx").write_bytes(raw)
    engine = load_engine(manifest_of(raw, 128, input=SPEC), tmp_path, 1, engine=kind)
    # More shapes than any engine keeps a graph for, each more often than it takes to get one, in turn.
    sizes = [(640, 360), (360, 640), (100, 100), (700, 100), (100, 700), (640, 480)]
    assert len({fit(SPEC, *size) for size in sizes}) > 4
    for turn in range(12):
        for width, height in sizes:
            (found,) = engine.detect(np.full((height, width, 3), 200 + turn, np.uint8))
            assert found.box == pytest.approx(expected(width, height), abs=1e-5)
            assert found.score == pytest.approx((200 + turn) / 255, abs=1e-5)
    engine.close()


@OPENVINO
def test_openvino_compiles_for_a_shape_that_comes_often_and_for_no_more_than_a_few(tmp_path):
    from edge.vision.runtimes.file import ModelFile
    from edge.vision.runtimes.openvino import OFTEN, OWN, OpenVinoRuntime

    raw = open_model()
    file = ModelFile(tmp_path / "open.onnx", raw, manifest_of(raw, 128, input=SPEC), SPEC, 1, 5.0)
    runtime = OpenVinoRuntime(file)
    compiled: list[object] = []
    compile_one = runtime._compile
    runtime._compile = lambda model: compiled.append(model) or compile_one(model)  # type: ignore[method-assign, func-returns-value]
    for side in range(1, OWN + 3):
        tensor = np.full((1, 3, 32, 32 * side), 255, np.uint8)
        for turn in range(OFTEN + 2):
            assert runtime.run(tensor)[0, 2] == 16 * side
            assert len(compiled) == min(side - (turn < OFTEN), OWN)
    runtime.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_of_one_shape_is_no_release_that_fits_any(tmp_path, kind):
    raw = orange_model(128).SerializeToString()
    (tmp_path / "orange.onnx").write_bytes(raw)
    with pytest.raises(EngineError, match="its manifest says that it takes any shape"):
        load_engine(manifest_of(raw, 128, input=SPEC), tmp_path, 1, engine=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_artefact_for_openvino_is_an_onnx_file(tmp_path, kind):
    raw = orange_model().SerializeToString()
    (tmp_path / "orange.onnx").write_bytes(raw)
    artefact = Artefact(file="orange.onnx", sha256=hashlib.sha256(raw).hexdigest(), bytes=len(raw), precision="fp32")
    manifest = manifest_of(raw, 64, artefacts={"openvino": artefact})
    engine = load_engine(manifest, tmp_path, 1, engine=kind, target="openvino")
    assert engine.detect(np.full((64, 64, 3), 90, np.uint8)) == []
    engine.close()


DETECTORS = [name for name in zoo.names() if zoo.load(name)[0].task == "detect"]


@OPENVINO
@pytest.mark.parametrize(("target", "share"), [("onnx-fp32", 0.001), ("x86-u8s8", 0.05)])
def test_onnx_runtime_and_openvino_count_the_same(target, share):
    manifest, folder = zoo.load("crowd")
    one, other = (load_engine(manifest, folder, 1, engine=kind, target=target) for kind in ("onnxruntime", "openvino"))
    for golden in manifest.golden:
        image = read_picture(folder / golden.file)
        left, right = one.count(image).count(), other.count(image).count()
        assert left.heads == pytest.approx(right.heads, rel=share, abs=0.5 if target != "onnx-fp32" else 0.01)
        assert left.sd == pytest.approx(right.sd, rel=2 * share, abs=0.5)
    one.close()
    other.close()


@OPENVINO
@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(("target", "score", "least"), [("onnx-fp32", 0.01, 0.95), ("x86-u8s8", 0.06, 0.8)])
def test_onnx_runtime_and_openvino_see_the_same(name, target, score, least):
    manifest, folder = zoo.load(name)
    one, other = (load_engine(manifest, folder, 1, engine=kind, target=target) for kind in ("onnxruntime", "openvino"))
    seen = 0
    for golden in manifest.golden:
        image = read_picture(folder / golden.file)
        for left, right in ((one, other), (other, one)):
            all_right = right.detect(image, slack=0.5)
            for found in left.detect(image):
                seen += 1
                assert any(alike(found, twin, score, least) for twin in all_right), (found, all_right)
    assert seen > 0
    one.close()
    other.close()


def alike(one: Detection, other: Detection, score: float, least: float) -> bool:
    return one.label == other.label and abs(one.score - other.score) <= score and iou(one.box, other.box) >= least
