"""Training the counter."""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch

from models.workshop.crowd.feed import Feed
from models.workshop.crowd.loss import counting_loss
from models.workshop.crowd.start import published
from models.workshop.progress import Log
from models.workshop.provenance import digest, file_hash
from models.workshop.training import checkpoint as kept
from models.workshop.training.feed import Share
from models.workshop.training.machine import Machine
from models.workshop.training.plan import Pace
from models.workshop.training.train import run


def train(weights: Path, shares: Sequence[Share], pace: Pace, checkpoint: Path, log: Log, machine: Machine) -> Path:
    """Train a counter that starts from the published `weights`; returns `checkpoint`. Raises what `run` raises.

    The stem and the first stage stay as they are: they see edges and colours, at a cost of a quarter of each step.
    """
    machine.take()
    made = made_by(pace, shares, weights)
    if kept.done(checkpoint, made, pace.steps):
        log(f"{checkpoint}: done before")
        return checkpoint
    torch.manual_seed(pace.seed)
    net = published(weights)
    for layer in (net.stem, net.stages[0]):
        layer.requires_grad_(False)

    def loss(images: torch.Tensor, heads: torch.Tensor, _step: int) -> torch.Tensor:
        return counting_loss(net(images).float(), heads)

    feed = Feed(shares, pace, machine.makers)
    return run(net, feed.batches, pace, checkpoint, loss, log, machine, made, {})


def made_by(pace: Pace, shares: Sequence[Share], weights: Path) -> dict[str, str]:
    """What decides a training: the pace, the weights that it starts from, and pictures with their heads."""
    seen = (
        (n, share.share, p.path.parts[-2:], p.width, p.height, p.heads)
        for n, share in enumerate(shares)
        for p in share.pictures
    )
    planned = {field.name: str(getattr(pace, field.name)) for field in fields(Pace)}
    return {**planned, "weights": file_hash(weights), "pictures": digest(seen)}
