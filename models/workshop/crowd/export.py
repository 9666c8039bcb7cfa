"""From a counter's checkpoint to an ONNX file: pixels in, mean and variance of the heads in each cell out."""

# mypy: disable-error-code="misc"
from __future__ import annotations

from pathlib import Path

import onnx
import torch

from models.workshop.conversion.graph import OPSET, PIXELS, feed_bytes, halved
from models.workshop.crowd.loss import moments
from models.workshop.crowd.network import MEAN, SCALE, Counter
from models.workshop.crowd.recipe import OUTPUT, SIZE
from models.workshop.crowd.start import from_state
from models.workshop.training.checkpoint import read
from models.workshop.training.network import fold


class _Core(torch.nn.Module):
    def __init__(self, net: Counter) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack(moments(self.net.maps_of(x)), 1)


def load_net(checkpoint: Path) -> Counter:
    """The averaged weights of a checkpoint, batch norms melted in, ready to run."""
    net = from_state(read(checkpoint)["average"])
    net.eval()
    return fold(net)


def export(checkpoint: Path, path: Path, size: tuple[int, int] = SIZE) -> Path:
    """Write the FP32 ONNX file of a checkpoint, traced at `size` (width, height), for any shape. Returns `path`."""
    width, height = size
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        _Core(load_net(checkpoint)).eval(),
        (torch.zeros(1, 3, height, width),),
        str(path),
        input_names=[PIXELS],
        output_names=[OUTPUT.name],
        opset_version=OPSET,
        dynamic_axes={PIXELS: {2: "height", 3: "width"}, OUTPUT.name: {2: "rows", 3: "columns"}},
        dynamo=False,
    )
    model = onnx.load(str(path))
    feed_bytes(model, scale=SCALE / 255, mean=MEAN * 255)
    model.graph.name = "vedette-counter"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(halved(model), str(path))
    return path
