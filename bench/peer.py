"""Ultralytics, for comparison: its predictor on a twin of our model, and its YOLO11n.

It is licensed under AGPL-3.0 and has an environment of its own. It is imported here alone, when this benchmark is run;
nothing else in Vedette needs it.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.agreement import Seen
from bench.frame import BenchError
from bench.pictures import Picture

PACKAGES: Final = ("ultralytics", "torch", "torchvision", "onnxslim")


def load() -> Any:
    """The package ``ultralytics``, told to stay silent, offline and to install nothing.

    Raises:
        BenchError: it or what it needs is not installed here.
    """
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="vedette-bench-ultralytics-"))
    try:
        import onnx  # noqa: F401
        import torch
        import torchvision  # noqa: F401 - its suppression of doubles is faster than the one ultralytics falls back to
        import ultralytics
    except ImportError as error:
        raise BenchError(
            f"{error.name or error} is not installed here, and the comparison needs it. Make the workshop's "
            "environment (`make workshop`) and measure in it: `.venv-train/bin/vedette bench detect`"
        ) from error
    torch.set_num_threads(1)
    return ultralytics


class Peer:
    """Ultralytics' own predictor on an ONNX file, set up once and kept, as its users are told to.

    Args:
        file: in the form of its exporter, for one size of input.
        conf: least score of a box.
        iou: above which two boxes of one label are one thing.
        most: boxes a picture.
    """

    def __init__(self, file: Path, conf: float, iou: float, most: int) -> None:
        model = load().YOLO(str(file), task="detect")
        blank = np.full((64, 64, 3), 114, np.uint8)
        model.predict(blank, conf=conf, iou=iou, max_det=most, device="cpu", verbose=False, save=False)
        self._predictor: Callable[[Picture], list[Any]] = model.predictor

    def look(self, picture: Picture) -> Any:
        """Its ``Results`` for a picture in memory."""
        return self._predictor(picture)[0]


def read(results: Any) -> list[Seen]:
    """What ``Peer.look`` found."""
    rows: list[list[float]] = results.boxes.data.tolist()
    return [Seen(results.names[int(row[5])], row[4], (row[0], row[1], row[2], row[3])) for row in rows]


def export_yolo11n(folder: Path, width: int, height: int) -> Path:
    """YOLO11n for inputs of ``width`` x ``height`` as ultralytics' own exporter writes it, FP32, with SiLU; returns
    the file.

    Its weights are random: what a dense network costs does not hang on them, as long as its activations are ordinary
    numbers. So the batch norms are first set by a few random pictures; with those of an untrained network the signal
    fades from layer to layer, down to where a processor is slow.
    """
    ultralytics = load()
    import torch

    torch.manual_seed(1)
    model = ultralytics.YOLO("yolo11n.yaml")
    for module in model.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over the pictures
    with torch.no_grad():
        model.model.train()
        for _ in range(2):
            model.model(torch.rand(2, 3, height, width))
        model.model.eval()
    model.model.pt_path = str(folder / f"yolo11n-{width}x{height}.pt")
    return Path(model.export(format="onnx", imgsz=[height, width], simplify=True, device="cpu", verbose=False))
