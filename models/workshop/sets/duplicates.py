"""Pictures that are nearly the same, found by a perceptual hash.

The hash is the DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section
3.2: grey, shrunk to 32x32, discrete cosine transform, the 8x8 lowest frequencies without the first row and column, one
bit each for being above their median. Half of the bits are set, so distances are mostly even. The hash of the mirrored
picture comes from the same coefficients: mirroring turns the sign of every odd frequency across.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.workshop.progress import track

SIDE = 32
BITS = 64
NEAR = 10
"""Bits that may differ between two pictures of the same scene.

Of 30.8 million pairs of pictures from different sets 11 come so close, 1 at 8 bits, 125 at 12; of the 3,411 fire
pictures with a stated near-duplicate 97 % have it within 10 bits, 94 % within 8. Thirty pairs of `train` and `test` at
10 bits, looked at, were all the same scene. `vedette models data` measures both again."""
SAME = 0
"""Bits that may differ between two copies of one picture. At 2 bits pairs are other frames of the same clip."""

Print = tuple[int, int]
"""The hash of a picture and that of its mirror image, 64 bits each."""
_ROWS = 512  # compared with everything at once


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their place in the list (`first` < `second`), and the bits that differ."""

    first: int
    second: int
    distance: int


def fingerprint(grey: NDArray[np.uint8]) -> Print:
    """The hashes of a picture, HxW grey of any size."""
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = np.asarray(cv2.dct(small), np.float32)[1:9, 1:9]
    mirrored = low * np.where(np.arange(1, 9) % 2, -1, 1).astype(np.float32)
    return _bits(low), _bits(mirrored)


def _bits(low: NDArray[np.float32]) -> int:
    return int.from_bytes(np.packbits((low > np.median(low)).ravel()).tobytes(), "big")


def read_print(path: Path) -> Print:
    """The hashes of a file. Raises `ValueError` naming it when it cannot be decoded."""
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if grey is None:
        raise ValueError(f"{path}: not a picture that can be decoded")
    return fingerprint(np.asarray(grey, np.uint8))


class Prints:
    """Hashes kept in a file, a line each, so that a picture is read once for as long as it does not change."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known: dict[tuple[str, int, int], Print] = {}
        text = cache.read_text() if cache.is_file() else ""
        for line in text.splitlines():
            # A line that a kill cut short is read again from the picture.
            try:
                path, size, changed, plain, mirrored = json.loads(line)
                self._known[str(path), int(size), int(changed)] = int(plain, 16), int(mirrored, 16)
            except (ValueError, TypeError):
                continue
        self._torn = bool(text) and not text.endswith("\n")

    def of(self, paths: Sequence[Path]) -> list[Print | ValueError]:
        """The hashes of files, in their order; what went wrong in the place of those that cannot be read."""
        found: list[Print | ValueError] = []
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        with self._cache.open("a") as file:
            if self._torn:
                file.write("\n")
                self._torn = False
            for path in track(paths, "reading pictures"):
                try:
                    about = path.stat()
                    key = (str(path.resolve()), about.st_size, about.st_mtime_ns)
                    if key not in self._known:
                        plain, mirrored = self._known[key] = read_print(path)
                        file.write(json.dumps([*key, f"{plain:016x}", f"{mirrored:016x}"]) + "\n")
                        file.flush()
                    found.append(self._known[key])
                except FileNotFoundError:
                    found.append(ValueError(f"{path}: named in the labels, but there is no such file"))
                except ValueError as error:
                    found.append(error)
        return found


def pairs(prints: Sequence[Print], limit: int = NEAR) -> Iterator[Pair]:
    """All pairs within `limit` bits of each other, plain or mirrored; every picture against every other."""
    plain = np.array([p[0] for p in prints], np.uint64)
    mirrored = np.array([p[1] for p in prints], np.uint64)
    for start in range(0, len(plain), _ROWS):
        part = slice(start, start + _ROWS)
        # Bits at the median may fall otherwise in the mirror, so either of the two may be the mirrored one.
        distance = np.bitwise_count(plain[part, None] ^ plain)
        distance = np.minimum(distance, np.bitwise_count(plain[part, None] ^ mirrored))
        distance = np.minimum(distance, np.bitwise_count(mirrored[part, None] ^ plain))
        for row, column in zip(*np.nonzero(distance <= limit), strict=True):
            if start + row < column:
                yield Pair(int(start + row), int(column), int(distance[row, column]))
