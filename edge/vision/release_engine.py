"""A release, ready to look: what all engines share, from the picture to the runtime and from its rows to detections."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contract.detections import Detection
from contract.records import ModelRef
from edge.vision.engine import EngineError
from edge.vision.letterbox import Letterbox, Placement
from edge.vision.picture import Bgr, PictureError, to_bgr
from edge.vision.runtimes.file import ModelFile, Runtime


class ReleaseEngine:
    """An ``Engine``: a runtime between a letterbox and the manifest's labels and thresholds.

    Args:
        file: the artefact; its input is what the letterbox makes.
        runtime: the artefact, loaded.
        sha256: of the artefact.
    """

    def __init__(self, file: ModelFile, runtime: Runtime, sha256: str) -> None:
        manifest = file.manifest
        self._path, self._output = file.path, manifest.output.name
        self._labels = manifest.labels
        self._limits = [manifest.thresholds[label] for label in manifest.labels]
        self._least = min(self._limits)
        self._model = ModelRef(name=manifest.name, version=manifest.version, sha256=sha256)
        self._runtime = runtime
        self._spec, self._letterbox = file.spec, Letterbox(file.spec)

    @property
    def model(self) -> ModelRef:
        """Which release this is."""
        return self._model

    @property
    def thresholds(self) -> Mapping[str, float]:
        """See ``Engine.thresholds``."""
        return dict(zip(self._labels, self._limits, strict=True))

    def detect(self, image: Bgr, slack: float = 1.0) -> list[Detection]:
        """See ``Engine.detect``."""
        try:
            canvas, spot = self._letterbox.put(to_bgr(image))
        except PictureError as error:
            raise EngineError(f"model {self._model.name}: {error}") from error
        return self._read(self._runtime.run(canvas.tensor), spot, slack)

    def warm_up(self) -> None:
        """See ``Engine.warm_up``."""
        self.detect(np.full((self._spec.height, self._spec.width, 3), self._spec.letterbox, np.uint8))

    def close(self) -> None:
        """See ``Engine.close``."""
        self._runtime.close()

    def _read(self, rows: NDArray[np.float32], spot: Placement, slack: float) -> list[Detection]:
        if rows.ndim != 2 or rows.shape[1] != 6 or not np.isfinite(rows).all():
            what = f"shape {rows.shape}" if rows.ndim != 2 or rows.shape[1] != 6 else "numbers that are not finite"
            raise EngineError(f"{self._path}: output {self._output!r} has {what}; needed are finite rows of [N, 6]")
        rows = rows[rows[:, 4] >= self._least * slack]
        boxes = spot.to_picture(rows[:, :4]).tolist()
        found: list[Detection] = []
        for (x1, y1, x2, y2), (score, number) in zip(boxes, rows[:, 4:].tolist(), strict=True):
            if not 0 <= number < len(self._labels):
                raise EngineError(
                    f"{self._path}: output {self._output!r} names class {int(number)}; the manifest has "
                    f"{len(self._labels)} labels"
                )
            if score >= self._limits[int(number)] * slack and x2 > x1 and y2 > y1:
                found.append(Detection(self._labels[int(number)], min(1.0, score), (x1, y1, x2, y2)))
        found.sort(key=lambda detection: -detection.score)
        return found
