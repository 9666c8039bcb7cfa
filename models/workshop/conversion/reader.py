"""Readers of plates: networks for lines of text, converted so that they know the characters of plates alone.

The published networks tell thousands of characters apart. What no plate carries is cut out of their last layer: the
probabilities of the others then add up to one, and the file is half as large. Pixels go in as they come from a
picture; out come steps from left to right (see `edge.vision.plates.reading`).
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IMAGES, STEPS = "images", "steps"
BLANK = 0


def convert(raw: bytes, known: Sequence[str], kept: str, height: int) -> onnx.ModelProto:
    """The network of `raw`, an ONNX file, reading only the characters `kept`.

    Args:
        raw: takes float32 `[N, 3, height, W]`, BGR from -1 to 1, and gives probabilities `[N, T, 1 + len(known)]`,
            none (`BLANK`) first.
        known: the characters that it tells apart, in its order.
        kept: those that remain, in the order of the result.
        height: of a line in pixels.

    Returns:
        A network from `images`, uint8 `[1, 3, height, W]` BGR, to `steps`, float32 `[T, 1 + len(kept)]`.

    Raises:
        ValueError: a character that it does not know, or another end than matrix, bias and softmax.
    """
    missing = [one for one in kept if one not in known]
    if missing:
        raise ValueError(f"the reader does not know the characters {' '.join(missing)}")
    columns = [BLANK, *(1 + known.index(one) for one in kept)]
    model = folded(raw)
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    softmax = _before(makers, graph.output[0].name, "Softmax")
    bias = _before(makers, softmax.input[0], "Add")
    matrix = _before(makers, bias.input[0], "MatMul")
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node, place, axis in ((matrix, 1, 1), (bias, 1, 0)):
        tensor = tensors.get(node.input[place])
        values = None if tensor is None else numpy_helper.to_array(tensor)
        if tensor is None or values is None or values.shape[axis] != 1 + len(known):
            raise ValueError(f"the reader's last layer is not one of {1 + len(known)} classes")
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values.take(columns, axis)), tensor.name))
    _surround(model, graph.input[0].name, softmax, height)
    return model


def folded(raw: bytes) -> onnx.ModelProto:
    """A model in opset 13, with its constants as initializers and batch norms melted in, as the runtime does it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3
        ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        model = onnx.load(str(path))
    # The runtime names its own domains though nothing of them is used.
    own = [one for one in model.opset_import if one.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(own)
    return onnx.version_converter.convert_version(model, OPSET)


def _before(makers: dict[str, onnx.NodeProto], name: str, kind: str) -> onnx.NodeProto:
    """The node of a kind that makes a tensor, through what only renames or reshapes it."""
    node = makers.get(name)
    while node is not None and node.op_type in ("Identity", "Squeeze", "Reshape"):
        node = makers.get(node.input[0])
    if node is None or node.op_type != kind:
        found = "nothing" if node is None else node.op_type
        raise ValueError(f"the reader ends in {found} where {kind} was expected")
    return node


def _surround(model: onnx.ModelProto, pixels: str, softmax: onnx.NodeProto, height: int) -> None:
    """Pixels as they come before the network, and behind it a softmax over the characters of each step."""
    graph = model.graph
    constants: dict[str, NDArray[np.generic]] = {
        "pre_scale": np.array(2 / 255, np.float32),
        "pre_shift": np.array(-1, np.float32),
        "ctc_batch": np.array([0], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    before = [
        helper.make_node("Cast", [IMAGES], ["pre_float"], name="pre_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pre_float", "pre_scale"], ["pre_scaled"], name="pre_mul"),
        helper.make_node("Add", ["pre_scaled", "pre_shift"], [pixels], name="pre_add"),
    ]
    after = [
        helper.make_node("Squeeze", [softmax.input[0], "ctc_batch"], ["ctc_logits"], name="ctc_squeeze"),
        helper.make_node("Softmax", ["ctc_logits"], [STEPS], name="ctc_softmax", axis=-1),
    ]
    kept = [n for n in graph.node if softmax.output[0] not in (*n.input, *n.output)]
    del graph.node[:]
    graph.node.extend([*before, *kept, *after])
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, [1, 3, height, "width"]))
    graph.output.append(helper.make_tensor_value_info(STEPS, TensorProto.FLOAT, ["steps", None]))
    graph.name = "vedette-reader"
    onnx.checker.check_model(model)
