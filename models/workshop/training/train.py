"""Training, on a plain CPU or a GPU, in steps that can be broken off and taken up again.

A network starts from published COCO weights or from another one of ours. In a share of its steps the published network
teaches, on every picture and without labels, all of its classes or those that the network is to have: so ReLU
replaces SiLU on large maps, and so what labels do not show is not forgotten. In the other steps labels teach. A
checkpoint is written every `SAVE_EVERY` steps: with one thread a training that was broken off ends with the same bits
as one that was not. Several threads, and a GPU, add in another order each time; there the two only agree closely.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from models.workshop.coco import CLASSES, COCO
from models.workshop.progress import Log, bar
from models.workshop.provenance import digest, file_hash
from models.workshop.training import checkpoint as kept
from models.workshop.training.feed import Feed, Share
from models.workshop.training.loss import Batch, detection_loss, taught_loss
from models.workshop.training.machine import Machine
from models.workshop.training.network import STRIDES, Detector, centres, fold, is_folded
from models.workshop.training.plan import Pace, Plan
from models.workshop.training.start import published, settle_norms

Truths = TypeVar("Truths", Batch, torch.Tensor)
SAVE_EVERY = 100
PRIOR = 0.01  # score of a class that has learned nothing yet


def pace(step: int, plan: Pace) -> float:
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


def optimiser(net: nn.Module, plan: Pace) -> torch.optim.Optimizer:
    """AdamW; norms and biases do not decay."""
    learned = [p for p in net.parameters() if p.requires_grad]
    heavy = [p for p in learned if p.ndim > 1]
    light = [p for p in learned if p.ndim <= 1]
    groups = [{"params": heavy, "weight_decay": plan.decay}, {"params": light, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.rate)


def train(
    base: Path | None,
    shares: Sequence[Share],
    labels: tuple[str, ...],
    plan: Plan,
    checkpoint: Path,
    log: Log,
    machine: Machine = Machine(),  # noqa: B008 - frozen
    weights: Path | None = None,
) -> Path:
    """Train a network for `labels`, from the checkpoint `base` of another one.

    `weights` is the ONNX file of the published network: it teaches where the plan says so, and without `base` the
    training starts from it (without both, from nothing). Without labels the network has COCO's classes. Returns
    `checkpoint`. Raises what `run` raises, `ValueError` for a plan that wants a teacher where there is none.
    """
    if plan.taught and weights is None:
        raise ValueError(f"{checkpoint}: the plan wants the published network as a teacher, and no weights were given")
    machine.take()
    weights = weights if plan.taught or base is None else None
    made = made_by(labels, plan, shares, weights=weights, base=base)
    if kept.done(checkpoint, made, plan.steps):
        log(f"{checkpoint}: done before")
        return checkpoint
    torch.manual_seed(plan.seed)
    plain_from = math.ceil(plan.steps * (1 - plan.plain_tail))
    feed = Feed(
        shares,
        labels,
        plan.sizes,
        plan.batch,
        plan.seed,
        plan.mosaics,
        plan.evenings,
        plain_from,
        machine.makers,
        plan.scales,
    )
    teacher = published(weights) if weights is not None else None
    net = begin(teacher, base, labels, feed, plan)
    if teacher is not None:
        teacher = teacher.to(machine.device, memory_format=torch.channels_last)

    def loss(images: torch.Tensor, truths: Batch, step: int) -> torch.Tensor:
        with torch.autocast(machine.device, torch.bfloat16):
            logits, boxes = net(images)
        if teacher is not None and turns(plan.taught, step):
            with torch.no_grad(), torch.autocast(machine.device, torch.bfloat16):
                theirs, their_boxes = teacher(images)
            if labels:
                theirs = torch.stack([theirs[..., list(COCO[label])].amax(-1) for label in labels], -1)
            return taught_loss(logits, boxes, theirs, their_boxes)
        cells = cell_centres(images.shape[3], images.shape[2]).to(images.device)
        return detection_loss(logits, boxes, cells, truths)[0]

    what = {"labels": list(labels), "relu": list(plan.relu)}
    return run(net, feed.batches, plan, checkpoint, loss, log, machine, made, what)


def turns(share: float, step: int) -> bool:
    """Whether a step is among the `share` of all steps, evenly spread."""
    return math.floor((step + 1) * share + 1e-9) > math.floor(step * share + 1e-9)


def begin(teacher: Detector | None, base: Path | None, labels: tuple[str, ...], feed: Feed, plan: Plan) -> Detector:
    """The network as it is before the first step. Raises what `checkpoint.read` raises."""
    net = Detector(len(labels) or CLASSES, plan.relu, plan.objectness)
    if base is None:
        if teacher is None:
            return net
        made = [feed.make(number)[0] for number in range(8)]
        alike = torch.cat([images for images in made if images.shape == made[0].shape])
        settled = settle_norms(teacher, alike.float() / 255, plan.relu, plan.objectness)
        adopt(net, settled.state_dict(), labels)
        return fold(net.eval()) if plan.folded else net
    saved = kept.read(base)
    if is_folded(saved["average"]):
        net = fold(net.eval())
    adopt(net, saved["average"], labels, saved.get("labels", ()))
    return fold(net.eval()) if plan.folded else net


def made_by(labels: tuple[str, ...], plan: Plan, shares: Sequence[Share], **files: Path | None) -> dict[str, str]:
    """What decides a training: labels, plan, what the files hold that it starts from, and pictures with their truths.

    Folders do not count, so that the data may move.
    """
    seen = (
        (n, share.share, p.path.parts[-2:], p.width, p.height, p.truths, sorted(p.unlabelled))
        for n, share in enumerate(shares)
        for p in share.pictures
    )
    held = {name: file_hash(path) for name, path in files.items() if path is not None}
    planned = {field.name: str(getattr(plan, field.name)) for field in fields(Plan)}
    return {"labels": str(labels), **planned, **held, "pictures": digest(seen)}


def adopt(net: Detector, state: Mapping[str, torch.Tensor], labels: Sequence[str], theirs: Sequence[str] = ()) -> None:
    """Take over everything but the class scores; of these what `theirs`, the labels of the state, has of `labels`.

    Without `theirs` the state has COCO's classes, or the same labels.
    """
    own = net.state_dict()
    for name, value in state.items():
        if ".score." not in name:
            own[name] = value
            continue
        if name.endswith("bias"):
            own[name] = torch.full_like(own[name], math.log(PRIOR / (1 - PRIOR)))
        if not theirs and value.shape == own[name].shape:
            own[name] = value
            continue
        places = {label: COCO[label][0] for label in COCO} if not theirs else {t: n for n, t in enumerate(theirs)}
        for number, label in enumerate(labels):
            if label in places and places[label] < len(value):
                own[name][number] = value[places[label]]
    net.load_state_dict(own)


def run(
    net: nn.Module,
    batches: Callable[[int], Generator[tuple[torch.Tensor, Truths]]],
    plan: Pace,
    checkpoint: Path,
    loss: Callable[[torch.Tensor, Truths, int], torch.Tensor],
    log: Log,
    machine: Machine,
    made: Mapping[str, str],
    about: Mapping[str, object],
) -> Path:
    """The loop: from the checkpoint if there is one, to `plan.steps`. Returns `checkpoint`.

    `batches` gives pictures `[N, 3, H, W]` uint8 RGB and their truths, from the batch of a number on; `loss` is told
    the pictures divided by 255, the truths and the step; `about` goes into the checkpoint.

    Raises `CheckpointError` for a checkpoint that something else than `made` made, `OSError` when one cannot be
    written, `ValueError` when the loss is no number any more.
    """
    net = net.to(machine.device, memory_format=torch.channels_last).train()
    average, optimizer = Average(net), optimiser(net, plan)
    step, mean = 0, 0.0
    if checkpoint.is_file():
        saved = kept.load(checkpoint, made)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        average.state = {name: value.to(machine.device) for name, value in saved["average"].items()}
        average.updates, step, mean = saved["updates"], saved["step"], saved["loss"]
        log(f"{checkpoint}: goes on from step {step}")
    began, seen = time.monotonic(), 0
    with closing(batches(step)) as ready, bar(f"train {checkpoint.stem}", plan.steps, step) as shown:
        while step < plan.steps:
            images, truths = next(ready)
            truths = truths.to(machine.device)
            for group in optimizer.param_groups:
                group["lr"] = pace(step, plan)
            x = (images.to(machine.device).float() / 255).contiguous(memory_format=torch.channels_last)
            value = loss(x, truths, step)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            optimizer.step()
            average.update(net)
            step, seen = step + 1, seen + len(images)
            mean += (float(value.detach()) - mean) / min(step, 50)
            if not math.isfinite(mean):
                raise ValueError(f"{checkpoint}: the loss of step {step} is {float(value.detach())}; lower the rate")
            shown.advance(1, f"loss {mean:.3f}  {seen / (time.monotonic() - began):.1f} pictures/s")
            if step % SAVE_EVERY == 0 or step == plan.steps:
                state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "average": average.state}
                far = {"updates": average.updates, "step": step, "loss": mean}
                kept.save(checkpoint, {**state, **far, **about}, made)
    return checkpoint
