"""A tiny ONNX model that really looks: convolutions that answer to bright orange, for tests of the engine alone.

Out comes a row where there is orange, and none elsewhere: the box around all cells (8x8 pixels) that are orange, and
the score of the most orange one.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.manifest import Artefact, Golden, Input, Manifest, encode_manifest

CELL = 8


def write_orange_model(folder: Path, size: int = 64, version: str = "1.0.0", dtype: str = "uint8") -> Manifest:
    """Write ``orange.onnx`` and ``manifest.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = orange_model(size, dtype).SerializeToString()
    (folder / "orange.onnx").write_bytes(raw)
    manifest = manifest_of(raw, size, version=version, dtype=dtype)
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    return manifest


def manifest_of(raw: bytes, size: int, version: str = "1.0.0", dtype: str = "uint8", **changes: Any) -> Manifest:
    """The manifest of a model's bytes; the float variant gets pixels of 0 to 1."""
    digest = hashlib.sha256(raw).hexdigest()
    scale = (1 / 255,) * 3 if dtype == "float32" else (1.0, 1.0, 1.0)
    settings: dict[str, Any] = {
        "name": "fire",
        "version": version,
        "labels": ("fire",),
        "input": Input(width=size, height=size, dtype=dtype, scale=scale),
        "thresholds": {"fire": 0.5},
        "artefacts": {"onnx-fp32": Artefact(file="orange.onnx", sha256=digest, bytes=len(raw), precision="fp32")},
        "golden": (Golden(file="golden/1.png", sha256="0" * 64, expected=()),),
        "licence": "Apache-2.0",
    }
    return Manifest(**(settings | changes))


def orange_model(size: int = 64, dtype: str = "uint8", output: str = "detections") -> onnx.ModelProto:
    """Redness above blueness, where red is bright, averaged over cells; then the box around the hot cells."""
    cells = size // CELL
    unit = 255.0 if dtype == "float32" else 1.0
    constants = {
        # red + 0.5 green - 1.5 blue: about 300 for orange (255, 140, 0), 0 for grey, below it for blue.
        "weight": np.array([1.0, 0.5, -1.5], np.float32).reshape(1, 3, 1, 1) * unit / 40,
        "bias": np.array([-5.0], np.float32),
        "half": np.array(0.5, np.float32),
        "far": np.array(float(size), np.float32),
        "none": np.array(0.0, np.float32),
        "left": _edges(cells, axis=1, end=0),
        "right": _edges(cells, axis=1, end=CELL),
        "top": _edges(cells, axis=0, end=0),
        "bottom": _edges(cells, axis=0, end=CELL),
        "class": np.zeros((1, 1), np.float32),
        "one": np.array([1, 1], np.int64),
        "flat": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "weight", "bias"], ["orange"]),
        helper.make_node("AveragePool", ["orange"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Sigmoid", ["cells"], ["score"]),
        helper.make_node("Greater", ["score", "half"], ["hot"]),
    ]
    for name, empty, reduce in (
        ("left", "far", "ReduceMin"),
        ("top", "far", "ReduceMin"),
        ("right", "none", "ReduceMax"),
        ("bottom", "none", "ReduceMax"),
    ):
        nodes += [
            helper.make_node("Where", ["hot", name, empty], [f"{name}_hot"]),
            helper.make_node(reduce, [f"{name}_hot"], [f"{name}_all"], keepdims=1),
            helper.make_node("Reshape", [f"{name}_all", "one"], [f"{name}_edge"]),
        ]
    nodes += [
        helper.make_node("ReduceMax", ["score"], ["best"], keepdims=1),
        helper.make_node("Reshape", ["best", "one"], ["best_row"]),
        helper.make_node(
            "Concat", ["left_edge", "top_edge", "right_edge", "bottom_edge", "best_row", "class"], ["row"], axis=1
        ),
        helper.make_node("Greater", ["best_row", "half"], ["any"]),
        helper.make_node("Reshape", ["any", "flat"], ["any_flat"]),
        helper.make_node("Compress", ["row", "any_flat"], [output], axis=0),
    ]
    kind = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "orange",
        [helper.make_tensor_value_info("images", kind, [1, 3, size, size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", 6])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _edges(cells: int, axis: int, end: int) -> np.ndarray:
    steps = np.arange(cells, dtype=np.float32) * CELL + end
    return np.broadcast_to(steps[None, :] if axis == 1 else steps[:, None], (1, 1, cells, cells)).copy()
