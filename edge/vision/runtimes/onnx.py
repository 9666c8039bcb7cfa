"""ONNX Runtime on the processor: the engine every node has."""

from pathlib import Path
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
        self._session = Session(file.path, file.raw, file.threads, file.limit_s)
        check_tensors(file, self._session.inputs, self._session.outputs)
        self._input, self._output = file.spec.name, file.manifest.output.name

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """See ``Runtime.run``."""
        return self._session.run(self._input, tensor, self._output)

    def close(self) -> None:
        """See ``Session.close``."""
        self._session.close()


class Session:
    """A network on ONNX Runtime's CPU provider, whatever it gives. Not for two threads at once.

    Args:
        path: of the file, for errors.
        raw: its bytes.
        threads: of the processor.
        limit_s: longest time for one run.

    Raises:
        EngineError: not ONNX.
    """

    def __init__(self, path: Path, raw: bytes, threads: int, limit_s: float) -> None:
        self._path = path
        self._session = _open_session(path, raw, threads)
        self.inputs = _describe(self._session.get_inputs())
        self.outputs = _describe(self._session.get_outputs())
        self._deadline = Deadline(limit_s)

    def run(self, given: str, tensor: NDArray[Any], wanted: str) -> NDArray[np.float32]:
        """The output ``wanted`` for the input ``given``.

        Raises:
            EngineError: the run failed, or (``EngineTimeoutError``) took too long and was ended between two nodes of
                the graph.
        """
        # Not a copy: the session reads the tensor's own memory.
        inputs = {given: ort.OrtValue.ortvalue_from_numpy(tensor)}
        options = ort.RunOptions()
        self._deadline.begin(options)
        outputs: list[Any] = []
        problem: Exception | None = None
        try:
            outputs = self._session.run_with_ort_values([wanted], inputs, options)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common class
            problem = error
        if self._deadline.end():
            raise EngineTimeoutError(too_slow(self._path, self._deadline.limit_s))
        if problem is not None:
            raise EngineError(f"{self._path}: the run failed: {problem}") from problem
        result: NDArray[np.float32] = outputs[0].numpy()
        return result

    def close(self) -> None:
        """Stop the watching thread; the session's memory goes with the last reference to it."""
        self._deadline.close()


def _open_session(path: Path, raw: bytes, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the processor from the cameras' decoders while there is no picture to look at.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {error}") from error


def _describe(nodes: list[Any]) -> list[Tensor]:
    return [
        Tensor(n.name, _TYPES.get(n.type, n.type), tuple(s if isinstance(s, int) else None for s in n.shape))
        for n in nodes
    ]
