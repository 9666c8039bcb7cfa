"""A release that counts, ready to look: from the picture to a map of heads."""

from collections.abc import Mapping

import numpy as np

from contract.detections import Detection
from contract.records import ModelRef
from edge.vision.density import Density
from edge.vision.engine import EngineError
from edge.vision.letterbox import Letterbox, Placement
from edge.vision.picture import Bgr, PictureError, to_bgr
from edge.vision.runtimes.file import ModelFile, Runtime


class CountEngine:
    """An ``Engine`` that has no boxes to give, but a ``count``.

    Args:
        file: the artefact of a release of task ``count``.
        runtime: the artefact, loaded.
        sha256: of the artefact.
    """

    def __init__(self, file: ModelFile, runtime: Runtime, sha256: str) -> None:
        manifest = file.manifest
        assert manifest.counting is not None
        self._path, self._output, self._counting = file.path, manifest.output.name, manifest.counting
        self._model = ModelRef(name=manifest.name, version=manifest.version, sha256=sha256)
        self._runtime = runtime
        self._spec, self._letterbox = file.spec, Letterbox(file.spec)

    @property
    def model(self) -> ModelRef:
        """Which release this is."""
        return self._model

    @property
    def thresholds(self) -> Mapping[str, float]:
        """None: nothing is found one by one."""
        return {}

    def detect(self, image: Bgr, slack: float = 1.0) -> list[Detection]:
        """No boxes. Raises ``EngineError`` as ``count`` does."""
        self.count(image)
        return []

    def count(self, image: Bgr) -> Density:
        """The heads in a picture (``[h, w, 3]`` uint8 BGR; ``to_bgr`` is applied to anything else).

        Raises:
            EngineError: the picture or the run is at fault; it says nothing about who is there.
        """
        try:
            canvas, spot = self._letterbox.put(to_bgr(image))
        except PictureError as error:
            raise EngineError(f"model {self._model.name}: {error}") from error
        maps = self._runtime.run(canvas.tensor)
        sides = canvas.tensor.shape[2:]
        wanted = (1, 2, sides[0] // self._counting.cell, sides[1] // self._counting.cell)
        if maps.shape != wanted or not np.isfinite(maps).all() or (maps < 0).any():
            what = f"shape {maps.shape}" if maps.shape != wanted else "numbers that are no means and variances"
            raise EngineError(f"{self._path}: output {self._output!r} has {what}; needed is {wanted}, 0 or more")
        return Density(maps[0, 0], maps[0, 1], _frame(spot, sides[1], sides[0]), self._counting)

    def warm_up(self) -> None:
        """See ``Engine.warm_up``."""
        self.count(np.full((self._spec.height, self._spec.width, 3), self._spec.letterbox, np.uint8))

    def close(self) -> None:
        """See ``Engine.close``."""
        self._runtime.close()


def _frame(spot: Placement, width: int, height: int) -> tuple[float, float, float, float]:
    """The input's sides in fractions of the picture that lies in it."""
    return (
        -spot.left / spot.width,
        -spot.top / spot.height,
        (width - spot.left) / spot.width,
        (height - spot.top) / spot.height,
    )
