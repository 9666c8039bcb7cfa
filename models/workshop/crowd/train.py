"""Training the counter."""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch

from models.workshop.crowd.feed import Feed
from models.workshop.crowd.loss import counting_loss
from models.workshop.crowd.recipe import Part
from models.workshop.crowd.start import from_state, published
from models.workshop.progress import Log
from models.workshop.provenance import digest, file_hash
from models.workshop.training import checkpoint as kept
from models.workshop.training.feed import Share
from models.workshop.training.machine import Machine
from models.workshop.training.network import fold
from models.workshop.training.train import run


def train(start: Path, shares: Sequence[Share], part: Part, checkpoint: Path, log: Log, machine: Machine) -> Path:
    """Train a counter; returns `checkpoint`. Raises what `run` raises.

    `start` are the published weights (`*.pth`), or the checkpoint of the part before. The stem and the first stage stay
    as they are: they see edges and colours, at a cost of a quarter of each step.
    """
    machine.take()
    made = made_by(part, shares, start)
    if kept.done(checkpoint, made, part.steps):
        log(f"{checkpoint}: done before")
        return checkpoint
    torch.manual_seed(part.seed)
    net = published(start) if start.suffix == ".pth" else from_state(kept.read(start)["average"])
    if part.folded:
        net.eval()
        fold(net)
    for layer in (net.stem, net.stages[0]):
        layer.requires_grad_(False)

    def loss(images: torch.Tensor, heads: torch.Tensor, _step: int) -> torch.Tensor:
        return counting_loss(net(images).float(), heads)

    feed = Feed(shares, part, machine.makers)
    return run(net, feed.batches, part, checkpoint, loss, log, machine, made, {})


def made_by(part: Part, shares: Sequence[Share], start: Path) -> dict[str, str]:
    """What decides a training: the part, the weights that it starts from, and pictures with their heads."""
    seen = (
        (n, share.share, p.path.parts[-2:], p.width, p.height, p.heads)
        for n, share in enumerate(shares)
        for p in share.pictures
    )
    planned = {field.name: str(getattr(part, field.name)) for field in fields(Part) if field.name != "portions"}
    return {**planned, "weights": file_hash(start), "pictures": digest(seen)}
