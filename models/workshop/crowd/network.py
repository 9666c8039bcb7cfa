"""The network that counts heads: EfficientNet-Lite0 up to a sixteenth of the picture, and a head of two maps.

For each cell of 16x16 pixels it says how likely there is nobody at all and, where there may be somebody, the rate of a
Poisson distribution: a zero-inflated Poisson, whose mean is the density map and whose variance says how sure it is
(Ma, Sanchez and Chan, "ZIP: Scalable Crowd Counting via Zero-Inflated Poisson Modeling", arXiv:2506.19955). An empty
square and a full one then do not have to share one squared error.

The backbone is that of Liu and Tan's EfficientNet-Lite0 (Apache-2.0): inverted residuals (Sandler et al.,
arXiv:1801.04381) with ReLU6 and nothing that INT8 hardware lacks. Its last two stages are left out: they look at a
thirty-second of the picture, where a head of a few pixels is gone.

`torch` is needed: install the `train` extra in an environment of its own.
"""

# mypy: disable-error-code="misc"
# Where torch is not installed its classes are unknown to the type checker.
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

MEAN, SCALE = 127 / 255, 255 / 128
"""A pixel (0 to 1) enters the backbone as `(pixel - MEAN) * SCALE`, as it was published."""
WIDTH = 96
FIRST = -0.8
"""Logit and logarithm of the rate before anything was learned: one head in seven cells."""
STEM = 32


@dataclass(frozen=True)
class Stage:
    """Inverted residuals after each other: their number, output channels, kernel, stride of the first, expansion."""

    blocks: int
    width: int
    size: int
    stride: int
    expansion: int


STAGES = (
    Stage(1, 16, 3, 1, 1),
    Stage(2, 24, 3, 2, 6),
    Stage(2, 40, 5, 2, 6),
    Stage(3, 80, 3, 2, 6),
    Stage(3, 112, 5, 1, 6),
)
EIGHTH = 2
"""The stage whose maps are an eighth of the picture: small heads are still there."""


class Unit(nn.Module):
    """Convolution, batch norm and, unless `bare`, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1, reach: int = 1, bare: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, size, stride, reach * (size // 2), dilation=reach, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.act: nn.Module = nn.Identity() if bare else nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Inverted(nn.Module):
    """An inverted residual: widen, look around, narrow, and add what came in where the shape is the same."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        widen = [Unit(inputs, wide, 1)] if expansion > 1 else []
        self.way = nn.Sequential(*widen, Unit(wide, wide, size, stride, groups=wide), Unit(wide, outputs, 1, bare=True))
        self.around = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.way(x) if self.around else self.way(x)


def separable(width: int, outputs: int, stride: int = 1, reach: int = 1) -> nn.Sequential:
    """A 3x3 depthwise and a 1x1 pointwise unit; `reach` is the dilation."""
    return nn.Sequential(Unit(width, width, 3, stride, groups=width, reach=reach), Unit(width, outputs, 1))


class Counter(nn.Module):
    """The whole network.

    In: `[N, 3, H, W]` float, RGB divided by 255, sides multiples of 16.
    Out: `[N, 2, H / 16, W / 16]`: the logit of there being anybody, and the logarithm of the rate.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, STEM, 3, 2)
        stages, width = [], STEM
        for stage in STAGES:
            blocks = []
            for number in range(stage.blocks):
                blocks.append(
                    Inverted(width, stage.width, stage.size, stage.stride if number == 0 else 1, stage.expansion)
                )
                width = stage.width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.near = separable(STAGES[EIGHTH].width, WIDTH, 2)
        self.far = Unit(width, WIDTH, 1)
        self.join = Unit(2 * WIDTH, WIDTH, 1)
        self.around = nn.ModuleList(separable(WIDTH, WIDTH, reach=reach) for reach in (1, 2, 3))
        self.maps = nn.Conv2d(WIDTH, 2, 1)
        nn.init.constant_(self.maps.bias, FIRST)

    def forward(self, x: Tensor) -> Tensor:
        return self.maps_of((x - MEAN) * SCALE)

    def maps_of(self, x: Tensor) -> Tensor:
        """What `forward` gives, for pixels as the backbone takes them."""
        x = self.stem(x)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number == EIGHTH:
                eighth = x
        x = self.join(torch.cat((self.near(eighth), self.far(x)), 1))
        for look in self.around:
            x = x + look(x)
        return self.maps(x)
