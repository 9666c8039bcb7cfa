"""ONNX Runtime on the processor: the engine every node has."""

from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge.vision.deadline import Deadline
from edge.vision.engine import EngineError, EngineTimeoutError
from edge.vision.runtimes.file import ModelFile, Tensor, check_tensors, too_slow

_TYPES: Final = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}


class OnnxRuntime:
    """An artefact on ONNX Runtime's CPU provider.

    Raises:
        EngineError: not ONNX, or another input or output than the manifest's.
    """

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._session = _open_session(file)
        check_tensors(file, _describe(self._session.get_inputs()), _describe(self._session.get_outputs()))
        self._input, self._output = file.spec.name, file.manifest.output.name
        self._deadline = Deadline(file.limit_s)

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """See ``Runtime.run``. A run that takes too long is ended between two nodes of the graph."""
        # Not a copy: the session reads the tensor's own memory.
        inputs = {self._input: ort.OrtValue.ortvalue_from_numpy(tensor)}
        options = ort.RunOptions()
        self._deadline.begin(options)
        outputs: list[Any] = []
        problem: Exception | None = None
        try:
            outputs = self._session.run_with_ort_values([self._output], inputs, options)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common class
            problem = error
        if self._deadline.end():
            raise EngineTimeoutError(too_slow(self._file))
        if problem is not None:
            raise EngineError(f"{self._file.path}: the run failed: {problem}") from problem
        result: NDArray[np.float32] = outputs[0].numpy()
        return result

    def close(self) -> None:
        """Stop the watching thread; the session's memory goes with the last reference to it."""
        self._deadline.close()


def _open_session(file: ModelFile) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = file.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the processor from the cameras' decoders while there is no picture to look at.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(file.raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(f"{file.path} cannot be loaded by ONNX Runtime {ort.__version__}: {error}") from error


def _describe(nodes: list[Any]) -> list[Tensor]:
    return [
        Tensor(n.name, _TYPES.get(n.type, n.type), tuple(s if isinstance(s, int) else None for s in n.shape))
        for n in nodes
    ]
