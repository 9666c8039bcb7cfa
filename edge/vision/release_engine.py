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
        self._limits = np.array([manifest.thresholds[label] for label in manifest.labels], np.float32)
        self._model = ModelRef(name=manifest.name, version=manifest.version, sha256=sha256)
        self._runtime = runtime
        self._letterbox = Letterbox(file.spec)

    @property
    def model(self) -> ModelRef:
        """Which release this is."""
        return self._model

    @property
    def thresholds(self) -> Mapping[str, float]:
        """See ``Engine.thresholds``."""
        return dict(zip(self._labels, self._limits.tolist(), strict=True))

    def detect(self, image: Bgr, slack: float = 1.0) -> list[Detection]:
        """See ``Engine.detect``."""
        try:
            canvas, spot = self._letterbox.put(to_bgr(image))
        except PictureError as error:
            raise EngineError(f"model {self._model.name}: {error}") from error
        return self._read(self._runtime.run(canvas.tensor), spot, slack)

    def warm_up(self) -> None:
        """See ``Engine.warm_up``."""
        self.detect(np.full((64, 64, 3), 114, np.uint8))

    def close(self) -> None:
        """See ``Engine.close``."""
        self._runtime.close()

    def _read(self, rows: NDArray[np.float32], spot: Placement, slack: float) -> list[Detection]:
        if rows.ndim != 2 or rows.shape[1] != 6 or not np.isfinite(rows).all():
            what = f"shape {rows.shape}" if rows.ndim != 2 or rows.shape[1] != 6 else "numbers that are not finite"
            raise EngineError(f"{self._path}: output {self._output!r} has {what}; needed are finite rows of [N, 6]")
        rows = rows[rows[:, 4] >= self._limits.min() * slack]
        classes = rows[:, 5].astype(np.int64)
        if classes.size and not (classes.min() >= 0 and classes.max() < len(self._labels)):
            raise EngineError(
                f"{self._path}: output {self._output!r} names class {classes.max()}; the manifest has "
                f"{len(self._labels)} labels"
            )
        sure = rows[:, 4] >= self._limits[classes] * slack
        rows, classes = rows[sure], classes[sure]
        boxes = spot.to_picture(rows[:, :4])
        visible = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        found = [
            Detection(self._labels[label], min(1.0, float(score)), (box[0], box[1], box[2], box[3]))
            for label, score, box in zip(classes[visible], rows[visible, 4], boxes[visible].tolist(), strict=True)
        ]
        found.sort(key=lambda detection: -detection.score)
        return found
