"""Small stand-ins for the libraries of hardware makers, as their documentation describes them.

Each behaves as a network that finds orange: it looks at the pixels in the layout that its library wants, and answers in
the form that its library gives. Calls in the wrong order, of the wrong type or shape fail, as the real ones would. What
they cannot show is whether the real libraries do as their documentation says.
"""

import ctypes
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODEL = b"a network for this processor"


@dataclass
class Bench:
    """What a test may set, and what was seen."""

    size: tuple[int, int] = (64, 64)
    """Height and width that the network takes."""
    calls: list[str] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)
    """Names of calls that fail."""
    hangs: threading.Event | None = None
    """Where set, a run goes on until it is."""


def orange_box(rgb: NDArray[np.uint8]) -> tuple[float, float, float, float] | None:
    """The box around all orange pixels of ``[h, w, 3]``."""
    ys, xs = np.nonzero((rgb[..., 0] > 200) & (rgb[..., 2] < 50))
    return (xs.min(), ys.min(), xs.max() + 1.0, ys.max() + 1.0) if len(xs) else None


def heads(rgb: NDArray[np.uint8], cells: int = 12) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``scores`` ``[1, 1, A]`` and ``boxes`` ``[1, A, 4]``: the box, a double of it, and much that is nothing."""
    scores = np.full((1, 1, cells), 0.01, np.float32)
    boxes = np.tile(np.array([0, 0, 8, 8], np.float32), (1, cells, 1))
    box = orange_box(rgb)
    if box is not None:
        scores[0, 0, 3:5] = 0.9, 0.7
        boxes[0, 3], boxes[0, 4] = box, np.add(box, (0, 0, 1, 1))
    return scores, boxes


def rknn(bench: Bench) -> dict[str, ModuleType]:
    """``rknnlite.api`` 2.3."""

    class RKNNLite:
        def __init__(self, verbose: bool = False) -> None:
            self._stage = "new"

        def load_rknn(self, path: str) -> int:
            bench.calls.append("load_rknn")
            assert self._stage == "new"
            if "load_rknn" in bench.fails or Path(path).read_bytes() != MODEL:
                return -1
            self._stage = "loaded"
            return 0

        def init_runtime(self, core_mask: int = 0) -> int:
            bench.calls.append("init_runtime")
            assert self._stage == "loaded"
            self._stage = "ready"
            return -1 if "init_runtime" in bench.fails else 0

        def inference(self, inputs: list[Any], data_format: list[str]) -> list[Any] | None:
            assert self._stage == "ready"
            assert data_format == ["nhwc"]
            (pixels,) = inputs
            assert (pixels.dtype, pixels.shape) == (np.uint8, (1, *bench.size, 3))
            if bench.hangs is not None:
                bench.hangs.wait(30)
            return None if "inference" in bench.fails else list(heads(pixels[0]))

        def release(self) -> None:
            bench.calls.append("release")
            self._stage = "released"

    package, api = ModuleType("rknnlite"), ModuleType("rknnlite.api")
    api.RKNNLite = RKNNLite  # type: ignore[attr-defined]
    return {"rknnlite": package, "rknnlite.api": api}


def hailo(bench: Bench) -> dict[str, ModuleType]:
    """``hailo_platform`` 5.2."""

    class HailoRTException(Exception):  # noqa: N818 - its name there
        pass

    class HailoRTTimeout(HailoRTException):
        pass

    class Stream:
        def __init__(self, name: str, shape: list[int]) -> None:
            self.name, self.shape, self.type = name, shape, ""
            self.buffer: NDArray[Any] | None = None

        def set_format_type(self, kind: str) -> None:
            self.type = kind

        def set_buffer(self, buffer: NDArray[Any]) -> None:
            assert list(buffer.shape) == list(self.shape)
            assert buffer.dtype == {"UINT8": np.uint8, "FLOAT32": np.float32}[self.type]
            assert buffer.flags.c_contiguous
            self.buffer = buffer

    class Bindings:
        def __init__(self, inputs: Stream, outputs: list[Stream]) -> None:
            self._input, self._outputs = inputs, outputs

        def input(self, name: str = "") -> Stream:
            return self._input

    class Configured:
        def __init__(self, model: "Model") -> None:
            self._model, self._open = model, False

        def __enter__(self) -> "Configured":
            self._open = True
            return self

        def __exit__(self, *_: object) -> None:
            bench.calls.append("deconfigure")
            self._open = False

        def create_bindings(self, output_buffers: dict[str, Any]) -> Bindings:
            for name, buffer in output_buffers.items():
                self._model.output(name).set_buffer(buffer)
            return Bindings(self._model.inputs[0], self._model.outputs)

        def run_async(self, bindings: list[Bindings]) -> "Job":
            assert self._open
            pixels = bindings[0].input().buffer
            assert pixels is not None
            return Job(self._model, pixels)

    class Job:
        def __init__(self, model: "Model", pixels: NDArray[Any]) -> None:
            self._model, self._pixels, self._hangs = model, pixels, bench.hangs

        def wait(self, timeout_ms: int) -> None:
            assert isinstance(timeout_ms, int)
            if self._hangs is not None and not self._hangs.wait(timeout_ms / 1000):
                raise HailoRTTimeout("wait for the job timed out")
            if "run" in bench.fails:
                raise HailoRTException("the stream was aborted")
            # A HEF's outputs come in an order of their own.
            scores, boxes = heads(self._pixels)
            for stream, found in zip(self._model.outputs, (boxes, scores), strict=True):
                assert stream.buffer is not None
                stream.buffer[...] = found.reshape(stream.shape)

    class Model:
        def __init__(self) -> None:
            self.inputs = [Stream("net/input", [*bench.size, 3])]
            self.outputs = [Stream("net/conv71", [1, 12, 4]), Stream("net/conv70", [1, 12, 1])]
            if "doubles" in bench.fails:
                self.outputs = [Stream("net/yolov8_nms_postprocess", [1, 5, 100])]
            self.output_names = [stream.name for stream in self.outputs]

        def set_batch_size(self, size: int) -> None:
            assert size == 1

        def input(self, name: str = "") -> Stream:
            return self.inputs[0]

        def output(self, name: str = "") -> Stream:
            return next(stream for stream in self.outputs if stream.name == name)

        def configure(self) -> Configured:
            bench.calls.append("configure")
            return Configured(self)

    class VDevice:
        def __init__(self, params: Any = None) -> None:
            assert params.scheduling_algorithm == "ROUND_ROBIN"
            if "VDevice" in bench.fails:
                raise HailoRTException("no device was found")

        @staticmethod
        def create_params() -> SimpleNamespace:
            return SimpleNamespace(scheduling_algorithm="NONE")

        def __enter__(self) -> "VDevice":
            return self

        def __exit__(self, *_: object) -> None:
            bench.calls.append("release")

        def create_infer_model(self, source: bytes) -> Model:
            assert type(source) is bytes
            if source != MODEL:
                raise HailoRTException("HEF is not for this device")
            return Model()

    package = ModuleType("hailo_platform")
    inner, deep = ModuleType("hailo_platform.pyhailort"), ModuleType("hailo_platform.pyhailort.pyhailort")
    package.VDevice = VDevice  # type: ignore[attr-defined]
    package.FormatType = SimpleNamespace(UINT8="UINT8", FLOAT32="FLOAT32")  # type: ignore[attr-defined]
    package.HailoSchedulingAlgorithm = SimpleNamespace(ROUND_ROBIN="ROUND_ROBIN")  # type: ignore[attr-defined]
    deep.HailoRTException, deep.HailoRTTimeout = HailoRTException, HailoRTTimeout  # type: ignore[attr-defined]
    return {
        "hailo_platform": package,
        "hailo_platform.pyhailort": inner,
        "hailo_platform.pyhailort.pyhailort": deep,
    }


class Device:
    """A graphics processor's memory, and one stream: pointers are host memory in disguise."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.memory: dict[int, Any] = {}

    def allocate(self, size: int) -> int:
        buffer = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(buffer)] = buffer
        return ctypes.addressof(buffer)

    def copy(self, to: int, source: int, size: int) -> None:
        assert to in self.memory or source in self.memory
        ctypes.memmove(to, source, size)

    def busy(self) -> bool:
        return self._bench.hangs is not None and not self._bench.hangs.is_set()


def tensorrt(bench: Bench) -> dict[str, ModuleType]:
    """``tensorrt`` 10 and ``cuda.bindings.runtime`` of cuda-python."""
    device = Device(bench)
    return {"tensorrt": _tensorrt(bench, device), **_cuda(bench, device)}


def _cuda(bench: Bench, device: Device) -> dict[str, ModuleType]:
    def answer(name: str, *found: Any) -> tuple[Any, ...]:
        bench.calls.append(name)
        return ("failed" if name in bench.fails else "ok", *found)

    def free(pointer: int) -> tuple[Any, ...]:
        del device.memory[pointer]
        return answer("cudaFree")

    def memcpy_async(to: int, source: int, size: int, kind: str, stream: int) -> tuple[Any, ...]:
        assert (kind, stream) == ("to device", 7)
        device.copy(to, source, size)
        return answer("cudaMemcpyAsync")

    def memcpy(to: int, source: int, size: int, kind: str) -> tuple[Any, ...]:
        assert kind == "to host"
        assert not device.busy()
        device.copy(to, source, size)
        return answer("cudaMemcpy")

    runtime = ModuleType("cuda.bindings.runtime")
    vars(runtime).update(
        cudaError_t=SimpleNamespace(cudaSuccess="ok", cudaErrorNotReady="not ready"),
        cudaMemcpyKind=SimpleNamespace(cudaMemcpyHostToDevice="to device", cudaMemcpyDeviceToHost="to host"),
        cudaStreamCreate=lambda: answer("cudaStreamCreate", 7),
        cudaStreamDestroy=lambda stream: answer("cudaStreamDestroy"),
        cudaMalloc=lambda size: answer("cudaMalloc", device.allocate(size)),
        cudaFree=free,
        cudaMemcpyAsync=memcpy_async,
        cudaMemcpy=memcpy,
        cudaStreamQuery=lambda stream: ("not ready",) if device.busy() else answer("cudaStreamQuery"),
    )
    return {"cuda": ModuleType("cuda"), "cuda.bindings": ModuleType("cuda.bindings"), "cuda.bindings.runtime": runtime}


def _tensorrt(bench: Bench, device: Device) -> ModuleType:
    class IOutputAllocator:
        pass

    class Context:
        def __init__(self) -> None:
            self._shape: tuple[int, ...] = ()
            self._pixels = 0
            self._allocator: Any = None

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self._shape = shape
            return name == "images" and shape == (1, 3, *bench.size) and "set_input_shape" not in bench.fails

        def set_tensor_address(self, name: str, pointer: int) -> bool:
            assert isinstance(pointer, int)
            self._pixels = pointer
            return name == "images" and pointer in device.memory

        def set_output_allocator(self, name: str, allocator: Any) -> bool:
            self._allocator = allocator
            return name == "detections" and isinstance(allocator, IOutputAllocator)

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert stream_handle == 7
            raw = ctypes.string_at(self._pixels, int(np.prod(self._shape)))
            box = orange_box(np.frombuffer(raw, np.uint8).reshape(self._shape)[0].transpose(1, 2, 0))
            rows = np.array([[*box, 0.9, 0]] if box else np.zeros((0, 6)), np.float32)
            memory = self._allocator.reallocate_output_async("detections", 0, rows.nbytes, 256, stream_handle)
            self._allocator.notify_shape("detections", rows.shape)
            if rows.size:
                device.copy(memory, rows.ctypes.data, rows.nbytes)
            return "execute_async_v3" not in bench.fails

    class Engine:
        num_io_tensors = 2

        def get_tensor_name(self, index: int) -> str:
            return ("images", "detections")[index]

        def get_tensor_mode(self, name: str) -> str:
            return "input" if name == "images" else "output"

        def get_tensor_dtype(self, name: str) -> str:
            return "UINT8" if name == "images" else "FLOAT"

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return (1, 3, *bench.size) if name == "images" else (-1, 6)

        def create_execution_context(self) -> Context:
            return Context()

    class Logger:
        ERROR = 1

        def __init__(self, severity: int) -> None:
            assert severity == Logger.ERROR

    class Runtime:
        def __init__(self, logger: Logger) -> None:
            assert isinstance(logger, Logger)

        def deserialize_cuda_engine(self, raw: bytes) -> Engine | None:
            return Engine() if raw == MODEL else None

    module = ModuleType("tensorrt")
    vars(module).update(
        __version__="10.3.0",
        IOutputAllocator=IOutputAllocator,
        Logger=Logger,
        Runtime=Runtime,
        TensorIOMode=SimpleNamespace(INPUT="input", OUTPUT="output"),
        init_libnvinfer_plugins=lambda logger, namespace: True,
        nptype=lambda kind: {"UINT8": np.uint8, "FLOAT": np.float32}[kind],
    )
    return module
