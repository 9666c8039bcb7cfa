"""Batches for training: pictures kept in memory, augmented by threads beside the training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from models.workshop.augment import Sample, evening, mosaic, place, weather
from models.workshop.data import Picture
from models.workshop.loss import Batch

LONGEST = 640  # pixels; larger pictures are kept at this longest side
QUEUE = 6  # batches made ahead
SCALES = (0.4, 1.4)  # against the letterboxed size; cameras see from further away than photographers


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
    """An endless row of batches; `seed` decides all of them.

    A batch has one of `sizes` (width, height in pixels), each as often as it is named: a network that has seen
    pictures of many shapes can be run at the shape of the camera.
    `mosaics` is the share of pictures made of four, `evenings` the share of pictures without a truth that are given a
    golden part.
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
    ) -> None:
        self.labels, self.sizes, self.batch, self.mosaics = tuple(labels), tuple(sizes), batch, mosaics
        self.evenings = evenings
        with ThreadPoolExecutor(2) as pool:
            self.groups = [list(pool.map(lambda p: load(p, self.labels), s.pictures)) for s in shares]
        weights = np.array([s.share for s in shares])
        self.weights = weights / weights.sum()
        self.rng = np.random.default_rng(seed)

    def _sample(self, width: int, height: int) -> Sample:
        rng = self.rng
        group = self.groups[rng.choice(len(self.groups), p=self.weights)]
        sample = group[rng.integers(len(group))]
        if self.evenings and not len(sample.boxes) and not sample.unlabelled and rng.random() < self.evenings:
            sample = replace(sample, image=evening(rng, sample.image))
        if rng.random() < self.mosaics:
            others = [sample]
            while len(others) < 4:
                near = self.groups[rng.choice(len(self.groups), p=self.weights)]
                other = near[rng.integers(len(near))]
                # One silent picture would silence the class in all four.
                if other.unlabelled == sample.unlabelled or (len(others) == 1 and not len(other.boxes)):
                    others.append(other)
            mixed = mosaic(rng, others, width, height)
        else:
            mixed = place(rng, sample, width, height, SCALES)
        return Sample(weather(rng, mixed.image), mixed.boxes, mixed.classes, mixed.unlabelled)

    def make(self) -> tuple[torch.Tensor, Batch]:
        """One batch: pictures `[N, 3, H, W]` uint8 RGB, and truths."""
        width, height = self.sizes[self.rng.integers(len(self.sizes))]
        samples = [self._sample(width, height) for _ in range(self.batch)]
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

    def batches(self) -> Generator[tuple[torch.Tensor, Batch]]:
        """Batches, made ahead by one thread, which ends when the iterator is closed."""
        ready: queue.Queue[tuple[torch.Tensor, Batch] | Exception] = queue.Queue(QUEUE)
        stop = threading.Event()

        def work() -> None:
            try:
                while not stop.is_set():
                    ready.put(self.make())
            except Exception as error:  # noqa: BLE001 - handed to the reader, which raises it
                ready.put(error)

        thread = threading.Thread(target=work, daemon=True, name="feed")
        thread.start()
        try:
            while True:
                item = ready.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            stop.set()
            while thread.is_alive():
                # Makes room for a batch that the thread may be waiting to hand over.
                with suppress(queue.Empty):
                    ready.get(timeout=0.1)
