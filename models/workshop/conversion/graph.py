"""What every artefact has around its network: pixels in before it, the suppression of doubles behind it.

In: `images` uint8 `[1, 3, H, W]`, RGB from 0 to 255, letterboxed, sides multiples of 32. Out: `detections` float32
`[N, 6]`: x1, y1, x2, y2 in pixels of that input, score, index of the label; doubles are suppressed a class at a time, N
may be 0, and a box may reach out of the picture. The cut by score is only there to keep the suppression small:
thresholds act later, in the box. Needs no trainer: a network that comes as ONNX is surrounded in the same way.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.manifest import Suppression

RULE = Suppression()
OPSET = 17
WEIGHED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose constants are weights: those of others may be places, which no rounding may move."""
PIXELS, HEAD_SCORES, HEAD_BOXES = "pixels", "scores", "boxes"


def feed_bytes(model: onnx.ModelProto, scale: float = 1 / 255, mean: float = 0.0) -> None:
    """Let the network take `images`, in place: before it comes what makes `pixels` of them, less `mean`, times `scale`.

    The network takes float32 `pixels` `[1, 3, H, W]`.
    """
    steps = [("Sub", "pre_mean", mean)] * (mean != 0) + [("Mul", "pre_scale", scale)] * (scale != 1)
    names = [*("pre_float", "pre_less")[: len(steps)], PIXELS]
    nodes = [helper.make_node("Cast", ["images"], [names[0]], name="pre_cast", to=TensorProto.FLOAT)]
    for number, (kind, constant, value) in enumerate(steps):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), constant))
        ends = [names[number], constant], [names[number + 1]]
        nodes.append(helper.make_node(kind, *ends, name=f"pre_{kind.lower()}"))
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 3, "height", "width"]))


def surround(model: onnx.ModelProto, scale: float = 1 / 255, rule: Suppression = RULE) -> None:
    """Add the cast and scale before the network, and the suppression of doubles behind it, in place.

    The network takes float32 `pixels` `[1, 3, H, W]`, which are 0 to 255 times `scale`, and gives `scores` `[1, C, A]`
    and `boxes` `[1, A, 4]`.
    """
    feed_bytes(model, scale)
    graph = model.graph
    constants: dict[str, NDArray[np.generic]] = {
        "post_most": np.array([rule.most], np.int64),
        "post_same": np.array([rule.iou], np.float32),
        "post_floor": np.array([rule.score], np.float32),
        "post_batch_column": np.array([1, 2], np.int64),
        "post_last": np.array([2], np.int64),
        "post_two": np.array([1], np.int64),
        "post_axis0": np.array([0], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    after = [
        helper.make_node(
            "NonMaxSuppression",
            [HEAD_BOXES, HEAD_SCORES, "post_most", "post_same", "post_floor"],
            ["post_kept"],
            name="post_nms",
        ),
        # post_kept: [N, 3] = picture, class, cell
        helper.make_node("Squeeze", [HEAD_SCORES, "post_axis0"], ["post_scores"], name="post_scores"),
        helper.make_node("Squeeze", [HEAD_BOXES, "post_axis0"], ["post_boxes"], name="post_boxes"),
        helper.make_node("Gather", ["post_kept", "post_batch_column"], ["post_where"], name="post_where", axis=1),
        helper.make_node("GatherND", ["post_scores", "post_where"], ["post_score"], name="post_score"),
        helper.make_node("Unsqueeze", ["post_score", "post_two"], ["post_score_column"], name="post_score_column"),
        helper.make_node("Gather", ["post_kept", "post_last"], ["post_cell"], name="post_cell", axis=1),
        helper.make_node("GatherND", ["post_boxes", "post_cell"], ["post_box"], name="post_box"),
        helper.make_node("Gather", ["post_kept", "post_two"], ["post_class_int"], name="post_class", axis=1),
        helper.make_node("Cast", ["post_class_int"], ["post_class"], name="post_class_float", to=TensorProto.FLOAT),
        helper.make_node(
            "Concat", ["post_box", "post_score_column", "post_class"], ["detections"], name="post_concat", axis=1
        ),
    ]
    graph.node.extend(after)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("detections", TensorProto.FLOAT, [None, 6]))
    graph.name = "vedette-detector"


def halved(model: onnx.ModelProto, least: int = 256) -> onnx.ModelProto:
    """The model with its larger weights kept as 16-bit floats, which the runtime widens once, when it loads them.

    Half of the bytes for a rounding of 0.05 %; what is computed, and how fast, stays as it was.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    casts = []
    weights = {name for node in model.graph.node if node.op_type in WEIGHED for name in node.input}
    for tensor in [t for t in made.graph.initializer if t.name in weights]:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= least and np.abs(values).max() < np.finfo(np.float16).max:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], name=f"{name}_widen", to=TensorProto.FLOAT))
    nodes = [*casts, *made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    onnx.checker.check_model(made)
    return made
