"""INT8 artefacts: static quantization, calibrated on training pictures, by settings that are written down.

Two targets, because one file cannot serve both (measured): x86 with VNNI multiplies unsigned by signed bytes, ARM
signed by signed. Only the convolutional body is quantized. The head's last convolutions, the decoding of boxes and the
suppression of doubles stay in FP32: they cost next to nothing and every step of their scale would move a box. Which
layers of the body stay in FP32 too is a setting, found by `models.workshop.quantization.study`.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx.version_converter
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import QuantizationMode
from onnxruntime.quantization.shape_inference import quant_pre_process

from contract.manifest import Input
from models.workshop.quantization.ranges import CHECKPOINTS, Feed, Spread, collect, tensors
from models.workshop.quantization.settings import Settings
from models.workshop.sets.data import Picture, letterbox

HEAD = ("scores", "boxes")
BODY = ("Conv", "Concat", "MaxPool", "Resize", "Add", "Relu", "Sigmoid", "Mul")
BYTES = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
ACTIVATION_OPS = ("Relu", "Sigmoid", "Mul")
CHANNELS = 13
"""The first opset in which a weight may have a scale for each channel."""


Rest = tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[onnx.ValueInfoProto]]


@dataclass(frozen=True)
class Prepared:
    """A network ready to be quantized: without what follows the head (`rest`), its layers and tensors known."""

    model: onnx.ModelProto
    rest: Rest
    body: frozenset[str]
    """Names of the nodes that may be quantized."""
    layers: tuple[str, ...]
    """Names of the body's convolutions, from the picture on."""

    @property
    def tensors(self) -> list[str]:
        """The tensors whose ranges quantization needs."""
        return tensors(self.model, (n.name for n in self.model.graph.node if n.name in self.body))

    def unit(self, layer: str) -> set[str]:
        """A convolution and the activation behind it. Raises `ValueError` for a layer that is not in the body."""
        if layer not in self.layers:
            raise ValueError(
                f"layer '{layer}' is not a convolution of this network's body; make its settings again with "
                "'vedette models quantize --study'"
            )
        users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.model.graph.node:
            for name in node.input:
                users.setdefault(name, []).append(node)
        found = {layer}
        ahead = [name for node in self.model.graph.node if node.name == layer for name in node.output]
        while ahead:
            for user in users.get(ahead.pop(), []):
                if user.op_type in ACTIVATION_OPS and user.name in self.body and user.name not in found:
                    found.add(user.name)
                    ahead.extend(user.output if user.op_type == "Sigmoid" else ())
        return found


def prepare(source: Path) -> Prepared:
    """Read an FP32 ONNX file for quantization. Raises `FileNotFoundError`, `ValueError` when it has no convolution."""
    if not source.is_file():
        raise FileNotFoundError(f"{source} does not exist; run 'vedette models export' first")
    model = onnx.load(str(source))
    if any(one.domain in ("", "ai.onnx") and one.version < CHANNELS for one in model.opset_import):
        model = onnx.version_converter.convert_version(model, CHANNELS)
    rest = cut_off(model)
    with TemporaryDirectory() as folder:
        core, ready = Path(folder) / "core.onnx", Path(folder) / "ready.onnx"
        onnx.save(model, str(core))
        quant_pre_process(str(core), str(ready), skip_symbolic_shape=True)
        model = onnx.load(str(ready))
    body = body_of(model)
    layers = tuple(n.name for n in model.graph.node if n.op_type == "Conv" and n.name in body)
    if not layers:
        raise ValueError(f"{source}: has no convolution that could be quantized")
    return Prepared(model, rest, frozenset(body), layers)


def cut_off(model: onnx.ModelProto) -> Rest:
    """Take what follows the head (all named `post_`) off a model, in place: its nodes, constants and outputs.

    The suppression of doubles gives any number of rows, which calibration cannot collect. A model without it keeps its
    outputs.
    """
    graph = model.graph
    nodes = [n for n in graph.node if n.name.startswith("post_")]
    constants = [t for t in graph.initializer if t.name.startswith("post_")]
    if not nodes:
        return [], [], []
    outputs = list(graph.output)
    for node in nodes:
        graph.node.remove(node)
    for constant in constants:
        graph.initializer.remove(constant)
    del graph.output[:]
    graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in HEAD)
    return nodes, constants, outputs


def put_on(model: onnx.ModelProto, rest: Rest) -> None:
    """Undo `cut_off`, in place."""
    nodes, constants, outputs = rest
    if not nodes:
        return
    del model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    model.graph.output.extend(outputs)


def body_of(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that feed the head's last convolutions, those behind which no other convolution comes."""
    makers = {name: node for node in model.graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    convs = [n for n in model.graph.node if n.op_type == "Conv"]
    before: set[str] = set()
    for conv in convs:
        if conv.name in before:
            continue
        behind, ahead = set(), list(conv.output)
        while ahead:
            for user in users.get(ahead.pop(), []):
                if user.name not in behind:
                    behind.add(user.name)
                    ahead.extend(user.output)
        if any(other.name in behind for other in convs):
            before.add(conv.name)
    body: set[str] = set()
    ahead = [name for conv in convs if conv.name not in before for name in conv.input]
    while ahead:
        maker = makers.get(ahead.pop())
        if maker is not None and maker.name not in body and not maker.name.startswith("pre_"):
            body.add(maker.name)
            ahead.extend(maker.input)
    return {n.name for n in model.graph.node if n.name in body and n.op_type in BODY}


def feeds(pictures: Sequence[Picture], spec: Input) -> Iterator[Feed]:
    """Pictures letterboxed as a box will show them: `images`, uint8 `[1, 3, H, W]` RGB."""
    for picture in pictures:
        image = picture.read()
        canvas: NDArray[np.uint8] = letterbox(image, *spec.fit(image.shape[1], image.shape[0]))[0]
        yield {"images": np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))[None]}


def calibrate(prepared: Prepared, pictures: Sequence[Picture], spec: Input) -> dict[str, Spread]:
    """The spread of every tensor over all pictures. Raises `ValueError` without pictures."""
    if not pictures:
        raise ValueError("quantization needs pictures to calibrate on; none were given")
    count = len(pictures)
    return collect(prepared.model, prepared.tensors, lambda: feeds(pictures, spec), (count,))[count]


def quantized(
    prepared: Prepared, settings: Settings, spreads: dict[str, Spread], only: frozenset[str] | None = None
) -> onnx.ModelProto:
    """The quantized network, still without what follows the head. `only` names the layers to quantize, else all but the
    setting's `float_layers`. Raises `ValueError` for settings that cannot be."""
    settings.check()
    floats = set(settings.float_layers) if only is None else set(prepared.layers) - only
    left = prepared.body if only is None else frozenset().union(*(prepared.unit(name) for name in only))
    left -= frozenset().union(*(prepared.unit(name) for name in floats)) if floats else frozenset()
    ranges = {
        name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in ((n, s.range(settings.method)) for n, s in spreads.items())
    }
    model = onnx.ModelProto()
    model.CopyFrom(prepared.model)
    common: tuple[object, ...] = (
        QuantType.QInt8,
        BYTES[settings.activation],
        TensorsData(CalibrationMethod.MinMax, ranges),
        [],
        [node.name for node in model.graph.node if node.name not in left],
        list(BODY),
        {"ActivationSymmetric": settings.symmetric, "WeightSymmetric": True},
    )
    if settings.format == "qdq":
        maker = QDQQuantizer(model, settings.per_channel, settings.reduce_range, *common)
    else:
        mode = QuantizationMode.QLinearOps
        maker = ONNXQuantizer(model, settings.per_channel, settings.reduce_range, mode, True, *common)
    maker.quantize_model()
    maker.model.topological_sort()
    done: onnx.ModelProto = maker.model.model
    return done


def save(prepared: Prepared, model: onnx.ModelProto, path: Path) -> Path:
    """Put back what follows the head, check, and write. Returns `path`."""
    put_on(model, prepared.rest)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def check_labels(prepared: Prepared, source: Path, labels: Sequence[str]) -> None:
    """Raises `ValueError` when the network's scores are not those of `labels`, as far as their shape is known."""
    shapes = {output.name: output.type.tensor_type.shape.dim for output in prepared.model.graph.output}
    scores = shapes.get(HEAD[0])
    if scores is not None and len(scores) == 3 and scores[1].dim_value not in (0, len(labels)):
        raise ValueError(
            f"{source} tells {scores[1].dim_value} classes apart, not the {len(labels)} of this detector "
            f"({', '.join(labels)}); it is of another model"
        )


def quantize(
    source: Path, settings: Settings, pictures: Sequence[Picture], spec: Input, path: Path, labels: Sequence[str] = ()
) -> Path:
    """Write the INT8 artefact of the FP32 ONNX file `source`. Returns `path`.

    `spec` is the input as the manifest will state it: pictures are shown to the calibration as a box will show them.
    `labels`, where given, must be as many as the file tells apart. Raises `FileNotFoundError` without the file,
    `ValueError` for settings that cannot be, or without pictures.
    """
    settings.check()
    prepared = prepare(source)
    if labels:
        check_labels(prepared, source, labels)
    for layer in settings.float_layers:
        prepared.unit(layer)
    if not pictures:
        raise ValueError("quantization needs pictures to calibrate on; none were given")
    # Bins lie between the extremes of all pictures: counted as a study counts, so that the file is what its row was.
    counts = sorted({*CHECKPOINTS, settings.pictures})
    spreads = collect(prepared.model, prepared.tensors, lambda: feeds(pictures, spec), counts)[settings.pictures]
    return save(prepared, quantized(prepared, settings, spreads), path)
