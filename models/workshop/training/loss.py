"""What the network is punished for.

Cells are given to truths by task alignment (Feng et al., "TOOD", arXiv:2108.07755): score**0.5 * IoU**6, the best ten
inside each box. Scores learn that alignment (binary cross-entropy on soft targets); boxes learn complete IoU (Zheng
et al., arXiv:1911.08287). Where a class may lack boxes, in the whole picture or where a teacher is unsure, its scores
are left alone.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

TOP = 10
SCORE_POWER = 0.5
IOU_POWER = 6.0
BOX_WEIGHT = 3.0


@dataclass(frozen=True)
class Batch:
    """Truths of N pictures, padded to M boxes: `boxes [N, M, 4]`, `classes [N, M]` (-1 = padding, `-2 - c` = there may
    be a `c` here), and `silent` `[N, classes]`, true where a class may lack boxes."""

    boxes: Tensor
    classes: Tensor
    silent: Tensor

    def to(self, device: str) -> Batch:
        """The same truths on another device."""
        return Batch(self.boxes.to(device), self.classes.to(device), self.silent.to(device))


def iou_pairs(a: Tensor, b: Tensor) -> Tensor:
    """IoU of all pairs: `[N, M, 4]` and `[N, A, 4]` to `[N, M, A]`."""
    low = torch.maximum(a[:, :, None, :2], b[:, None, :, :2])
    high = torch.minimum(a[:, :, None, 2:], b[:, None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)[:, :, None]
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)[:, None, :]
    return both / (area_a + area_b - both + 1e-7)


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of boxes side by side: `[K, 4]`, `[K, 4]` to `[K]`."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    size_a, size_b = (a[:, 2:] - a[:, :2]).clamp(min=1e-3), (b[:, 2:] - b[:, :2]).clamp(min=1e-3)
    iou = both / (size_a.prod(-1) + size_b.prod(-1) - both + 1e-7)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) ** 2).sum(-1) / 4
    angle = torch.atan(size_b[:, 0] / size_b[:, 1]) - torch.atan(size_a[:, 0] / size_a[:, 1])
    shape = 4 / torch.pi**2 * angle**2
    with torch.no_grad():
        share = shape / (1 - iou + shape + 1e-7)
    return iou - apart / (hull.pow(2).sum(-1) + 1e-7) - share * shape


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, cells: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Which cell answers for which truth.

    In: scores `[N, A, C]` after the sigmoid, boxes `[N, A, 4]`, cell centres `[A, 2]` in pixels.
    Out: score targets `[N, A, C]`, box targets `[N, A, 4]`, and the mask `[N, A]` of cells that answer.
    """
    real = batch.classes >= 0
    ious = iou_pairs(batch.boxes, boxes)
    classes = batch.classes.clamp(min=0)
    of_class = scores.transpose(1, 2).gather(1, classes[:, :, None].expand(-1, -1, scores.shape[1]))
    # A box narrower than a cell may hold no centre: half of the finest stride around it counts as inside.
    middle = (batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2
    half = ((batch.boxes[..., 2:] - batch.boxes[..., :2]) / 2).clamp(min=5.0)
    offset = (cells[None, None] - middle[:, :, None]).abs()
    inside = (offset < half[:, :, None]).all(-1) & real[:, :, None]
    metric = of_class.pow(SCORE_POWER) * ious.pow(IOU_POWER) * inside
    top = metric.topk(TOP, -1)
    chosen = torch.zeros_like(metric, dtype=torch.bool).scatter_(2, top.indices, top.values > 1e-9)
    # Early on nothing overlaps well: the nearest cell inside answers all the same.
    distance = offset.square().sum(-1) + (~inside) * 1e9
    nearest = torch.zeros_like(chosen).scatter_(2, distance.argmin(-1, keepdim=True), True)
    chosen = (chosen | (nearest & ~chosen.any(-1, keepdim=True))) & inside
    # A cell between two truths answers for the one that it overlaps more.
    owner = (ious * chosen + chosen * 1e-6).argmax(1)
    answers = chosen.any(1)
    chosen &= torch.zeros_like(chosen).scatter_(1, owner[:, None], True)
    metric = metric * chosen
    best = metric.amax(-1, keepdim=True)
    reach = (ious * chosen).amax(-1, keepdim=True)
    soft = torch.where(best > 1e-9, metric / (best + 1e-9) * reach, chosen * 0.1).amax(1)
    label = classes.gather(1, owner)
    targets = torch.zeros_like(scores).scatter_(2, label[..., None], (soft * answers)[..., None])
    return targets, batch.boxes.gather(1, owner[..., None].expand(-1, -1, 4)), answers


def doubtful(cells: Tensor, batch: Batch, classes: int) -> Tensor:
    """Where a class may be without being a truth: `[N, A, classes]`, from cell centres `[A, 2]` in pixels."""
    low = (cells[None, None] >= batch.boxes[:, :, None, :2]).all(-1)
    high = (cells[None, None] <= batch.boxes[:, :, None, 2:]).all(-1)
    inside = low & high
    return torch.stack([(inside & (batch.classes == -2 - c)[:, :, None]).any(1) for c in range(classes)], -1)


def detection_loss(logits: Tensor, boxes: Tensor, cells: Tensor, batch: Batch) -> tuple[Tensor, float, float]:
    """The loss of a batch, and its score and box parts as numbers."""
    targets, box_targets, answers = assign(logits.detach().sigmoid(), boxes.detach(), cells, batch)
    heard = ~batch.silent[:, None, :]
    if (batch.classes < -1).any():
        heard = heard & ((targets > 0) | ~doubtful(cells, batch, targets.shape[-1]))
    weight = (targets * heard).sum().clamp(min=1.0)
    # Far too sure about nothing weighs more than a bit unsure (varifocal, arXiv:2008.13367).
    focus = torch.where(targets > 0, targets.clamp(min=0.3), 0.75 * logits.detach().sigmoid() ** 1.5)
    score = (functional.binary_cross_entropy_with_logits(logits, targets, reduction="none") * focus * heard).sum()
    score = score / weight
    if answers.any():
        strength = targets.sum(-1)[answers]
        box = ((1 - complete_iou(boxes[answers], box_targets[answers])) * strength).sum() / weight
    else:
        box = boxes.sum() * 0
    return score + BOX_WEIGHT * box, float(score.detach()), float(box.detach())


def taught_loss(logits: Tensor, boxes: Tensor, teacher_logits: Tensor, teacher_boxes: Tensor) -> Tensor:
    """Dense distillation of a teacher with the same grid: its scores, and its boxes where it is sure."""
    scores = teacher_logits.sigmoid()
    gap = (scores - logits.detach().sigmoid()).abs()
    weight = scores.amax(-1).clamp(min=0)
    total = weight.sum().clamp(min=1.0)
    score = (functional.binary_cross_entropy_with_logits(logits, scores, reduction="none") * gap**1.0).sum() / total
    sure = weight > 0.05
    overlap = complete_iou(boxes[sure], teacher_boxes[sure])
    return 4 * score + BOX_WEIGHT * ((1 - overlap) * weight[sure]).sum() / total
