"""Batches for training: pictures kept in memory, augmented by threads beside the training."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

import cv2
import numpy as np
import torch

from models.workshop.sets.data import Picture
from models.workshop.training.augment import Sample, evening, mosaic, place, weather
from models.workshop.training.loss import Batch
from models.workshop.training.plan import SCALES

Made = TypeVar("Made")
LONGEST = 640  # pixels; larger pictures are kept at this longest side
AHEAD = 6  # batches made ahead by each thread
PLAIN = 0.1  # share of mosaics at the end of a training


@dataclass(frozen=True)
class Share:
    """Pictures and the share of the training that they get."""

    pictures: tuple[Picture, ...]
    share: float


def load(picture: Picture, labels: Sequence[str]) -> Sample:
    """A picture as a training sample; labels that the detector does not know are background.

    A box labelled `person?` says that a teacher was unsure: there is neither a person nor none.
    """
    image = picture.read()
    h, w = image.shape[:2]
    # Boxes are in the pixels that the label file states, which for shrunken sets need not be the file's own.
    sx, sy = w / picture.width, h / picture.height
    shrink = min(1.0, LONGEST / max(h, w))
    if shrink < 1:
        image = np.asarray(
            cv2.resize(image, (round(w * shrink), round(h * shrink)), interpolation=cv2.INTER_AREA), np.uint8
        )
    numbers = {name: n for n, name in enumerate(labels)} | {f"{name}?": -2 - n for n, name in enumerate(labels)}
    known = [t for t in picture.truths if t.label in numbers]
    boxes = np.array([t.box for t in known], np.float32).reshape(-1, 4)
    boxes *= np.array([sx, sy, sx, sy], np.float32) * np.float32(shrink)
    return Sample(
        image,
        boxes,
        np.array([numbers[t.label] for t in known], np.int64),
        frozenset(labels.index(name) for name in picture.unlabelled if name in labels),
    )


class Feed:
    """An endless row of batches. The seed and the number of a batch decide it, whoever makes it and whatever was made
    before: a training that is taken up again at batch 700 sees what it would have seen.

    A batch has one of `sizes` (width, height in pixels), each as often as it is named: a network that has seen
    pictures of many shapes can be run at the shape of the camera.
    `mosaics` is the share of pictures made of four, `PLAIN` from batch `plain_from` on; `evenings` the share of
    pictures without a truth that are given a golden part. `makers` threads make batches ahead.
    """

    def __init__(
        self,
        shares: Sequence[Share],
        labels: Sequence[str],
        sizes: Sequence[tuple[int, int]],
        batch: int,
        seed: int,
        mosaics: float = 0.5,
        evenings: float = 0.0,
        plain_from: int | None = None,
        makers: int = 1,
        scales: tuple[float, float] = SCALES,
    ) -> None:
        self.labels, self.sizes, self.batch, self.mosaics = tuple(labels), tuple(sizes), batch, mosaics
        self.scales = scales
        self.evenings, self.plain_from, self.makers, self.seed = evenings, plain_from, makers, seed
        with ThreadPoolExecutor(2) as pool:
            self.groups = [list(pool.map(lambda p: load(p, self.labels), s.pictures)) for s in shares]
        weights = np.array([s.share for s in shares])
        self.weights = weights / weights.sum()

    def _sample(self, rng: np.random.Generator, mosaics: float, width: int, height: int) -> Sample:
        group = self.groups[rng.choice(len(self.groups), p=self.weights)]
        sample = group[rng.integers(len(group))]
        if self.evenings and not len(sample.boxes) and not sample.unlabelled and rng.random() < self.evenings:
            sample = replace(sample, image=evening(rng, sample.image))
        if rng.random() < mosaics:
            others = [sample]
            while len(others) < 4:
                near = self.groups[rng.choice(len(self.groups), p=self.weights)]
                other = near[rng.integers(len(near))]
                # One silent picture would silence the class in all four.
                if other.unlabelled == sample.unlabelled or (len(others) == 1 and not len(other.boxes)):
                    others.append(other)
            mixed = mosaic(rng, others, width, height)
        else:
            mixed = place(rng, sample, width, height, self.scales)
        return Sample(weather(rng, mixed.image), mixed.boxes, mixed.classes, mixed.unlabelled)

    def make(self, number: int) -> tuple[torch.Tensor, Batch]:
        """The batch of that number, from 0: pictures `[N, 3, H, W]` uint8 RGB, and truths."""
        rng = np.random.default_rng([self.seed, number])
        mosaics = self.mosaics if self.plain_from is None or number < self.plain_from else min(PLAIN, self.mosaics)
        width, height = self.sizes[rng.integers(len(self.sizes))]
        samples = [self._sample(rng, mosaics, width, height) for _ in range(self.batch)]
        images = torch.from_numpy(np.stack([s.image[..., ::-1].transpose(2, 0, 1) for s in samples]))
        most = max(1, *(len(s.boxes) for s in samples))
        boxes = torch.zeros(self.batch, most, 4)
        classes = torch.full((self.batch, most), -1, dtype=torch.long)
        silent = torch.zeros(self.batch, len(self.labels), dtype=torch.bool)
        for n, s in enumerate(samples):
            boxes[n, : len(s.boxes)] = torch.from_numpy(s.boxes)
            classes[n, : len(s.boxes)] = torch.from_numpy(s.classes)
            for c in s.unlabelled:
                silent[n, c] = True
        return images, Batch(boxes, classes, silent)

    def batches(self, first: int = 0) -> Generator[tuple[torch.Tensor, Batch]]:
        """The batches from number `first` on."""
        return ahead(self.make, first, self.makers)


def ahead(make: Callable[[int], Made], first: int, makers: int) -> Generator[Made]:
    """What `make` gives for each number from `first` on, made ahead by threads, which end when this is closed."""
    pool = ThreadPoolExecutor(makers, "feed")
    ready: deque[Future[Made]] = deque()
    try:
        for number in count(first):
            while len(ready) < AHEAD * makers:
                ready.append(pool.submit(make, number + len(ready)))
            yield ready.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
