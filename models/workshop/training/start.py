"""Where training starts: published COCO weights of the same layout, read from their ONNX file.

The file holds plain convolutions (batch norms already folded) with SiLU between them, an objectness branch and 80
classes, for BGR pictures from 0 to 255. `import_weights` lays them into our `Detector`, in the order in which layers
run; `settle_norms` then gives each convolution a batch norm that, at first, changes nothing.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from models.workshop.coco import CLASSES
from models.workshop.training.network import Detector, Unit, units_in_order
from models.workshop.training.plan import LARGE_MAPS

# Which of the four half-size pictures of the published stem holds the pixel (row, column) of each 2x2 cell.
SLICES = {(0, 0): 0, (1, 0): 1, (0, 1): 2, (1, 1): 3}


def published(path: Path) -> Detector:
    """The published network as it is (SiLU, objectness), for RGB divided by 255; logits are of the joint score.

    Raises `ValueError` when the file's layers do not fit the layout.
    """
    net = Detector(CLASSES, relu=(), objectness=True)
    for unit in [m for m in net.modules() if isinstance(m, Unit)]:
        old = unit.conv
        unit.conv = nn.Conv2d(
            old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding, groups=old.groups
        )
        unit.norm = nn.Identity()
    net.eval()
    with torch.no_grad():
        order = units_in_order(net, lambda: net(torch.zeros(1, 3, 64, 64)))
    layers = convolutions(path)
    if len(order) != len(layers):
        raise ValueError(f"{path}: {len(layers)} convolutions, the layout has {len(order)}")
    for module, (weight, bias) in zip(order, layers, strict=True):
        conv = module.conv if isinstance(module, Unit) else module
        if module is net.stem:
            weight = stem_weight(weight)
        if conv.weight.shape != weight.shape:
            raise ValueError(f"{path}: weight {weight.shape} where the layout has {tuple(conv.weight.shape)}")
        conv.weight.data = torch.from_numpy(weight)
        conv.bias.data = torch.from_numpy(bias)
    return net


def convolutions(path: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weight and bias of every convolution of an ONNX file, in graph order."""
    graph = onnx.load(str(path)).graph
    tensors = {t.name: t for t in graph.initializer}

    def read(name: str) -> NDArray[np.float32]:
        return numpy_helper.to_array(tensors[name]).astype(np.float32).copy()

    return [(read(n.input[1]), read(n.input[2])) for n in graph.node if n.op_type == "Conv"]


def stem_weight(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[out, 12, 3, 3]` over four BGR half pictures, 0-255 -> `[out, 3, 6, 6]` over RGB divided by 255."""
    out = np.zeros((weight.shape[0], 3, 6, 6), np.float32)
    for (row, column), index in SLICES.items():
        part = weight[:, 3 * index : 3 * index + 3]
        out[:, :, row::2, column::2] = part[:, ::-1]
    return out * np.float32(255)


def settle_norms(
    teacher: Detector, pictures: Tensor, relu: Sequence[str] = LARGE_MAPS, objectness: bool = False
) -> Detector:
    """A trainable `Detector` with the teacher's weights.

    Each batch norm takes the mean and variance that its convolution shows on `pictures` (`[N, 3, H, W]`, RGB / 255),
    and a scale and shift that undo them: until the first step only the activations of the parts with `relu`, and scores
    where they are without objectness, differ from the teacher's.
    """
    student = Detector(teacher.classes, relu, objectness)
    means: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = []
    for name, unit in [(n, m) for n, m in teacher.named_modules() if isinstance(m, Unit)]:

        def record(_m: nn.Module, _i: object, y: Tensor, name: str = name) -> None:
            means[name] = (y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False))

        hooks.append(unit.conv.register_forward_hook(record))
    with torch.no_grad():
        teacher(pictures)
    for hook in hooks:
        hook.remove()
    theirs = dict(teacher.named_modules())
    for name, module in student.named_modules():
        if isinstance(module, Unit):
            other = theirs[name]
            mean, var = means[name]
            module.conv.weight.data = other.conv.weight.data.clone()
            module.norm.running_mean = mean - other.conv.bias.data
            module.norm.running_var = var.clone()
            module.norm.weight.data = (var + module.norm.eps).sqrt()
            module.norm.bias.data = mean.clone()
        elif isinstance(module, nn.Conv2d) and not name.endswith(".conv"):
            module.load_state_dict(theirs[name].state_dict())
    return student
