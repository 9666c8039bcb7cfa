"""A reader that reads one text wherever it looks, as a file of a release."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.manifest import Reader

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ川.-"


def write_reader(folder: Path, name: str, text: str, sure: float = 0.9, characters: str = CHARACTERS) -> Reader:
    """A file that gives the steps of `text`, each followed by none; what is left of 1 is a mark's."""
    steps = np.zeros((2 * len(text), 1 + len(CHARACTERS)), np.float32)
    for n, one in enumerate(text):
        steps[2 * n, 1 + CHARACTERS.index(one)] = sure
        steps[2 * n, -1] = 1 - sure
        steps[2 * n + 1, 0] = 1
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["steps_given", "nothing"], ["steps"]),
    ]
    graph = helper.make_graph(
        nodes,
        "reader",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 3, 32, "width"])],
        [helper.make_tensor_value_info("steps", TensorProto.FLOAT, ["steps", None])],
        [numpy_helper.from_array(steps, "steps_given"), numpy_helper.from_array(np.array(0, np.float32), "zero")],
    )
    path = folder / f"plate.read-{name}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    raw = path.read_bytes()
    return Reader(
        name=name,
        file=path.name,
        sha256=hashlib.sha256(raw).hexdigest(),
        bytes=len(raw),
        precision="fp32",
        characters=characters,
        height=32,
        shortest=64,
        longest=256,
        licence="MIT",
        notice="Drawn for a test.",
    )
