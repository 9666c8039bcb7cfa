"""The conversion of readers: the same sums for the characters that stay."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.workshop.conversion.graph import halved
from models.workshop.conversion.reader import convert

KNOWN = tuple("ABCDEFG")
HEIGHT = 8


def published(last: str = "Softmax") -> bytes:
    """A network with a convolution over a line, a last layer of one class a character, and a softmax."""
    rng = np.random.default_rng(3)
    weights: dict[str, NDArray[np.generic]] = {
        "w": rng.normal(0, 0.3, (16, 3, HEIGHT, 4)).astype(np.float32),
        "m": rng.normal(0, 1, (16, 1 + len(KNOWN))).astype(np.float32),
        "b": rng.normal(0, 1, 1 + len(KNOWN)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[1, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Squeeze", ["r"], ["s"], axes=[2]),
        helper.make_node("Transpose", ["s"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "m"], ["y"]),
        helper.make_node("Add", ["y", "b"], ["z"]),
        helper.make_node(last, ["z"], ["p"], **({"axis": 2} if last == "Softmax" else {})),
    ]
    graph = helper.make_graph(
        nodes,
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, HEIGHT, "w"])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, None, 1 + len(KNOWN)])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    raw: bytes = model.SerializeToString()
    return raw


def steps(model: onnx.ModelProto, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["steps"], {"images": pixels})[0])


def test_what_stays_has_its_old_odds_in_the_order_asked_for() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, HEIGHT, 40)).astype(np.uint8)
    raw = published()
    session = ort.InferenceSession(raw, providers=["CPUExecutionProvider"])
    before = session.run(None, {"x": pixels.astype(np.float32) * np.float32(2 / 255) - np.float32(1)})[0][0]
    after = steps(convert(raw, KNOWN, "FBA", HEIGHT), pixels)
    wanted = before[:, [0, 6, 2, 1]]
    assert after.shape == (10, 4)
    assert np.allclose(after, wanted / wanted.sum(1, keepdims=True), atol=1e-5)


def test_half_of_the_bytes_are_nearly_the_same_sums() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, HEIGHT, 40)).astype(np.uint8)
    whole = convert(published(), KNOWN, "ABCDEFG", HEIGHT)
    half = halved(whole)
    assert np.allclose(steps(half, pixels), steps(whole, pixels), atol=5e-3)
    assert half.ByteSize() < 0.75 * whole.ByteSize()


def test_what_is_no_reader_is_refused() -> None:
    with pytest.raises(ValueError, match="does not know the characters X"):
        convert(published(), KNOWN, "AX", HEIGHT)
    with pytest.raises(ValueError, match="not one of 7 classes"):
        convert(published(), KNOWN[:-1], "A", HEIGHT)
    with pytest.raises(ValueError, match="ends in Sigmoid where Softmax was expected"):
        convert(published("Sigmoid"), KNOWN, "A", HEIGHT)
