"""Batches for the counter: parts of pictures, and how many heads there are in each cell of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.workshop.crowd.recipe import CELL
from models.workshop.sets.data import Picture
from models.workshop.training.augment import Image, weather
from models.workshop.training.feed import Share, ahead
from models.workshop.training.plan import Pace

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """Pixels HxWx3 BGR, and the points of the heads in it, `[n, 2]` in pixels."""

    image: Image
    heads: Points


def load(picture: Picture) -> Scene:
    """A picture with its heads; in one whose heads nobody marked there are none."""
    image = picture.read()
    h, w = image.shape[:2]
    heads = np.array(picture.heads or (), np.float32).reshape(-1, 2)
    return Scene(image, heads * np.array([w / picture.width, h / picture.height], np.float32))


def part(rng: np.random.Generator, scene: Scene, width: int, height: int, scales: tuple[float, float]) -> Scene:
    """Some part of a scene as `width` x `height` pixels, mirrored half of the time; never less than all of it fits."""
    h, w = scene.image.shape[:2]
    scale = max(float(np.exp(rng.uniform(*np.log(scales)))), width / w, height / h)
    wide, high = min(w, round(width / scale)), min(h, round(height / scale))
    left, top = int(rng.integers(w - wide + 1)), int(rng.integers(h - high + 1))
    image = cv2.resize(
        scene.image[top : top + high, left : left + wide],
        (width, height),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    heads = (scene.heads - np.array([left, top], np.float32)) * np.array([width / wide, height / high], np.float32)
    if rng.random() < 0.5:
        image, heads = image[:, ::-1], np.stack((width - heads[:, 0], heads[:, 1]), -1)
    within = ((heads >= 0) & (heads < np.array([width, height], np.float32))).all(1)
    return Scene(np.asarray(image, np.uint8), heads[within])


def in_cells(heads: Points, width: int, height: int) -> NDArray[np.float32]:
    """How many of the points (`[n, 2]`, inside of `width` x `height` pixels) lie in each cell: `[h, w]`."""
    counted = np.zeros((height // CELL, width // CELL), np.float32)
    columns, rows = (heads // CELL).astype(int).T
    np.add.at(counted, (rows, columns), 1)
    return counted


class Feed:
    """An endless row of batches; the pace's seed and the number of a batch decide it."""

    def __init__(self, shares: Sequence[Share], pace: Pace, makers: int = 1) -> None:
        self.pace, self.makers = pace, makers
        with ThreadPoolExecutor(2) as pool:
            self.groups = [list(pool.map(load, share.pictures)) for share in shares]
        weights = np.array([share.share for share in shares])
        self.weights = weights / weights.sum()

    def make(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch of that number, from 0: pictures `[N, 3, H, W]` uint8 RGB, and heads in cells `[N, h, w]`."""
        rng = np.random.default_rng([self.pace.seed, number])
        width, height = self.pace.sizes[rng.integers(len(self.pace.sizes))]
        images, heads = [], []
        for _ in range(self.pace.batch):
            group = self.groups[rng.choice(len(self.groups), p=self.weights)]
            seen = part(rng, group[rng.integers(len(group))], width, height, self.pace.scales)
            images.append(weather(rng, seen.image)[..., ::-1].transpose(2, 0, 1))
            heads.append(in_cells(seen.heads, width, height))
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(heads))

    def batches(self, first: int = 0) -> Generator[tuple[torch.Tensor, torch.Tensor]]:
        """The batches from number `first` on."""
        return ahead(self.make, first, self.makers)
