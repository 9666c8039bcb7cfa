"""A tiny real counter: the redder a cell of 16 pixels, the more heads, up to two, with a variance of half of that."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.manifest import Artefact, Counting, Golden, Input, Manifest, Output, encode_manifest

CELL = 16


def write_red_counter(folder: Path, version: str = "1.0.0", planes: int = 2, **changes: Any) -> Manifest:
    """Write ``red.onnx`` and ``manifest.json`` into ``folder``; ``planes`` other than 2 makes it unfit."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = red_counter(planes).SerializeToString()
    (folder / "red.onnx").write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    settings: dict[str, Any] = {
        "name": "crowd",
        "version": version,
        "task": "count",
        "labels": ("person",),
        "input": Input(width=128, height=96, shape="fit", stride=CELL),
        "output": Output(name="heads", format="mean-variance"),
        "thresholds": {},
        "counting": Counting(cell=CELL, spread=2.0, relative=0.1),
        "artefacts": {"onnx-fp32": Artefact(file="red.onnx", sha256=digest, bytes=len(raw), precision="fp32")},
        "golden": (Golden(file="golden/1.png", sha256="0" * 64, expected=(), count=0.0),),
        "licence": "Apache-2.0",
    }
    manifest = Manifest(**(settings | changes))
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    return manifest


def red_counter(planes: int = 2) -> onnx.ModelProto:
    """Red less green, averaged over cells, as a share of two heads; the second plane is half of the first."""
    weight = np.zeros((planes, 3, 1, 1), np.float32)
    weight[:, 0] = 2 / 255
    weight[:, 1] = -2 / 255
    weight[1:] /= 2
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "weight"], ["red"]),
        helper.make_node("AveragePool", ["red"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Relu", ["cells"], ["heads"]),
    ]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("heads", TensorProto.FLOAT, [1, planes, "rows", "columns"])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
