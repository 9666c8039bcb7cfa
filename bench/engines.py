"""ONNX Runtime and OpenVINO on the same pictures, one thread: which of the two suits this processor.

``ours`` is the time from a picture in memory to its detections on OpenVINO, ``reference`` the same on ONNX Runtime,
picture by picture in turn. Where a release takes any shape, pictures of two shapes come in turn; OpenVINO has by then
compiled a graph for each, as it does on a box after a few frames.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from bench.frame import BenchError, Figure, conditions, summarise
from bench.zoo import each
from edge.vision.choice import FALLBACK, KINDS, choose, is_installed
from edge.vision.engine import Engine, load_engine, read_release

NAMES: Final = ("fire", "person")
KINDS_TIMED: Final = ("openvino", "onnxruntime")
REPEATS: Final = 100
SIZES: Final = ((720, 1280), (1280, 720))
WARM: Final = 12
"""Pictures of each shape before the clock runs: more than OpenVINO waits for before it compiles."""


def run(models: Path | None = None, repeats: int = REPEATS, **_: Any) -> list[Figure]:
    """Measure every detector of the zoo on both; figures ``engines.<detector>.<target>.frame_ms``.

    Raises:
        BenchError: OpenVINO is not installed, or there is no detector.
    """
    if not is_installed(KINDS["openvino"]):
        raise BenchError("OpenVINO is not installed; pip install 'vedette[openvino]'")
    return each(models, NAMES, lambda name, folder: _measure(name, folder, repeats))


def _measure(name: str, folder: Path, repeats: int) -> list[Figure]:
    manifest = read_release(folder)
    figures: list[Figure] = []
    for target in dict.fromkeys((choose(manifest.artefacts, "onnxruntime").target, FALLBACK)):
        if target not in manifest.artefacts:
            continue
        about = conditions(
            ["openvino", "onnxruntime", "opencv-python-headless", "numpy"],
            model=f"{name} {manifest.version}",
            target=target,
            pictures=" ".join(f"{width}x{height}" for height, width in SIZES),
            threads=1,
        )
        with ExitStack() as stack:
            engines = [load_engine(manifest, folder, 1, engine=kind, target=target) for kind in KINDS_TIMED]
            for engine in engines:
                stack.callback(engine.close)
            stack.callback(cv2.setNumThreads, cv2.getNumThreads())
            cv2.setNumThreads(1)
            ours, reference = _times(engines, repeats)
        figures += summarise(f"engines.{name}.{target}.frame_ms", ours, reference, "ms", about)
    return figures


def _times(engines: list[Engine], repeats: int) -> list[list[float]]:
    """Milliseconds a picture, one list an engine; noise, since what is in a picture does not change its cost much."""
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]
    spent: list[list[float]] = [[] for _ in engines]
    for number in range(WARM + repeats):
        for image in images:
            for engine, times in zip(engines, spent, strict=True):
                began = time.perf_counter()
                engine.detect(image)
                if number >= WARM:
                    times.append((time.perf_counter() - began) * 1000)
    return spent
