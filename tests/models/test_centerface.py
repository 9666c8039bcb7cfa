"""The conversion of CenterFace: the same sums in another graph."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.workshop.conversion.centerface import convert, rebuild

HEADS = (("536", 1), ("538", 2), ("539", 2), ("540", 10))


def small() -> onnx.ModelProto:
    """A network with CenterFace's kinds of layers, names and heads, and weights of chance."""
    rng = np.random.default_rng(5)
    weights: dict[str, NDArray[np.float32]] = {}

    def given(name: str, *shape: int, spread: float = 0.3) -> str:
        weights[name] = rng.normal(0, spread, shape).astype(np.float32)
        return name

    down = [
        helper.make_node("Conv", ["input.1", given("w0", 8, 3, 3, 3, spread=0.01)], ["a0"], strides=[8, 8]),
        helper.make_node("Relu", ["a0"], ["a1"]),
    ]
    weights |= {
        "gain": rng.uniform(0.5, 2, 6).astype(np.float32),
        "variance": rng.uniform(0.5, 2, 6).astype(np.float32),
    }
    up = [
        helper.make_node("ConvTranspose", ["a1", given("w1", 8, 6, 2, 2)], ["a2"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "BatchNormalization",
            ["a2", "gain", given("bias", 6), given("mean", 6), "variance"],
            ["a3"],
            epsilon=1e-3,
        ),
        helper.make_node("Relu", ["a3"], ["a4"]),
    ]
    heads = [
        helper.make_node("Conv", ["a4", given(f"w{name}", size, 6, 1, 1)], [name], kernel_shape=[1, 1])
        for name, size in HEADS
    ]
    ends = ("537", "538", "539", "540")
    graph = helper.make_graph(
        [*down, *up, heads[0], helper.make_node("Sigmoid", ["536"], ["537"]), *heads[1:]],
        "small",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ends],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4)


def run(model: onnx.ModelProto, name: str, pixels: NDArray[np.generic]) -> list[NDArray[np.float32]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results: list[NDArray[np.float32]] = session.run(None, {name: pixels})
    return results


def decoded(outputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Score and box of every cell, as CenterFace's own code has it: [A, 5]."""
    heat, extent, offset = (o[0] for o in outputs[:3])
    rows = []
    for r, c in np.ndindex(heat.shape[1:]):
        tall, wide = np.exp(extent[:, r, c]) * 4
        y, x = (r + offset[0, r, c] + 0.5) * 4, (c + offset[1, r, c] + 0.5) * 4
        rows.append([heat[0, r, c], x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2])
    return np.array(rows, np.float32)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (128, 64)])
def test_the_rebuilt_network_gives_the_same_scores_and_boxes_at_any_size(height: int, width: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, height, width)).astype(np.float32)
    want = decoded(run(small(), "input.1", pixels))
    scores, boxes = run(rebuild(small()), "pixels", pixels)
    assert scores.shape == (1, 1, len(want))
    assert np.allclose(scores[0, 0], want[:, 0], atol=1e-5)
    assert np.allclose(boxes[0], want[:, 1:], atol=1e-3)


def test_the_rebuilt_network_has_nothing_that_integers_cannot_do() -> None:
    kinds = {node.op_type for node in rebuild(small()).graph.node}
    assert not kinds & {"ConvTranspose", "BatchNormalization"}
    assert "DepthToSpace" in kinds
    assert not any("540" in node.output for node in rebuild(small()).graph.node), "landmarks are dropped"


def test_the_artefact_takes_pixels_and_gives_the_best_of_overlapping_boxes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (1, 3, 64, 96)).astype(np.uint8)
    path = convert(small().SerializeToString(), tmp_path / "deep" / "face.onnx")
    (rows,) = run(onnx.load(str(path)), "images", pixels)
    want = decoded(run(small(), "input.1", pixels.astype(np.float32)))
    best = want[want[:, 0].argmax()]
    assert rows.shape[1] == 6
    assert 0 < len(rows) < len(want)
    assert np.allclose(rows[rows[:, 4].argmax()], [*best[1:], best[0], 0], atol=1e-3)
