"""Rockchip's neural processors (RK3588, RK3576, RK356x), by RKNN-Toolkit-Lite2. Untested: no board has run this yet.

Written from the toolkit's API reference and examples, version 2.3: ``load_rknn``, ``init_runtime``, ``inference``,
``release``. What the artefact (target ``rknn``) must be, made by RKNN-Toolkit2 on another machine:

* the part of the ONNX graph from ``pixels`` to ``scores`` ``[1, C, A]`` and ``boxes`` ``[1, A, 4]``, with
  ``mean_values=[[0, 0, 0]]`` and ``std_values=[[255, 255, 255]]``, so that it takes pixels of 0 to 255;
* one shape, the manifest's width and height;
* converted for the very board: a file for RK3588 does not run on RK3566.

The suppression of doubles is done here, see ``suppress``.
"""

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rknnlite.api import RKNNLite

from edge.vision.engine import EngineError, EngineTimeoutError
from edge.vision.runtimes.file import ModelFile, still_busy, too_slow
from edge.vision.runtimes.suppress import read_heads, suppress


class RknnRuntime:
    """An artefact on one of Rockchip's neural processors; the driver chooses the core.

    Raises:
        EngineError: the file is not for this board, or the driver is missing or too old.
    """

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        spec = file.spec
        if spec.dtype != "uint8":
            raise EngineError(f"{file.path}: an RKNN artefact takes uint8, its manifest says {spec.dtype}")
        self._pixels = np.empty((1, spec.height, spec.width, 3), np.uint8)
        self._rknn = RKNNLite()
        try:
            self._must(_load(self._rknn, file.raw), "load_rknn", "is it made for this board?")
            self._must(self._rknn.init_runtime(), "init_runtime", "are the NPU's driver and librknnrt.so there?")
        except EngineError:
            self._rknn.release()
            raise
        # The library offers no time limit. Whether others run meanwhile depends on its letting go of Python's lock.
        self._thread = ThreadPoolExecutor(1, "rknn")
        self._late: Future[Any] | None = None

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """See ``Runtime.run``. A run that takes too long cannot be ended; it is left alone, and until it is through
        every picture is refused."""
        if self._late is not None:
            if not self._late.done():
                raise EngineTimeoutError(still_busy(self._file))
            self._late = None
        np.copyto(self._pixels, tensor.transpose(0, 2, 3, 1))
        run = self._thread.submit(self._rknn.inference, inputs=[self._pixels], data_format=["nhwc"])
        try:
            outputs = run.result(self._file.limit_s)
        except LateError:
            self._late = run
            raise EngineTimeoutError(too_slow(self._file.path, self._file.limit_s)) from None
        except Exception as error:
            raise EngineError(f"{self._file.path}: the run failed: {error}") from error
        if outputs is None:
            raise EngineError(f"{self._file.path}: the run failed; the toolkit's own log says why")
        manifest = self._file.manifest
        heads = read_heads(self._file.path, outputs, len(manifest.labels))
        return suppress(*heads, manifest.output.suppression)

    def close(self) -> None:
        """Give the processor back, unless a run still holds it."""
        self._thread.shutdown(wait=False)
        if self._late is None or self._late.done():
            self._rknn.release()

    def _must(self, code: Any, call: str, hint: str) -> None:
        if code != 0:
            raise EngineError(f"{self._file.path}: RKNNLite.{call} answered {code}; {hint}")


def _load(rknn: Any, raw: bytes) -> Any:
    """``load_rknn`` takes a path and reads it at once; what was hashed must be what it reads."""
    with tempfile.TemporaryDirectory(prefix="vedette-rknn-") as folder:
        path = Path(folder) / "model.rknn"
        path.write_bytes(raw)
        return rknn.load_rknn(str(path))
