"""Even out channels before quantization, without changing what the network computes.

INT8 gives one scale to a whole tensor. Where one channel reaches to 40 and its neighbour to 0.4, the neighbour keeps
two bits. ReLU lets a positive factor through, so a channel can be made smaller in one convolution and larger in the
next (Nagel et al., "Data-Free Quantization Through Weight Equalization", arXiv:1906.04721; here ranges are measured on
pictures, as in SmoothQuant, arXiv:2211.10438). Into a depthwise convolution this is free, since each of its channels
has a scale of its own; into others, activations and weights share the burden by a square root.
"""

# mypy: disable-error-code="misc, untyped-decorator"
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.workshop.network import Branch, Detector, Pyramid, Residual, Split, Unit

MOST = 16.0  # largest factor; channels that hardly ever speak are left near their size


@dataclass(frozen=True)
class Link:
    """A unit and the convolutions that read its output; `copies` of it lie one after the other in their input, from
    channel `offset` on."""

    maker: Unit
    readers: tuple[nn.Conv2d, ...]
    offset: int = 0
    copies: int = 1


def links(net: Detector) -> Iterator[Link]:
    """Every place where a unit's output goes to known convolutions and nowhere else."""
    yield Link(net.stem, (net.stage2[0][0].conv,))
    yield Link(net.stage2[1].join, (net.stage3[0][0].conv,))
    for stage in (net.stage2, net.stage3, net.stage4):
        yield Link(stage[0][1], (stage[1].through.conv, stage[1].past.conv))
    pyramid = net.stage5[1]
    yield Link(net.stage5[0][1], (pyramid.squeeze.conv,))
    yield Link(pyramid.join, (net.stage5[2].through.conv, net.stage5[2].past.conv))
    yield Link(net.stage5[2].join, (net.lateral5.conv,))
    yield Link(net.merge4.join, (net.lateral4.conv,))
    yield Link(net.out5.join, (net.branches[2].stem.conv,))
    for module in net.modules():
        if isinstance(module, Pyramid):
            yield Link(module.squeeze, (module.join.conv,), copies=4)
        elif isinstance(module, Residual):
            yield Link(module.squeeze, (module.spread[0].conv,))
        elif isinstance(module, Split):
            yield Link(module.past, (module.join.conv,), offset=module.past.conv.out_channels)
        elif isinstance(module, Branch):
            towers = (module.score_tower, module.box_tower)
            yield Link(module.stem, tuple(tower[0][0].conv for tower in towers))
            for tower, last in zip(towers, (module.score, module.box), strict=True):
                yield Link(tower[0][1], (tower[1][0].conv,))
                yield Link(tower[1][1], (last,))
        elif isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[0], Unit):
            # A separable pair: depthwise, then pointwise.
            yield Link(module[0], (module[1].conv,))


@torch.no_grad()
def equalise(net: Detector, pictures: Tensor) -> Detector:
    """Even out a folded network in place; `pictures` `[N, 3, H, W]`, RGB divided by 255, show the ranges.

    The network gives the same results as before, but for rounding.
    """
    for _ in range(2):
        for link, reach in measured(net, pictures):
            factor = factors(link, reach)
            maker = link.maker.conv
            maker.weight.data /= factor[:, None, None, None]
            maker.bias.data /= factor
            for reader in link.readers:
                if reader.groups > 1:
                    reader.weight.data *= factor[:, None, None, None]
                else:
                    repeated = factor.repeat(link.copies)
                    reader.weight.data[:, link.offset : link.offset + len(repeated)] *= repeated[None, :, None, None]
    return net


def measured(net: Detector, pictures: Tensor) -> list[tuple[Link, Tensor]]:
    """The reach (greatest value) of every channel behind each link's unit."""
    found = list(links(net))
    reach: dict[int, Tensor] = {}

    def record(unit: nn.Module, _inputs: object, y: Tensor) -> None:
        flat = y.transpose(0, 1).flatten(1)
        reach[id(unit)] = flat.amax(1).clamp(min=0)

    hooks = [link.maker.register_forward_hook(record) for link in found]
    net(pictures)
    for hook in hooks:
        hook.remove()
    return [(link, reach[id(link.maker)]) for link in found]


def factors(link: Link, reach: Tensor) -> Tensor:
    """By how much each channel of a unit is made smaller."""
    typical = reach[reach > 0].median() if (reach > 0).any() else torch.tensor(1.0)
    relative = (reach / typical).clamp(1 / MOST, MOST)
    if all(reader.groups > 1 for reader in link.readers):
        return relative
    weight = torch.zeros_like(reach)
    for reader in link.readers:
        part = reader.weight.data[:, link.offset : link.offset + len(reach) * link.copies].abs().amax((0, 2, 3))
        weight = torch.maximum(weight, part.view(link.copies, -1).amax(0))
    burden = (weight / weight.median().clamp(min=1e-6)).clamp(1 / MOST, MOST)
    return (relative / burden).sqrt()
