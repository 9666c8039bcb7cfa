"""From a checkpoint to an ONNX file that needs nothing else: pixels in, detections out.

`models.workshop.conversion.graph` says what those are.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from pathlib import Path

import onnx
import torch

from models.workshop.conversion.graph import HEAD_BOXES, HEAD_SCORES, OPSET, PIXELS, halved, surround
from models.workshop.training.checkpoint import read
from models.workshop.training.network import Detector, decode, fold, from_state
from models.workshop.training.plan import LARGE_MAPS


class _Core(torch.nn.Module):
    """The network as it is exported: RGB divided by 255 in, scores `[1, C, A]` and boxes `[1, A, 4]` out."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, boxes = decode(self.net.grids(x))
        return logits.sigmoid().transpose(1, 2), boxes


def load_net(checkpoint: Path, classes: int) -> Detector:
    """The averaged weights of a checkpoint, batch norms melted in, ready to run."""
    saved = read(checkpoint)
    net = from_state(saved["average"], classes, saved.get("relu", LARGE_MAPS))
    net.eval()
    return fold(net)


def export(checkpoint: Path, labels: tuple[str, ...], size: tuple[int, int], path: Path) -> Path:
    """Write the FP32 ONNX file of a checkpoint, traced at `size` (width, height), for any shape. Returns `path`."""
    width, height = size
    core = _Core(load_net(checkpoint, len(labels))).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        core,
        (torch.zeros(1, 3, height, width),),
        str(path),
        input_names=[PIXELS],
        output_names=[HEAD_SCORES, HEAD_BOXES],
        opset_version=OPSET,
        dynamic_axes={PIXELS: {2: "height", 3: "width"}, HEAD_SCORES: {2: "cells"}, HEAD_BOXES: {1: "cells"}},
        dynamo=False,
    )
    model = onnx.load(str(path))
    surround(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(halved(model), str(path))
    return path
