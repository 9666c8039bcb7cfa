"""INT8 artefacts: static quantization in QDQ form, a scale for every channel, calibrated on training pictures.

Two targets, because one file cannot serve both (measured): x86 with VNNI multiplies unsigned by signed bytes, ARM
signed by signed. Only the convolutional body is quantized. The head's last convolutions, the decoding of boxes and the
suppression of doubles stay in FP32: they cost next to nothing and every step of their scale would move a box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from contract.manifest import Input
from models.workshop.data import Picture, letterbox

TARGETS = {"x86-u8s8": QuantType.QUInt8, "arm64-s8s8": QuantType.QInt8}
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
HEAD = ("scores", "boxes")
FIRST = ("/stem/", "/stage2/stage2.0/")
"""The first layers stay in FP32: in INT8 they alone cost a fifth of the average precision (measured)."""
BODY = ("Conv", "Concat", "MaxPool", "Resize", "Add", "Relu")


class Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Letterboxed pictures as the calibration wants them, one after the other."""

    def __init__(self, pictures: Sequence[Picture], spec: Input) -> None:
        self.pictures, self.spec = pictures, spec
        self.rest = self._all()

    def _all(self) -> Iterator[dict[str, NDArray[np.uint8]]]:
        for picture in self.pictures:
            image = picture.read()
            canvas = letterbox(image, *self.spec.fit(image.shape[1], image.shape[0]))[0]
            yield {"images": np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))[None]}

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next input, None at the end."""
        return next(self.rest, None)

    def rewind(self) -> None:
        """Start over."""
        self.rest = self._all()


def cut_off(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[onnx.ValueInfoProto]]:
    """Take what follows the head (all named `post_`) off a model, in place: its nodes, constants and outputs.

    The suppression of doubles gives any number of rows, which calibration cannot collect.
    """
    graph = model.graph
    nodes = [n for n in graph.node if n.name.startswith("post_")]
    constants = [t for t in graph.initializer if t.name.startswith("post_")]
    outputs = list(graph.output)
    for node in nodes:
        graph.node.remove(node)
    for constant in constants:
        graph.initializer.remove(constant)
    del graph.output[:]
    graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in HEAD)
    return nodes, constants, outputs


def put_on(
    model: onnx.ModelProto, rest: tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[onnx.ValueInfoProto]]
) -> None:
    """Undo `cut_off`, in place."""
    nodes, constants, outputs = rest
    del model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    model.graph.output.extend(outputs)


def kept_in_float(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that stay in FP32: all but the body, which is what feeds the head's last convolutions."""
    makers = {name: node for node in model.graph.node for name in node.output}
    fed_by_none = {name for node in model.graph.node if node.op_type in ("Relu", "Conv") for name in node.input}
    last = [n for n in model.graph.node if n.op_type == "Conv" and _ends(model, n, fed_by_none)]
    body: set[str] = set()
    ahead = [name for node in last for name in node.input]
    while ahead:
        maker = makers.get(ahead.pop())
        if maker is not None and maker.name not in body and not maker.name.startswith("pre_"):
            body.add(maker.name)
            ahead.extend(maker.input)
    return [node.name for node in model.graph.node if node.name not in body or node.name.startswith(FIRST)]


def _ends(model: onnx.ModelProto, conv: onnx.NodeProto, used: set[str]) -> bool:
    """Whether a convolution is the network's last on its way: no activation and no convolution follows at once."""
    users = [n.op_type for n in model.graph.node if conv.output[0] in n.input]
    return conv.output[0] not in used and not {"Concat", "Add"} & set(users)


def quantize(
    source: Path, target: str, pictures: Sequence[Picture], spec: Input, path: Path, method: str = "minmax"
) -> Path:
    """Write the INT8 artefact of the FP32 ONNX file `source` for one of `TARGETS`. Returns `path`.

    `spec` is the input as the manifest will state it: pictures are shown to the calibration as a box will show them.
    `method` is how a tensor's range is found: `minmax`, `entropy` or `percentile` (the last two keep every tensor of
    every picture in memory: some 25 MB a picture). Raises `ValueError` for an unknown target or method, or without
    pictures.
    """
    if target not in TARGETS:
        raise ValueError(f"target '{target}' is not one of {', '.join(TARGETS)}")
    if method not in METHODS:
        raise ValueError(f"calibration method '{method}' is not one of {', '.join(METHODS)}")
    if not pictures:
        raise ValueError("quantization needs pictures to calibrate on; none were given")
    path.parent.mkdir(parents=True, exist_ok=True)
    core, ready = path.with_suffix(".core.onnx"), path.with_suffix(".ready.onnx")
    model = onnx.load(str(source))
    rest = cut_off(model)
    onnx.save(model, str(core))
    quant_pre_process(str(core), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready),
        str(path),
        Pictures(pictures, spec),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=TARGETS[target],
        weight_type=QuantType.QInt8,
        calibrate_method=METHODS[method],
        op_types_to_quantize=list(BODY),
        nodes_to_exclude=kept_in_float(onnx.load(str(ready))),
        extra_options={"ActivationSymmetric": target == "arm64-s8s8", "WeightSymmetric": True},
    )
    done = onnx.load(str(path))
    put_on(done, rest)
    onnx.checker.check_model(done)
    onnx.save(done, str(path))
    core.unlink()
    ready.unlink()
    return path
