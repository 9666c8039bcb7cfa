"""What the counter is punished for: how unlikely the heads of each cell are, and what it is off over wider areas."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEAST, MOST = -8.0, 4.0
"""Of the logarithm of a rate. Fifty heads in a cell are more than a picture can show."""
WIDE = 4
"""Cells of a side of an area."""
AREA_WEIGHT, WHOLE_WEIGHT = 0.03, 0.003
"""So that neither weighs more in a cell than its own likelihood does."""


def rates(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Probability that there may be anybody and rate, of `[N, 2, h, w]`: each `[N, h, w]`."""
    return maps[:, 0].sigmoid(), maps[:, 1].clamp(LEAST, MOST).exp()


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the number of heads in each cell, of `[N, 2, h, w]`: each `[N, h, w]`."""
    share, rate = rates(maps)
    mean = share * rate
    return mean, mean * (1 + rate - mean)


def unlikelihood(maps: Tensor, heads: Tensor) -> Tensor:
    """Negative logarithm of the zero-inflated Poisson probability of `heads [N, h, w]`, cell by cell."""
    logit, log_rate = maps[:, 0], maps[:, 1].clamp(LEAST, MOST)
    rate = log_rate.exp()
    some = functional.logsigmoid(logit)
    none = torch.logaddexp(functional.logsigmoid(-logit), some - rate)
    counted = some + heads * log_rate - rate - torch.lgamma(heads + 1)
    return -torch.where(heads > 0, counted, none)


def counting_loss(maps: Tensor, heads: Tensor) -> Tensor:
    """The loss of `maps [N, 2, h, w]` for the number of heads in each cell, `[N, h, w]`.

    Where a head lies on the border of two cells the area knows better. Differences over areas and over the whole are
    squared, as shares of the variance that Poisson's law gives a count: an absolute difference is least at the median,
    and the median of a few heads lies below their mean (measured: streets were counted a sixth too low).
    """
    heads = heads.float()
    mean, _ = moments(maps)
    off, there = (mean - heads)[:, None], mean.detach()[:, None]
    area = _sum(off, WIDE).square() / (_sum(there, WIDE) + 1)
    whole = off.sum((1, 2, 3)).square() / (there.sum((1, 2, 3)) + 1)
    return unlikelihood(maps, heads).mean() + AREA_WEIGHT * area.mean() + WHOLE_WEIGHT * whole.mean()


def _sum(x: Tensor, side: int) -> Tensor:
    return functional.avg_pool2d(x, side, divisor_override=1)
