"""ONNX Runtime as the workshop uses it: the processor, quiet, as many threads as asked for."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort


def open_session(model: Path | bytes, threads: int = 1) -> ort.InferenceSession:
    """A session of an ONNX file or its bytes. Raises `FileNotFoundError` naming a file that does not exist."""
    if isinstance(model, Path) and not model.is_file():
        raise FileNotFoundError(f"{model} does not exist")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    given = str(model) if isinstance(model, Path) else model
    return ort.InferenceSession(given, options, providers=["CPUExecutionProvider"])
