"""Training, on a plain CPU, in steps that can be broken off and taken up again.

Two steps make a detector. `teach` turns published COCO weights into a ReLU network of our layout: no labels, the
published network is the teacher on every picture, for all of its classes or for those that a detector is to have.
`train` then teaches the classes that we want. Both write a checkpoint every `SAVE_EVERY` steps and go on from it when
called again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from models.workshop.feed import Feed, Share
from models.workshop.loss import Batch, detection_loss, taught_loss
from models.workshop.network import STRIDES, Detector, centres, fold, is_folded
from models.workshop.start import COCO_CLASSES, published, settle_norms

SAVE_EVERY = 100
COCO = {"person": (0,), "vehicle": (2, 3, 5, 7)}
"""COCO's numbers of what a label stands for, the commonest first (car, motorcycle, bus, truck)."""
PRIOR = 0.01  # score of a class that has learned nothing yet

Log = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How to train: labels, input sizes (width, height in pixels), length and pace."""

    labels: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...] = ((320, 320),)
    steps: int = 2000
    schedule: int = 0
    """Steps over which the rate falls; 0 = `steps`."""
    batch: int = 32
    rate: float = 1e-3
    decay: float = 0.02
    warm_up: int = 100
    mosaics: float = 0.5
    folded: bool = False
    """Train without batch norms, melted into the convolutions: a third faster, for the last and gentle part."""
    plain_tail: float = 0.15
    """The last share of the steps runs without mosaics, on pictures as cameras give them."""
    evenings: float = 0.0
    """Share of the pictures without a truth that are shown in the colours of low sun."""
    seed: int = 1


def pace(step: int, plan: Plan) -> float:
    """Learning rate of a step: a short ramp, then half a cosine down to 2 %."""
    if step < plan.warm_up:
        return plan.rate * (step + 1) / plan.warm_up
    share = (step - plan.warm_up) / max(1, (plan.schedule or plan.steps) - plan.warm_up)
    return plan.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


@cache
def cell_centres(width: int, height: int) -> torch.Tensor:
    """Centre of every cell of the three grids of an input, in its pixels: `[A, 2]`."""
    return torch.cat([(centres(height // s, width // s) + 0.5) * s for s in STRIDES])


class Average:
    """An exponential moving average of the weights: what is saved and shipped."""

    def __init__(self, net: nn.Module) -> None:
        self.state = {k: v.detach().clone() for k, v in net.state_dict().items()}
        self.updates = 0

    def update(self, net: nn.Module) -> None:
        """Take in the present weights; early averages are short."""
        self.updates += 1
        keep = 0.9985 * (1 - math.exp(-self.updates / 150))
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value.detach(), 1 - keep)
            else:
                self.state[name].copy_(value)


def optimiser(net: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """AdamW; norms and biases do not decay."""
    heavy = [p for p in net.parameters() if p.ndim > 1]
    light = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": heavy, "weight_decay": plan.decay}, {"params": light, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.rate)


def teach(
    weights: Path, shares: Sequence[Share], plan: Plan, checkpoint: Path, log: Log, base: Path | None = None
) -> Path:
    """Turn the published network into a ReLU one by distillation.

    `weights` is the ONNX file of the published network. Without `plan.labels` all of its classes are taught; with them
    those only, which must be in `COCO`, beginning from the checkpoint `base` of an earlier `teach`. Returns
    `checkpoint`.
    """
    teacher = published(weights).to(memory_format=torch.channels_last)
    feed = Feed(shares, (), plan.sizes, plan.batch, plan.seed, plan.mosaics)
    if base is None:
        first = torch.cat([feed.make()[0] for _ in range(4)]).float() / 255
        net = settle_norms(teacher, first)
    else:
        net = Detector(len(plan.labels))
        adopt(net, torch.load(base, weights_only=True)["average"], plan.labels)

    def loss(images: torch.Tensor, _truths: Batch, step: int) -> torch.Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            logits, boxes = teacher(images)
        if plan.labels:
            logits = torch.stack([logits[..., list(COCO[label])].amax(-1) for label in plan.labels], -1)
        with torch.autocast("cpu", torch.bfloat16):
            ours = net(images)
        return taught_loss(ours[0], ours[1], logits, boxes)

    return run(net, feed, plan, checkpoint, loss, log)


def train(base: Path | None, shares: Sequence[Share], plan: Plan, checkpoint: Path, log: Log) -> Path:
    """Train a detector for `plan.labels`, from the checkpoint `base` that `teach` wrote (None: from nothing)."""
    net = Detector(len(plan.labels))
    if base is not None:
        state = torch.load(base, weights_only=True)["average"]
        if is_folded(state):
            net = fold(net.eval())
        adopt(net, state, plan.labels)
    if plan.folded:
        net = fold(net.eval())
    feed = Feed(shares, plan.labels, plan.sizes, plan.batch, plan.seed, plan.mosaics, plan.evenings)

    def loss(images: torch.Tensor, truths: Batch, step: int) -> torch.Tensor:
        if step >= plan.steps * (1 - plan.plain_tail):
            feed.mosaics = 0.1
        with torch.autocast("cpu", torch.bfloat16):
            logits, boxes = net(images)
        return detection_loss(logits, boxes, cell_centres(images.shape[3], images.shape[2]), truths)[0]

    return run(net, feed, plan, checkpoint, loss, log)


def adopt(net: Detector, state: dict[str, torch.Tensor], labels: Sequence[str]) -> None:
    """Take over everything but the class scores; of COCO's only those that the detector has."""
    own = net.state_dict()
    for name, value in state.items():
        if ".score." not in name:
            own[name] = value
        else:
            if name.endswith("bias"):
                own[name] = torch.full_like(own[name], math.log(PRIOR / (1 - PRIOR)))
            if value.shape[0] == COCO_CLASSES:
                for number, label in enumerate(labels):
                    if label in COCO:
                        own[name][number] = value[COCO[label][0]]
            elif value.shape == own[name].shape:
                own[name] = value
    net.load_state_dict(own)


def run(
    net: Detector,
    feed: Feed,
    plan: Plan,
    checkpoint: Path,
    loss: Callable[[torch.Tensor, Batch, int], torch.Tensor],
    log: Log,
) -> Path:
    """The loop: from the checkpoint if there is one, to `plan.steps`."""
    net = net.to(memory_format=torch.channels_last).train()
    average, optimizer = Average(net), optimiser(net, plan)
    step = 0
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        average.state, average.updates, step = saved["average"], saved["updates"], saved["step"]
        feed.rng.bit_generator.advance(step)  # type: ignore[attr-defined]
        log(f"goes on from step {step} of {checkpoint}")
    began, seen, mean = time.monotonic(), 0, 0.0
    batches = feed.batches()
    while step < plan.steps:
        images, truths = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = pace(step, plan)
        x = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        value = loss(x, truths, step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        average.update(net)
        step, seen = step + 1, seen + len(images)
        mean += (float(value.detach()) - mean) / min(seen // len(images), 50)
        if step % 25 == 0:
            log(f"step {step}/{plan.steps} loss {mean:.3f} {seen / (time.monotonic() - began):.1f} pictures/s")
        if step % SAVE_EVERY == 0 or step == plan.steps:
            save(checkpoint, net, optimizer, average, step)
    batches.close()
    return checkpoint


def save(checkpoint: Path, net: nn.Module, optimizer: torch.optim.Optimizer, average: Average, step: int) -> None:
    """Write the checkpoint whole or not at all."""
    part = checkpoint.with_suffix(".part")
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.state,
        "updates": average.updates,
        "step": step,
    }
    torch.save(state, part)
    part.replace(checkpoint)
