"""Hailo's neural processors (Hailo-8, 8L, 10H), by HailoRT's Python package. Untested: no board has run this yet.

Written from the package's own documentation, HailoRT 4.18 to 5.2: ``VDevice``, ``create_infer_model``, ``configure``,
``create_bindings``, ``run_async``. What the artefact (target ``hailo``, a HEF) must be, made by the Dataflow Compiler
on another machine:

* the part of the ONNX graph from ``pixels`` to ``scores`` ``[1, C, A]`` and ``boxes`` ``[1, A, 4]``, with a
  normalization of mean 0 and deviation 255 in front, so that it takes pixels of 0 to 255 (NHWC);
* one shape, the manifest's width and height; no post-processing of Hailo's own;
* compiled for the very processor.

The suppression of doubles is done here, see ``suppress``.
"""

from contextlib import ExitStack
from typing import Any

import numpy as np
import structlog
from hailo_platform import FormatType, HailoSchedulingAlgorithm, VDevice
from hailo_platform.pyhailort.pyhailort import HailoRTException, HailoRTTimeout
from numpy.typing import NDArray

from edge.vision.engine import EngineError, EngineTimeoutError
from edge.vision.runtimes.file import ModelFile, still_busy, too_slow
from edge.vision.runtimes.suppress import read_heads, suppress

log = structlog.get_logger()


class HailoRuntime:
    """An artefact on a Hailo processor. Several models share one in turn (round robin within a process).

    Raises:
        EngineError: no processor, a file for another one, or another input or output than the manifest's.
    """

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._stack = ExitStack()
        self._late: Any = None
        try:
            self._open(file)
        except HailoRTException as error:
            self._stack.close()
            raise EngineError(f"{file.path} cannot be loaded by HailoRT: {error}") from error
        except EngineError:
            self._stack.close()
            raise

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """See ``Runtime.run``. A run that takes too long is left alone, since it still writes to its memory; until it
        is through every picture is refused."""
        self._await_late()
        np.copyto(self._pixels, tensor[0].transpose(1, 2, 0))
        try:
            self._late = self._model.run_async([self._bindings])
            self._late.wait(round(self._file.limit_s * 1000))
        except HailoRTTimeout as error:
            raise EngineTimeoutError(too_slow(self._file.path, self._file.limit_s)) from error
        except HailoRTException as error:
            self._late = None
            raise EngineError(f"{self._file.path}: the run failed: {error}") from error
        self._late = None
        manifest = self._file.manifest
        heads = read_heads(self._file.path, self._outputs, len(manifest.labels))
        return suppress(*heads, manifest.output.suppression)

    def close(self) -> None:
        """Give the processor back."""
        self._stack.close()

    def _await_late(self) -> None:
        if self._late is None:
            return
        try:
            self._late.wait(0)
        except HailoRTTimeout as error:
            raise EngineTimeoutError(still_busy(self._file)) from error
        except HailoRTException as error:
            log.warning("late run failed", model=self._file.manifest.name, reason=str(error))
        self._late = None

    def _open(self, file: ModelFile) -> None:
        spec = file.spec
        if spec.dtype != "uint8":
            raise EngineError(f"{file.path}: a Hailo artefact takes uint8, its manifest says {spec.dtype}")
        params = VDevice.create_params()
        params.scheduling_algorithm = HailoSchedulingAlgorithm.ROUND_ROBIN
        device = self._stack.enter_context(VDevice(params))
        model = device.create_infer_model(file.raw)
        needed = [spec.height, spec.width, 3]
        if len(model.inputs) != 1 or list(model.input().shape) != needed:
            given = [list(stream.shape) for stream in model.inputs]
            raise EngineError(f"{file.path} has inputs {given}; needed is {needed} alone")
        if len(model.outputs) != 2:
            found = [f"{stream.name} {list(stream.shape)}" for stream in model.outputs]
            raise EngineError(f"{file.path} has outputs {found}; needed are scores and boxes, before any suppression")
        model.set_batch_size(1)
        model.input().set_format_type(FormatType.UINT8)
        for name in model.output_names:
            model.output(name).set_format_type(FormatType.FLOAT32)
        self._pixels = np.empty(needed, np.uint8)
        buffers = {name: np.empty(model.output(name).shape, np.float32) for name in model.output_names}
        self._outputs = list(buffers.values())
        self._model = self._stack.enter_context(model.configure())
        self._bindings = self._model.create_bindings(output_buffers=buffers)
        self._bindings.input().set_buffer(self._pixels)
