"""A small detector of orange squares that INT8 makes blind, unless two of its three layers stay in FP32.

Pictures are 64x64 grey with one orange square of 8x8, on the grid of cells, so that its box is found exactly. One
channel of the first layer is ten thousand times as large as the one that matters: with one scale for the tensor nothing
is left of that one. The layer that reads it needs it whole too; the third does not.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.manifest import Input
from models.workshop.conversion.graph import surround
from models.workshop.sets.data import Picture, Truth, read_set, write_set

SIDE, CELL = 64, 8
SPEC = Input(width=SIDE, height=SIDE)
LABELS = ("fire",)
STEM, POOL, MIX = "/stem/Conv", "/pool/Conv", "/mix/Conv"


def write_blind(path: Path, labels: int = 1) -> Path:
    """Write the detector's FP32 file."""
    cells = SIDE // CELL
    stem = np.zeros((4, 3, 1, 1), np.float32)
    stem[0, :, 0, 0] = (1.0, 0.5, -1.5)
    stem[1, :, 0, 0] = (1e4, 1e4, 1e4)
    stem[2, :, 0, 0] = (0.3, 0.3, 0.3)
    pool = np.zeros((4, 4, CELL, CELL), np.float32)
    pool[0, 0] = pool[1, 2] = 1 / CELL**2
    mix = np.zeros((4, 4, 1, 1), np.float32)
    mix[0, 0], mix[1, 1], mix[2, 0] = 1.0, 1.0, 0.5
    score = np.zeros((labels, 4, 1, 1), np.float32)
    score[:, 0] = 8.0
    rows, columns = np.mgrid[0:cells, 0:cells].reshape(2, -1) * CELL
    grid = np.stack([columns, rows, columns + CELL, rows + CELL], 1)[None].astype(np.float32)
    constants = {
        "stem": stem,
        "stem_bias": np.zeros(4, np.float32),
        "pool": pool,
        "pool_bias": np.zeros(4, np.float32),
        "mix": mix,
        "mix_bias": np.zeros(4, np.float32),
        "score": score,
        "score_bias": np.full(labels, -5.0, np.float32),
        "box": np.zeros((4, 4, 1, 1), np.float32),
        "box_bias": np.zeros(4, np.float32),
        "grid": grid,
        "score_shape": np.array([1, labels, -1], np.int64),
        "box_shape": np.array([1, 4, -1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "stem", "stem_bias"], ["s"], name=STEM),
        helper.make_node("Relu", ["s"], ["sr"], name="/stem/Relu"),
        helper.make_node("Conv", ["sr", "pool", "pool_bias"], ["p"], name=POOL, strides=[CELL, CELL]),
        helper.make_node("Relu", ["p"], ["pr"], name="/pool/Relu"),
        helper.make_node("Conv", ["pr", "mix", "mix_bias"], ["m"], name=MIX),
        helper.make_node("Relu", ["m"], ["mr"], name="/mix/Relu"),
        helper.make_node("Conv", ["mr", "score", "score_bias"], ["logits"], name="/score/Conv"),
        helper.make_node("Conv", ["mr", "box", "box_bias"], ["shifts"], name="/box/Conv"),
        helper.make_node("Reshape", ["logits", "score_shape"], ["flat"], name="/flat"),
        helper.make_node("Sigmoid", ["flat"], ["scores"], name="/sigmoid"),
        helper.make_node("Reshape", ["shifts", "box_shape"], ["flat_box"], name="/flat_box"),
        helper.make_node("Transpose", ["flat_box"], ["rows"], name="/rows", perm=[0, 2, 1]),
        helper.make_node("Add", ["rows", "grid"], ["boxes"], name="/boxes"),
    ]
    graph = helper.make_graph(
        nodes,
        "blind",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("scores", "boxes")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    surround(model)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_value = dims[3].dim_value = SIDE
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def orange_pictures(folder: Path, count: int = 12, split: str = "val", seed: int = 1) -> list[Picture]:
    """Pictures with one orange square each, and its true box, in a set of `folder`."""
    rng = np.random.default_rng(seed)
    drawn = []
    for number in range(count):
        image = np.full((SIDE, SIDE, 3), int(rng.integers(60, 200)), np.uint8)
        row, column = (int(v) * CELL for v in rng.integers(0, SIDE // CELL, 2))
        image[row : row + CELL, column : column + CELL] = (0, 140, 255)
        box = (float(column), float(row), float(column + CELL), float(row + CELL))
        drawn.append((f"{number}.png", split, image, [Truth("fire", box)]))
    write_set(folder, drawn, "made")
    return read_set(folder, split)
