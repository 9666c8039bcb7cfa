"""Reading plates: lines cut out and set straight, several readers, and a grammar that settles what they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contract.detections import Box
from contract.manifest import Artefact, Reader
from edge.vision.deadline import Deadline
from edge.vision.engine import LIMIT_S, EngineError, EngineTimeoutError
from edge.vision.plates.colour import background
from edge.vision.plates.countries import grammars
from edge.vision.plates.crop import Image, cut_out, slant
from edge.vision.plates.grammar import Place, Read, settle
from edge.vision.plates.reading import places
from edge.vision.runtimes.file import read_file

IMAGES, STEPS = "images", "steps"


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
        raw = read_file(
            self._path, Artefact(file=spec.file, sha256=spec.sha256, bytes=spec.bytes, precision=spec.precision)
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise EngineError(f"{self._path} cannot be loaded by ONNX Runtime {ort.__version__}: {error}") from error
        self._deadline = Deadline(limit_s)

    def read(self, line: Image) -> list[Place]:
        """The places of a line (hxwx3 BGR). Raises ``EngineError``, ``EngineTimeoutError`` after the limit."""
        run = ort.RunOptions()
        self._deadline.begin(run)
        problem: Exception | None = None
        steps: NDArray[np.float32] | None = None
        try:
            steps = self._session.run([STEPS], {IMAGES: self._tensor(line)}, run)[0]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common class
            problem = error
        if self._deadline.end():
            raise EngineTimeoutError(f"{self._path}: nothing read within {self._deadline.limit_s:g} s")
        if problem is not None or steps is None:
            raise EngineError(f"{self._path}: the run failed: {problem}") from problem
        try:
            return places(steps, self.spec.characters)
        except ValueError as error:
            raise EngineError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Let go of the watching thread."""
        self._deadline.close()

    def _tensor(self, line: Image) -> NDArray[np.uint8]:
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

    def read(self, image: Image, box: Box) -> Plate:
        """What the plate in a box (shares of the picture, HxWx3 uint8 BGR) says.

        It is read as it stands and, where it is slanted, set straight as well: what is taken for a slant may be none.

        Raises:
            EngineError: a reader failed; it says nothing about the plate.
            ValueError: the box has no pixel in the picture.
        """
        angle = slant(image, box)
        lines = [cut_out(image, box, turned) for turned in ((angle, 0.0) if angle else (0.0,))]
        colour = background(lines[0])
        readings = [reader.read(line) for reader in self._readers for line in lines]
        return Plate(colour, settle(readings, self._grammars, colour))

    def close(self) -> None:
        """Let go of memory and threads."""
        for reader in self._readers:
            reader.close()
