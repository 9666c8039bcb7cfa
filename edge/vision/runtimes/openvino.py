"""OpenVINO on the processor, for Intel machines: the same ONNX artefacts as ONNX Runtime's.

OpenVINO reads ONNX with its QDQ pairs and runs INT8 as INT8, so it needs no artefact of its own. A release may still
carry one named ``openvino``; that is an ONNX file as well: OpenVINO's own format is two files, and an artefact is one.

An input that fits its picture costs OpenVINO more in a graph with open sides than in one compiled for a shape (see
``docs/node.md``), and compiling costs about half a second. So a shape that comes again and again gets a graph of its
own, and what comes seldom is run by the open one.

Sums are made in float32 where the artefact has float32: left alone, OpenVINO takes bfloat16 on processors that have it,
and a release would then see other things on one machine than on the next.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from edge.vision.engine import EngineError, EngineTimeoutError
from edge.vision.runtimes.file import ModelFile, Tensor, check_tensors, still_busy, too_slow

OFTEN: Final = 8
"""Pictures of one shape that come before it gets a graph of its own."""
OWN: Final = 4
"""Shapes that get one; cameras have few."""

_TYPES: Final = {"u8": "uint8", "f32": "float32", "f16": "float16"}
_ABANDONED: Final[list[Any]] = []
"""Requests that hung when their engine was closed. To drop one is to wait for it."""


@dataclass
class _Shape:
    seen: int = 0
    request: Any = None


class OpenVinoRuntime:
    """An artefact on OpenVINO's CPU plugin.

    ``threads`` processor threads for one picture at a time, on no core in particular. There is no setting against
    spinning; OpenVINO's threads are oneTBB's, which go to sleep by themselves.

    Raises:
        EngineError: not ONNX, or another input or output than the manifest's.
    """

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._core = ov.Core()
        try:
            model = self._core.read_model(file.raw)
        except RuntimeError as error:
            raise EngineError(self._refused(error)) from error
        self._input, self._output = file.spec.name, file.manifest.output.name
        check_tensors(file, _describe(model.inputs, self._input), _describe(model.outputs, self._output))
        self._open = self._compile(model)
        self._shapes: dict[tuple[int, ...], _Shape] = {}
        self._late: Any = None

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """See ``Runtime.run``.

        A run that takes too long is given up, and told to end between two nodes of the graph. OpenVINO cannot end a
        node; until that one is through every picture is refused, and a process that ends waits for it or is killed.
        """
        if self._late is not None:
            if not _ended(self._late):
                raise EngineTimeoutError(still_busy(self._file))
            self._late = None
        request = self._request(tensor.shape)
        try:
            # Not a copy: the request reads the tensor's own memory.
            request.set_tensor(self._input, ov.Tensor(tensor, shared_memory=True))
            request.start_async()
            in_time = request.wait_for(round(self._file.limit_s * 1000))
            if in_time:
                return np.array(request.get_tensor(self._output).data, np.float32)
            request.cancel()
        except RuntimeError as error:
            raise EngineError(f"{self._file.path}: the run failed: {_last_line(error)}") from error
        self._late = request
        raise EngineTimeoutError(too_slow(self._file.path, self._file.limit_s))

    def close(self) -> None:
        """Memory goes with the last reference to it; that of a run which still goes on stays."""
        if self._late is not None and not _ended(self._late):
            _ABANDONED.append(self._late)
        self._late = None

    def _request(self, shape: tuple[int, ...]) -> Any:
        if self._file.spec.shape != "fit":
            return self._open
        known = self._shapes.setdefault(shape, _Shape())
        known.seen += 1
        if known.request is None and known.seen > OFTEN:
            if sum(other.request is not None for other in self._shapes.values()) < OWN:
                model = self._core.read_model(self._file.raw)
                model.reshape(list(shape))
                known.request = self._compile(model)
            else:
                known.request = self._open
        return known.request or self._open

    def _compile(self, model: Any) -> Any:
        options = {
            "INFERENCE_NUM_THREADS": self._file.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_PRECISION_HINT": "f32",
            # Two processes that pin themselves would pin themselves to the same core.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            return self._core.compile_model(model, "CPU", options).create_infer_request()
        except RuntimeError as error:
            raise EngineError(self._refused(error)) from error

    def _refused(self, error: RuntimeError) -> str:
        return f"{self._file.path} cannot be loaded by OpenVINO {ov.__version__}: {_last_line(error)}"


def _ended(request: Any) -> bool:
    """A request that was told to end answers with an error once it has."""
    try:
        return bool(request.wait_for(0))
    except RuntimeError:
        return True


def _describe(ports: list[Any], wanted: str) -> list[Tensor]:
    """A port may have several names; ``wanted`` where it is one of them."""
    found = []
    for port in ports:
        names = port.get_names()
        name = wanted if wanted in names else min(names, default="")
        kind = port.get_element_type().get_type_name()
        shape = port.get_partial_shape()
        sides = () if shape.rank.is_dynamic else tuple(None if s.is_dynamic else s.get_length() for s in shape)
        found.append(Tensor(name, _TYPES.get(kind, kind), sides))
    return found


def _last_line(error: RuntimeError) -> str:
    """OpenVINO's errors begin with where in its source they were raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
