"""Labels from teachers: what several published detectors agree on becomes a box; where they are unsure nothing is said.

Each picture is looked at five times: by the published YOLOX-nano at three sizes and once mirrored, and by the published
SSDLite. A score is the mean of the best three looks, so that no single look can make a box. Sizes matter: what is large
falls apart in a large input, what is small is lost in a small one. An unsure box is written as `person?`, and training
leaves the scores there alone: a student that is told "nothing here" unlearns what the teachers half saw.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.workshop.coco import COCO, NUMBERS
from models.workshop.evaluation.matching import overlap_of_one, suppress
from models.workshop.session import open_session
from models.workshop.sets.data import Image, Picture, Truth, letterbox

Array = NDArray[np.float32]
LABELS = tuple(COCO)
LOOKS = ((320 * 320, False), (416 * 416, False), (416 * 416, True), (640 * 640, False))
"""Pixels of the input, and whether the picture is mirrored."""
BEST = 3
FLOOR = 0.05
SURE = {"person": 0.40, "vehicle": 0.42}
"""Fused score of a box: on `val` of `person` and `plate`, precision is 0.8 and 0.7 from there on."""
UNSURE = 0.13
SAME = 0.5


@dataclass(frozen=True)
class Seen:
    """What the teachers see: label, fused score, and x1, y1, x2, y2 in pixels of the picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


def write_teacher(weights: Path, path: Path) -> Path:
    """The published YOLOX-nano as an ONNX file for any shape: RGB / 255 in, scores of `LABELS` and boxes out.

    `torch` is needed. Returns `path`; raises what `start.published` raises.
    """
    import torch

    from models.workshop.training.network import decode
    from models.workshop.training.start import published

    class Core(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = published(weights)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits, boxes = decode(self.net.grids(x))
            scores = logits.sigmoid()
            return torch.stack([scores[..., list(COCO[label])].amax(-1) for label in LABELS], -1), boxes

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.onnx.export(
        Core().eval(),
        (torch.zeros(1, 3, 320, 320),),
        str(part),
        input_names=["pixels"],
        output_names=["scores", "boxes"],
        dynamic_axes={"pixels": {2: "height", 3: "width"}},
        opset_version=17,
        dynamo=False,
    )
    part.replace(path)
    return path


class Teachers:
    """Calling it is to look at a picture (HxWx3 uint8 BGR); what is seen comes best first, down to `UNSURE`.

    `yolox` is a file that `write_teacher` wrote, `ssdlite` the published one.
    """

    def __init__(self, yolox: Path, ssdlite: Path, threads: int = 1) -> None:
        for path in (yolox, ssdlite):
            if not path.is_file():
                raise FileNotFoundError(f"teacher {path} does not exist; published weights lie in the data's weights/")
        self.yolox, self.ssdlite = open_session(yolox, threads), open_session(ssdlite, threads)

    def __call__(self, image: Image) -> list[Seen]:
        looks = [self._yolox(image, pixels, mirrored) for pixels, mirrored in LOOKS] + [self._ssdlite(image)]
        seen = [
            Seen(label, score, box)
            for number, label in enumerate(LABELS)
            for score, box in fuse([_own(scores[:, number], boxes) for scores, boxes in looks])
            if score >= UNSURE
        ]
        return sorted(seen, key=lambda s: -s.score)

    def _yolox(self, image: Image, pixels: int, mirrored: bool) -> tuple[Array, Array]:
        h, w = image.shape[:2]
        scale = (pixels / (w * h)) ** 0.5
        width, height = (max(64, round(side * scale / 32) * 32) for side in (w, h))
        canvas, scale, left, top = letterbox(image, width, height)
        if mirrored:
            canvas = canvas[:, ::-1]
        planes = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1), dtype=np.float32)[None] / np.float32(255)
        scores, boxes = (out[0] for out in self.yolox.run(None, {"pixels": planes}))
        if mirrored:
            boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
        placed = (boxes - np.array([left, top, left, top], np.float32)) / np.float32(scale)
        return scores, placed.clip(0, np.array([w, h, w, h], np.float32))

    def _ssdlite(self, image: Image) -> tuple[Array, Array]:
        h, w = image.shape[:2]
        pixels = np.ascontiguousarray(image[None, ..., ::-1])
        scores, boxes = self.ssdlite.run(None, {self.ssdlite.get_inputs()[0].name: pixels})
        # The file gives no column for the background: class 1 is column 0.
        columns = [scores[0][:, [c - 1 for c in NUMBERS[label]]].max(1) for label in LABELS]
        corners = boxes[0, :, 0][:, [1, 0, 3, 2]] * np.array([w, h, w, h], np.float32)
        return np.stack(columns, 1), corners.clip(0, np.array([w, h, w, h], np.float32))


def _own(scores: Array, boxes: Array) -> tuple[Array, Array]:
    """One look's scores and boxes without its doubles."""
    keep = scores > FLOOR
    scores, boxes = scores[keep], boxes[keep]
    chosen = suppress(scores, boxes, 0.6)
    return scores[chosen], boxes[chosen]


def fuse(looks: Sequence[tuple[Array, Array]]) -> list[tuple[float, tuple[float, float, float, float]]]:
    """The boxes of several looks (scores `[n]`, boxes `[n, 4]`, without doubles) as one list.

    Around each box that no better one overlaps, every look's own nearest box is taken, once; the box is their mean
    weighted by score (Solovyev et al., "Weighted boxes fusion", arXiv:1910.13302), the score the mean of the `BEST`
    best, a look that sees nothing there counting as 0.
    """
    scores, boxes = (np.concatenate(part) for part in zip(*looks, strict=True))
    free = [np.ones(len(own), np.bool_) for own, _ in looks]
    fused = []
    for place in suppress(scores, boxes, SAME):
        votes, found = [0.0] * len(looks), []
        for number, (own, where) in enumerate(looks):
            near = np.where(free[number], overlap_of_one(boxes, place, where), 0) if len(own) else np.zeros(1)
            best = int(near.argmax())
            if near[best] > SAME:
                votes[number], free[number][best] = float(own[best]), False
                found.append(where[best] * own[best])
        if found:
            box = (sum(found) / sum(votes)).tolist()
            fused.append((sum(sorted(votes)[-BEST:]) / BEST, (box[0], box[1], box[2], box[3])))
    return fused


def taught(
    pictures: Sequence[Picture],
    look: Callable[[Image], Sequence[Seen]],
    crops: int = 0,
    labelled: Callable[[Picture], frozenset[str]] = lambda picture: frozenset(),
    seed: int = 3,
) -> Iterator[tuple[str, str, Image, list[Truth]]]:
    """Pictures as `write_set` takes them, with what teachers see; each whole, and `crops` random parts of it.

    What people labelled (`labelled` says which labels of a picture are theirs) stays as it is, in whole pictures; there
    the teachers are not asked.
    """
    rng = np.random.default_rng(seed)
    for picture in pictures:
        whole = picture.read()
        own = labelled(picture) if not crops else frozenset()
        sx, sy = whole.shape[1] / picture.width, whole.shape[0] / picture.height
        truths = [
            Truth(t.label, (t.box[0] * sx, t.box[1] * sy, t.box[2] * sx, t.box[3] * sy))
            for t in picture.truths
            if t.label.removesuffix("-like") in own
        ]
        yield f"{picture.path.stem}-w.jpg", "train", whole, truths + doubtful(look(whole), own)
        for n in range(crops):
            image = part(rng, whole)
            yield f"{picture.path.stem}-{n}.jpg", "train", image, doubtful(look(image), own)


def doubtful(seen: Sequence[Seen], but: frozenset[str]) -> list[Truth]:
    """What was seen as truths, `person?` where it is unsure; labels in `but` are left out."""
    return [Truth(s.label if s.score >= SURE[s.label] else f"{s.label}?", s.box) for s in seen if s.label not in but]


def part(rng: np.random.Generator, image: Image) -> Image:
    """A random part of a picture, 35 to 75 % of its sides: what is small in it becomes large enough to learn from."""
    h, w = image.shape[:2]
    share = rng.uniform(0.35, 0.75)
    high, wide = int(h * share), int(w * share)
    y, x = int(rng.integers(0, h - high + 1)), int(rng.integers(0, w - wide + 1))
    return np.ascontiguousarray(image[y : y + high, x : x + wide])
