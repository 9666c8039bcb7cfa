"""A detector for compilers of other hardware: one shape, and its heads instead of the suppression of doubles.

TensorRT, RKNN and Hailo compile a network for one shape, quantize it with their own calibration, and do the suppression
of doubles in their own way or leave it to the host. They start from the FP32 file: an INT8 artefact of ONNX Runtime is
not what they take. With the shape fixed, everything that follows from it (the grid of cells) becomes a constant.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from contract.manifest import LONGEST
from models.workshop.quantization.quantize import cut_off

STRIDE = 32


@dataclass(frozen=True)
class Fixed:
    """What was written. `input` takes values of 0 to 255 times `scale`, RGB; `ends` are the convolutions with which the
    network ends, for a compiler that shall stop before the decoding of boxes."""

    path: Path
    input: str
    scale: float
    outputs: tuple[tuple[str, tuple[int | str, ...]], ...]
    ends: tuple[str, ...]


def sides(text: str) -> tuple[int, int]:
    """Width and height of `WIDTHxHEIGHT`. Raises `ValueError` for what is not that, or no multiple of `STRIDE`."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise ValueError(f"'{text}' is not WIDTHxHEIGHT, such as 512x288")
    width, height = int(found[1]), int(found[2])
    for side in (width, height):
        if side % STRIDE or not STRIDE <= side <= LONGEST * STRIDE:
            raise ValueError(f"{text}: sides must be multiples of {STRIDE} from {STRIDE} to {LONGEST * STRIDE}")
    return width, height


def fix(source: Path, width: int, height: int, path: Path, heads: bool) -> Fixed:
    """Write the FP32 file `source` for one shape. Returns what was written.

    With `heads` it takes float32 `pixels` and gives `scores` `[1, C, A]` and `boxes` `[1, A, 4]` (corners in pixels of
    the input); else `images` and `detections` as every artefact. Raises `FileNotFoundError` without the file,
    `ValueError` when it takes another shape alone, or has no heads to give.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source} does not exist; run 'vedette models export' first")
    model = onnx.load(str(source))
    scale = 1.0
    if heads:
        if not cut_off(model)[0]:
            raise ValueError(f"{source}: has no suppression of doubles that could be left out")
        scale = _without_pixels(model)
    given = model.graph.input[0]
    _set_shape(source, given, width, height)
    del model.graph.value_info[:]
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        open_shape, folded = Path(folder) / "open.onnx", Path(folder) / "folded.onnx"
        onnx.save(model, str(open_shape))
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        ort.InferenceSession(str(open_shape), options, providers=["CPUExecutionProvider"])
        done = onnx.load(str(folded))
    del done.opset_import[:]
    done.opset_import.extend(model.opset_import)
    done = onnx.shape_inference.infer_shapes(done, strict_mode=True, data_prop=True)
    onnx.checker.check_model(done, full_check=True)
    onnx.save(done, str(path))
    outputs = tuple(
        (o.name, tuple(d.dim_value or d.dim_param or "N" for d in o.type.tensor_type.shape.dim))
        for o in done.graph.output
    )
    return Fixed(path, given.name, scale, outputs, _ends(done))


def _set_shape(source: Path, given: onnx.ValueInfoProto, width: int, height: int) -> None:
    dims = given.type.tensor_type.shape.dim
    for dim, side in zip(dims[2:], (height, width), strict=True):
        if dim.dim_value and dim.dim_value != side:
            raise ValueError(
                f"{source} takes {dims[3].dim_value}x{dims[2].dim_value} alone, not {width}x{height}; export it again "
                "from its checkpoint"
            )
        dim.dim_value = side


def _without_pixels(model: onnx.ModelProto) -> float:
    """Take the cast and the scale before the network off, in place. Returns the scale."""
    graph = model.graph
    scale = 1.0
    last = ""
    for node in [n for n in graph.node if n.name.startswith("pre_")]:
        last = node.output[0]
        graph.node.remove(node)
    for constant in [t for t in graph.initializer if t.name.startswith("pre_")]:
        if constant.name == "pre_scale":
            scale = float(numpy_helper.to_array(constant))
        graph.initializer.remove(constant)
    if last:
        dims = [d.dim_value or d.dim_param for d in graph.input[0].type.tensor_type.shape.dim]
        del graph.input[:]
        graph.input.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, dims))
    return scale


def _ends(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions behind which no other comes."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def followed(conv: onnx.NodeProto) -> bool:
        seen: set[str] = set()
        ahead = list(conv.output)
        while ahead:
            for user in users.get(ahead.pop(), []):
                if user.op_type == "Conv":
                    return True
                if user.name not in seen:
                    seen.add(user.name)
                    ahead.extend(user.output)
        return False

    return tuple(n.name for n in model.graph.node if n.op_type == "Conv" and not followed(n))
