"""NVIDIA's graphics processors (Jetson), by TensorRT 10. Untested: no board has run this yet.

Written from NVIDIA's documentation and samples of ``tensorrt`` 10 and ``cuda-python``. What the artefact (target
``tensorrt``) must be: the release's ONNX file, built by ``trtexec --onnx=… --saveEngine=…`` at one shape, the
manifest's width and height, on the very kind of processor and with the very version of TensorRT that shall run it; an
engine file serves no other. The suppression of doubles stays in the graph (TensorRT knows NonMaxSuppression), so the
number of rows is known only after the run, and TensorRT asks for their memory during it (``IOutputAllocator``).
"""

import importlib
import time
from typing import Any, Final

import numpy as np
import tensorrt as trt
from numpy.typing import NDArray

from edge.vision.engine import EngineError, EngineTimeoutError
from edge.vision.runtimes.file import ModelFile, Tensor, check_tensors, still_busy, too_slow

POLL_S: Final = 0.0002
"""Sleep between two looks whether the processor is through."""


class TensorRtRuntime:
    """An artefact on TensorRT, with a stream of its own.

    Raises:
        EngineError: no CUDA, a file for another processor or version, or another input or output than the manifest's.
    """

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._cuda = _cuda_runtime(file)
        self._late = False
        self._logger = trt.Logger(trt.Logger.ERROR)
        trt.init_libnvinfer_plugins(self._logger, namespace="")
        # The engine may use its runtime as long as it lives.
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(file.raw)
        if self._engine is None:
            raise EngineError(
                f"{file.path} cannot be loaded by TensorRT {trt.__version__}: it is built for another version or "
                "another processor; TensorRT's own message says which"
            )
        inputs, outputs = self._describe()
        check_tensors(file, inputs, outputs)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"{file.path}: TensorRT has no memory for it")
        self._stream = self._call("cudaStreamCreate")
        spec = file.spec
        self._bytes = 3 * spec.height * spec.width * np.dtype(spec.dtype).itemsize
        self._pixels = self._call("cudaMalloc", self._bytes)
        self._rows = _row_memory(self._call)
        shaped = self._context.set_input_shape(spec.name, (1, 3, spec.height, spec.width))
        placed = self._context.set_tensor_address(spec.name, int(self._pixels))
        if not (shaped and placed and self._context.set_output_allocator(file.manifest.output.name, self._rows)):
            self.close()
            raise EngineError(
                f"{file.path}: TensorRT does not take {spec.width}x{spec.height}; its own message says why"
            )

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """See ``Runtime.run``. A run that takes too long cannot be ended; it is left alone, and until it is through
        every picture is refused."""
        if self._late:
            if not self._through():
                raise EngineTimeoutError(still_busy(self._file))
            self._late = False
        to_device = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", self._pixels, tensor.ctypes.data, self._bytes, to_device, self._stream)
        if not self._context.execute_async_v3(stream_handle=int(self._stream)):
            raise EngineError(f"{self._file.path}: the run failed; TensorRT's own message says why")
        ends = time.monotonic() + self._file.limit_s
        while not self._through():
            if time.monotonic() > ends:
                self._late = True
                raise EngineTimeoutError(too_slow(self._file.path, self._file.limit_s))
            time.sleep(POLL_S)
        if len(self._rows.shape) != 2 or self._rows.shape[1] != 6:
            raise EngineError(f"{self._file.path} gave {list(self._rows.shape)}; needed are rows of [N, 6]")
        rows = np.empty(self._rows.shape, np.float32)
        if rows.size:
            to_host = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
            self._call("cudaMemcpy", rows.ctypes.data, self._rows.pointer, rows.nbytes, to_host)
        return rows

    def close(self) -> None:
        """Give the memory back, unless a run still holds it."""
        if self._late and not self._through():
            return
        self._call("cudaStreamDestroy", self._stream)
        for pointer in (self._pixels, self._rows.pointer):
            if pointer:
                self._call("cudaFree", pointer)
        self._pixels = self._rows.pointer = 0

    def _through(self) -> bool:
        (code,) = self._cuda.cudaStreamQuery(self._stream)
        if code == self._cuda.cudaError_t.cudaErrorNotReady:
            return False
        self._check("cudaStreamQuery", code)
        return True

    def _call(self, name: str, *arguments: Any) -> Any:
        """Calls of cuda-python answer with a code first, then with what was asked for."""
        code, *answer = getattr(self._cuda, name)(*arguments)
        self._check(name, code)
        return answer[0] if answer else None

    def _check(self, name: str, code: Any) -> None:
        if code != self._cuda.cudaError_t.cudaSuccess:
            raise EngineError(f"{self._file.path}: {name} answered {code}")

    def _describe(self) -> tuple[list[Tensor], list[Tensor]]:
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            kind = np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))).name
            shape = tuple(None if side < 0 else int(side) for side in self._engine.get_tensor_shape(name))
            is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            (inputs if is_input else outputs).append(Tensor(name, kind, shape))
        return inputs, outputs


def _cuda_runtime(file: ModelFile) -> Any:
    """cuda-python's runtime, under its present or its former name."""
    for name in ("cuda.bindings.runtime", "cuda.cudart"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise EngineError(f"{file.path}: TensorRT needs the Python package cuda-python; install it with pip")


def _row_memory(call: Any) -> Any:
    """Memory on the device for as many rows as there turn out to be; it grows and never shrinks."""

    class RowMemory(trt.IOutputAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.pointer: Any = 0
            self.size = 0
            self.shape: tuple[int, ...] = ()

        def reallocate_output_async(self, _name: str, _memory: int, size: int, _alignment: int, _stream: int) -> int:
            if size > self.size or not self.pointer:
                if self.pointer:
                    call("cudaFree", self.pointer)
                self.size = max(size, 1)
                self.pointer = call("cudaMalloc", self.size)
            return int(self.pointer)

        def notify_shape(self, _name: str, shape: Any) -> None:
            self.shape = tuple(int(side) for side in shape)

    return RowMemory()
