"""The detector's network: a YOLOX-nano layout, for the most part with SiLU, and one score a class.

The layout (CSPDarknet, PAFPN, decoupled head, depthwise separable convolutions) follows Ge et al., "YOLOX: Exceeding
YOLO Series in 2021" (arXiv:2107.08430), so that training can start from weights of that family (Apache-2.0). Four
things differ, each because of what runs on a box:

* ReLU instead of SiLU where maps are large (`plan.LARGE_MAPS`): there it is part of an INT8 convolution, while SiLU is
  a pass over the map for its sigmoid and one for the product. Where maps are small SiLU stays, as it was published, and
  where a plan says so it stays everywhere.
* the stem is one 6x6 convolution of stride 2, the same sum as the published slice-and-concatenate.
* no objectness branch, unless a plan wants it. A picture whose smoke nobody labelled can teach "fire here" and say
  nothing about smoke; with a shared objectness it would teach "nothing here" wherever there is smoke.
* every convolution carries its batch norm, which `fold` melts away before export.

`torch` is needed: install the `train` extra in an environment of its own.
"""

# mypy: disable-error-code="misc"
# Where torch is not installed its classes are unknown to the type checker.
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.workshop.training.plan import LARGE_MAPS

Net = TypeVar("Net", bound=nn.Module)
STRIDES = (8, 16, 32)
WIDTHS = (16, 32, 64, 128, 256)
HEAD_WIDTH = 64
FARTHEST = 40.0
"""Logits beyond which a probability is 0 or 1 in 32 bits; the exponentials of two still fit."""


class Unit(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        # The stem (size 6) needs two pixels on each side, odd sizes their half.
        self.conv = nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act: nn.Module = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 depthwise and a 1x1 pointwise unit."""
    return nn.Sequential(Unit(inputs, inputs, 3, stride, groups=inputs), Unit(inputs, outputs, 1))


class Residual(nn.Module):
    """A 1x1 and a separable 3x3 unit, with or without the way around them."""

    def __init__(self, width: int, around: bool) -> None:
        super().__init__()
        self.squeeze = Unit(width, width, 1)
        self.spread = separable(width, width)
        self.around = around

    def forward(self, x: Tensor) -> Tensor:
        y = self.spread(self.squeeze(x))
        return x + y if self.around else y


class Split(nn.Module):
    """A cross-stage partial block: half the channels go through `depth` residuals, half go past them."""

    def __init__(self, inputs: int, outputs: int, depth: int, around: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.through = Unit(inputs, half, 1)
        self.past = Unit(inputs, half, 1)
        self.steps = nn.Sequential(*(Residual(half, around) for _ in range(depth)))
        self.join = Unit(2 * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        # `through` and `past` run before the residuals: weights are imported in the order in which layers run.
        through, past = self.through(x), self.past(x)
        return self.join(torch.cat((self.steps(through), past), 1))


class Pyramid(nn.Module):
    """Spatial pyramid pooling: what lies around, at three reaches (5, 9, 13 cells)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = Unit(width, width // 2, 1)
        self.pools = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (5, 9, 13))
        self.join = Unit(width * 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return self.join(torch.cat((x, *(pool(x) for pool in self.pools)), 1))


class Branch(nn.Module):
    """One level of the head: class scores and boxes for one grid. With `objectness` a score is the joint one."""

    def __init__(self, inputs: int, classes: int, objectness: bool = False) -> None:
        super().__init__()
        self.stem = Unit(inputs, HEAD_WIDTH, 1)
        self.score_tower = nn.Sequential(separable(HEAD_WIDTH, HEAD_WIDTH), separable(HEAD_WIDTH, HEAD_WIDTH))
        self.score = nn.Conv2d(HEAD_WIDTH, classes, 1)
        self.box_tower = nn.Sequential(separable(HEAD_WIDTH, HEAD_WIDTH), separable(HEAD_WIDTH, HEAD_WIDTH))
        self.box = nn.Conv2d(HEAD_WIDTH, 4, 1)
        self.objectness = nn.Conv2d(HEAD_WIDTH, 1, 1) if objectness else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        score = self.score(self.score_tower(x))
        tower = self.box_tower(x)
        box = self.box(tower)
        return (score if self.objectness is None else joint(score, self.objectness(tower))), box


def joint(score: Tensor, objectness: Tensor) -> Tensor:
    """The logit of the product of two probabilities that are given as logits, precise from -40 to 40.

    Written in exponentials: OpenVINO gets the operator for a logarithm of their sum wrong.
    """
    a, b = score.float().clamp(-FARTHEST, FARTHEST), objectness.float().clamp(-FARTHEST, FARTHEST)
    return -torch.log(torch.exp(-a) + torch.exp(-b) + torch.exp(-a - b))


class Detector(nn.Module):
    """The whole network.

    In: `[N, 3, H, W]` float, RGB divided by 255, sides multiples of 32.
    Out of `forward`: logits `[N, A, classes]` and boxes `[N, A, 4]` (x1, y1, x2, y2 in input pixels), where A counts
    the cells of the three grids (2100 at 320x320), finest grid first. `relu` names the parts that have ReLU.
    """

    def __init__(self, classes: int, relu: Sequence[str] = LARGE_MAPS, objectness: bool = False) -> None:
        super().__init__()
        a, b, c, d, e = WIDTHS
        self.classes = classes
        self.stem = Unit(3, a, 6, 2)
        self.stage2 = nn.Sequential(separable(a, b, 2), Split(b, b, 1))
        self.stage3 = nn.Sequential(separable(b, c, 2), Split(c, c, 3))
        self.stage4 = nn.Sequential(separable(c, d, 2), Split(d, d, 3))
        self.stage5 = nn.Sequential(separable(d, e, 2), Pyramid(e), Split(e, e, 1, around=False))
        self.lateral5 = Unit(e, d, 1)
        self.merge4 = Split(2 * d, d, 1, around=False)
        self.lateral4 = Unit(d, c, 1)
        self.merge3 = Split(2 * c, c, 1, around=False)
        self.down3 = separable(c, c, 2)
        self.out4 = Split(2 * c, d, 1, around=False)
        self.down4 = separable(d, d, 2)
        self.out5 = Split(2 * d, e, 1, around=False)
        self.branches = nn.ModuleList(Branch(width, classes, objectness) for width in (c, d, e))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        for name, unit in self.named_modules():
            if isinstance(unit, Unit) and not name.startswith(tuple(relu)):
                unit.act = nn.SiLU(inplace=True)

    def grids(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Raw outputs per level: logits `[N, classes, h, w]`, box offsets `[N, 4, h, w]` in units of the stride."""
        x3 = self.stage3(self.stage2(self.stem(x)))
        x4 = self.stage4(x3)
        x5 = self.stage5(x4)
        top5 = self.lateral5(x5)
        f4 = self.merge4(torch.cat((self.up(top5), x4), 1))
        top4 = self.lateral4(f4)
        p3 = self.merge3(torch.cat((self.up(top4), x3), 1))
        p4 = self.out4(torch.cat((self.down3(p3), top4), 1))
        p5 = self.out5(torch.cat((self.down4(p4), top5), 1))
        return [branch(p) for branch, p in zip(self.branches, (p3, p4, p5), strict=True)]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return decode(self.grids(x))


def decode(grids: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Head outputs to logits `[N, A, classes]` and boxes `[N, A, 4]` (x1, y1, x2, y2, input pixels)."""
    logits, boxes = [], []
    for (score, offset), stride in zip(grids, STRIDES, strict=True):
        rows, columns = score.shape[2:]
        cells = centres(rows, columns, score.device)
        offset = offset.float().flatten(2).transpose(1, 2)
        middle = (offset[..., :2] + cells) * stride
        half = offset[..., 2:].clamp(max=6.0).exp() * (stride / 2)
        logits.append(score.float().flatten(2).transpose(1, 2))
        boxes.append(torch.cat((middle - half, middle + half), -1))
    return torch.cat(logits, 1), torch.cat(boxes, 1)


def centres(rows: int, columns: int, device: torch.device | None = None) -> Tensor:
    """Column and row number of every cell, row by row: `[rows * columns, 2]`."""
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return torch.stack((x, y), -1).reshape(-1, 2).float()


def units_in_order(net: nn.Module, run: Callable[[], object]) -> list[nn.Module]:
    """The `Unit` and plain convolution modules in the order in which `run` calls them."""
    order: list[nn.Module] = []
    inside = {id(m.conv) for m in net.modules() if isinstance(m, Unit)}
    hooks = [
        module.register_forward_pre_hook(lambda m, _inputs: order.append(m))
        for module in net.modules()
        if isinstance(module, Unit) or (isinstance(module, nn.Conv2d) and id(module) not in inside)
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return order


def from_state(state: dict[str, Tensor], classes: int, relu: Sequence[str] = LARGE_MAPS) -> Detector:
    """The network of a state, with batch norms or, where the state was folded, without."""
    net = Detector(classes, relu, any(".objectness." in name for name in state))
    if is_folded(state):
        net = fold(net.eval())
    net.load_state_dict(state)
    return net


def is_folded(state: dict[str, Tensor]) -> bool:
    """Whether a state is of a network without batch norms."""
    return "stem.conv.bias" in state


def fold(net: Net) -> Net:
    """Melt every batch norm into its convolution, in place; the network must be in evaluation mode."""
    for unit in [m for m in net.modules() if isinstance(getattr(m, "norm", None), nn.BatchNorm2d)]:
        unit.conv = nn.utils.fusion.fuse_conv_bn_eval(unit.conv, unit.norm)
        unit.norm = nn.Identity()
    return net
