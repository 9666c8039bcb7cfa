"""Reading plates: lines cut out and set straight, several readers, and a grammar that settles what they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.detections import Box
from contract.manifest import Reader
from edge.vision.engine import LIMIT_S, EngineError
from edge.vision.picture import Bgr
from edge.vision.plates.colour import background
from edge.vision.plates.countries import grammars
from edge.vision.plates.crop import cut_out, grown, slant
from edge.vision.plates.grammar import Place, Read, settle
from edge.vision.plates.reading import places
from edge.vision.runtimes.file import read_file
from edge.vision.runtimes.onnx import Session

IMAGES, STEPS = "images", "steps"
WIDER = 0.0, -0.04, 0.06
"""Shares of its sides by which a plate's box is grown, one look after the other."""
SURE = 0.75
"""Confidence of a read within a grammar from which no further look is taken."""


@dataclass(frozen=True)
class Plate:
    """What is known of a plate: the colour of its background (empty: unclear), and what it says (None: nothing)."""

    colour: str
    read: Read | None


class LineReader:
    """A reader of a release on ONNX Runtime. Not for two threads at once.

    Raises:
        EngineError: the file is missing, another one than the manifest names, or reads other characters.
    """

    def __init__(self, folder: Path, spec: Reader, threads: int = 1, limit_s: float = LIMIT_S) -> None:
        self.spec, self._path = spec, folder / spec.file
        self._session = Session(self._path, read_file(self._path, spec), threads, limit_s)

    def read(self, line: Bgr) -> list[Place]:
        """The places of a line (hxwx3). Raises what ``Session.run`` raises, ``EngineError`` for another output."""
        steps = self._session.run(IMAGES, self._tensor(line), STEPS)
        try:
            return places(steps, self.spec.characters)
        except ValueError as error:
            raise EngineError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """See ``Session.close``."""
        self._session.close()

    def _tensor(self, line: Bgr) -> NDArray[np.uint8]:
        spec, (h, w) = self.spec, line.shape[:2]
        wide = min(spec.longest, max(8, round(spec.height * w / h)))
        canvas = np.full((spec.height, max(wide, spec.shortest), 3), spec.padding, np.uint8)
        shrinks = h > spec.height
        canvas[:, :wide] = cv2.resize(
            line, (wide, spec.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return np.ascontiguousarray(canvas.transpose(2, 0, 1))[None]


class PlateReader:
    """All readers of a release, and the grammars of the regions where a box stands.

    Args:
        readers: of a manifest, one or more.
        folder: of the release.
        regions: such as ``cn`` or ``eu-sk``; all when left out.
        threads: of the processor.

    Raises:
        EngineError: no readers, or one that cannot be loaded.
        ValueError: a region that is not known.
    """

    def __init__(self, readers: Sequence[Reader], folder: Path, regions: Sequence[str] = (), threads: int = 1) -> None:
        if not readers:
            raise EngineError(f"the release in {folder} finds plates and has no reader for them")
        self._grammars = grammars(regions)
        self._readers = [LineReader(folder, spec, threads) for spec in readers]

    def read(self, image: Bgr, box: Box) -> Plate:
        """What the plate in a box (shares of the picture, HxWx3 uint8 BGR) says.

        It is read as it stands and, where it is slanted, set straight as well: what is taken for a slant may be none.
        Boxes are rough, so until a read is sure the plate is also looked at in a wider and in a closer one. On less
        than a pixel there is nothing to read.

        Raises:
            EngineError: a reader failed; it says nothing about the plate.
        """
        try:
            angle = slant(image, box)
        except ValueError:
            return Plate("", None)
        colour = background(cut_out(image, box, angle))
        readings: list[list[Place]] = []
        read = None
        for share in WIDER:
            lines = self._lines(image, grown(box, share), angle)
            readings += [reader.read(line) for reader in self._readers for line in lines]
            read = settle(readings, self._grammars, colour)
            if read is not None and read.grammar and read.confidence >= SURE:
                break
        return Plate(colour, read)

    def _lines(self, image: Bgr, box: Box, angle: float) -> list[Bgr]:
        """What is read in a box: nothing where it has no pixel."""
        try:
            return [cut_out(image, box, turned) for turned in ((angle, 0.0) if angle else (0.0,))]
        except ValueError:
            return []

    def text(self, image: Bgr, box: Box) -> str:
        """What ``read`` makes of a plate, empty where it reads nothing."""
        read = self.read(image, box).read
        return read.text if read else ""

    def close(self) -> None:
        """Let go of memory and threads."""
        for reader in self._readers:
            reader.close()
