"""A release's FP32 graph in the form that ultralytics exports: the same network, prepared and read by other code.

The artefact (see ``models.workshop.conversion.graph``) is cut at its own seams: ``pixels`` behind the scaling,
``scores`` ``[1, C, A]`` and ``boxes`` ``[1, A, 4]`` before the suppression of doubles. The twin takes ``images``
float32 ``[1, 3, H, W]`` of 0 to 1 and gives ``output0`` ``[1, 4 + C, A]``: centre, width and height in pixels of the
input, then the scores. It carries the metadata that ultralytics' exporter writes and its ONNX backend reads.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.frame import BenchError

PIXELS: Final = "pixels"
SCORES: Final = "scores"
BOXES: Final = "boxes"
OUTPUT: Final = "output0"
_BEFORE: Final = "pre_"
_AFTER: Final = "post_"


@dataclass(frozen=True)
class Suppression:
    """What the artefact's own suppression of doubles does: IoU above which two boxes of a label are one thing, most
    boxes a label, least score."""

    iou: float
    most: int
    floor: float


class ReleaseGraph:
    """The graph of an FP32 artefact, to be cut.

    Args:
        path: the ONNX file.

    Raises:
        BenchError: it has not the seams named above, or ``onnx`` is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnx
        except ImportError as error:
            raise BenchError("onnx is not installed, and without it no twin can be made; pip install onnx") from error
        self.path = path
        self._model = onnx.load(str(path))
        made = {name for node in self._model.graph.node for name in node.output}
        missing = [name for name in (PIXELS, SCORES, BOXES) if name not in made]
        if missing:
            raise BenchError(
                f"{path} has no tensor {', '.join(missing)}; only a detector that `vedette models export` wrote can be "
                "compared with ultralytics' predictor"
            )

    @property
    def suppression(self) -> Suppression:
        """Raises ``BenchError`` where the graph does not state it."""
        return Suppression(
            iou=float(self._constant("post_same")),
            most=int(self._constant("post_most")),
            floor=float(self._constant("post_floor")),
        )

    @property
    def scale(self) -> float:
        """What a pixel of 0 to 255 is multiplied by before the network; 1 where the graph states none."""
        stated = any(tensor.name == "pre_scale" for tensor in self._model.graph.initializer)
        return float(self._constant("pre_scale")) if stated else 1.0

    def before(self) -> bytes:
        """The nodes before the network alone: ``images`` uint8 in, ``pixels`` float32 out."""
        import onnx

        nodes = [node for node in self._model.graph.node if node.name.startswith(_BEFORE)]
        pixels = onnx.helper.make_tensor_value_info(PIXELS, onnx.TensorProto.FLOAT, [1, 3, None, None])
        return _bytes(self._graph("before", nodes, list(self._model.graph.input), [pixels]))

    def after(self) -> bytes:
        """The nodes behind the network alone: ``boxes`` and ``scores`` in, ``detections`` out."""
        import onnx

        make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
        nodes = [node for node in self._model.graph.node if node.name.startswith(_AFTER)]
        heads = [make(BOXES, kind, [1, None, 4]), make(SCORES, kind, [1, None, None])]
        return _bytes(self._graph("after", nodes, heads, list(self._model.graph.output)))

    def twin(self, labels: Sequence[str], width: int, height: int) -> bytes:
        """The twin for inputs of ``width`` x ``height`` pixels."""
        import onnx

        make, helper = onnx.helper.make_tensor_value_info, onnx.helper
        nodes = [n for n in self._model.graph.node if not n.name.startswith((_BEFORE, _AFTER))]
        constants: dict[str, tuple[list[Any], int]] = {
            "twin_halves": ([2, 2], onnx.TensorProto.INT64),
            "twin_half": ([0.5], onnx.TensorProto.FLOAT),
        }
        if math.isclose(self.scale, 1 / 255, rel_tol=1e-5):
            nodes = [_renamed(node, PIXELS, "images") for node in nodes]
        else:  # a network that wants another scale than ultralytics gives
            constants["twin_scale"] = ([255 * self.scale], onnx.TensorProto.FLOAT)
            nodes.insert(0, helper.make_node("Mul", ["images", "twin_scale"], [PIXELS], name="twin_scale"))
        nodes += [
            helper.make_node("Split", [BOXES, "twin_halves"], ["twin_low", "twin_high"], name="twin_split", axis=2),
            helper.make_node("Sub", ["twin_high", "twin_low"], ["twin_size"], name="twin_size"),
            helper.make_node("Add", ["twin_high", "twin_low"], ["twin_sum"], name="twin_sum"),
            helper.make_node("Mul", ["twin_sum", "twin_half"], ["twin_centre"], name="twin_centre"),
            helper.make_node("Concat", ["twin_centre", "twin_size"], ["twin_rows"], name="twin_rows", axis=2),
            helper.make_node("Transpose", ["twin_rows"], ["twin_columns"], name="twin_columns", perm=[0, 2, 1]),
            helper.make_node("Concat", ["twin_columns", SCORES], [OUTPUT], name="twin_output", axis=1),
        ]
        model = self._graph(
            "twin",
            nodes,
            [make("images", onnx.TensorProto.FLOAT, [1, 3, height, width])],
            [make(OUTPUT, onnx.TensorProto.FLOAT, [1, 4 + len(labels), None])],
            constants,
        )
        helper.set_model_props(model, _metadata(labels, width, height))
        return _bytes(model)

    def _graph(
        self,
        name: str,
        nodes: Sequence[Any],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        constants: dict[str, tuple[list[Any], int]] | None = None,
    ) -> Any:
        import onnx

        used = {tensor for node in nodes for tensor in node.input}
        kept = [tensor for tensor in self._model.graph.initializer if tensor.name in used]
        kept += [onnx.helper.make_tensor(n, kind, [len(v)], v) for n, (v, kind) in (constants or {}).items()]
        graph = onnx.helper.make_graph(list(nodes), name, list(inputs), list(outputs), kept)
        return onnx.helper.make_model(
            graph, opset_imports=list(self._model.opset_import), ir_version=self._model.ir_version
        )

    def _constant(self, name: str) -> Any:
        import onnx

        found = next((tensor for tensor in self._model.graph.initializer if tensor.name == name), None)
        if found is None:
            raise BenchError(f"{self.path} has no constant {name!r}; it was not written by `vedette models export`")
        return onnx.numpy_helper.to_array(found).reshape(-1)[0]


def _bytes(model: Any) -> bytes:
    raw: bytes = model.SerializeToString()
    return raw


def _renamed(node: Any, old: str, new: str) -> Any:
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    names: Iterable[str] = [new if name == old else name for name in node.input]
    del copy.input[:]
    copy.input.extend(names)
    return copy


def _metadata(labels: Sequence[str], width: int, height: int) -> dict[str, str]:
    """As ultralytics' exporter writes it; its ONNX backend reads the values as Python literals."""
    return {
        "description": "twin of a Vedette detector",
        "stride": "32",
        "task": "detect",
        "head": "Detect",
        "batch": "1",
        "imgsz": str([height, width]),
        "names": str(dict(enumerate(labels))),
        "args": str({"batch": 1, "dynamic": False, "nms": False}),
        "channels": "3",
        "end2end": "False",
    }
