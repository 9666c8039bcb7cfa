"""What one frame costs beyond the bare inference: the gate, the letterbox, the boxes, the tracker and the analyzers.

``ours`` is the time from a frame in memory to what there is to say about it; ``reference`` is ONNX Runtime's own run
of the same model on one thread with its input in place, frame by frame in turn with ours.
"""

import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from bench.frame import BenchError, Figure, conditions, summarise
from bench.zoo import each
from edge.config import Camera
from edge.vision.detectors import Detectors
from edge.vision.engine import choose_target, load_engine, read_release
from edge.vision.engines import Engines
from edge.vision.watch import CameraWatch

NAMES: Final = ("fire", "person")
REPEATS: Final = 200
_CLIP: Final = "traffic_camera.mp4"
_SIZE: Final = (720, 1280, 3)


def run(models: Path | None = None, repeats: int = REPEATS, **_: Any) -> list[Figure]:
    """Measure every detector of the zoo; figures ``vision.<detector>.frame_ms``.

    Raises:
        BenchError: none is there.
    """
    return each(models, NAMES, lambda name, folder: _measure(name, folder, repeats))


def _measure(name: str, folder: Path, repeats: int) -> list[Figure]:
    manifest = read_release(folder)
    engine = load_engine(manifest, folder, threads=1)
    engines = Engines()
    engines.swap(name, engine, manifest.version)
    engines.settle()
    engine.warm_up()
    numbers = count(1)
    camera = Camera.model_validate({"url": "usb:0", "detectors": [name]})
    watch = CameraWatch("bench", camera, [], lambda: f"{next(numbers):032x}", 0.0)
    looks = Detectors(engines)
    bare = _bare(folder / manifest.artefacts[choose_target(manifest.artefacts)].file)
    tensor = np.zeros((1, 3, manifest.input.height, manifest.input.width), np.dtype(manifest.input.dtype))
    ours: list[float] = []
    reference: list[float] = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for number, image in zip(range(repeats), _frames(), strict=False):
            now = number * 1.1
            captured = 1_800_000_000_000_000 + int(now * 1e6)
            started = time.perf_counter()
            watch.gate(image, captured, now)
            results, faults = looks.look(image, [name])
            watch.conclude(results, captured, captured, now)
            ours.append((time.perf_counter() - started) * 1000)
            if faults:
                raise BenchError(faults[name])
            started = time.perf_counter()
            bare.run(None, {manifest.input.name: tensor})
            reference.append((time.perf_counter() - started) * 1000)
    finally:
        cv2.setNumThreads(threads)
        engines.close()
    about = conditions(
        ["onnxruntime", "opencv-python-headless", "numpy"],
        model=f"{name} {manifest.version}",
        input=f"{manifest.input.width}x{manifest.input.height}",
        picture=f"{_SIZE[1]}x{_SIZE[0]}",
        threads=1,
    )
    return summarise(f"vision.{name}.frame_ms", ours, reference, "ms", about)


def _bare(file: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])


def _frames() -> Iterator[NDArray[np.uint8]]:
    """Frames of a real motorway, round and round; noise where the clip is absent."""
    data = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    path = data / "clips" / _CLIP
    random = np.random.default_rng(1)
    while True:
        video = cv2.VideoCapture(str(path)) if path.exists() else None
        good, image = video.read() if video is not None else (False, None)
        while good:
            assert video is not None
            yield np.asarray(image, np.uint8)
            good, image = video.read()
        if video is not None:
            video.release()
        else:
            yield random.integers(0, 256, _SIZE, np.uint8)
