"""A counter's artefact run plainly, before there is a manifest; a test holds that the box counts the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contract.manifest import Input
from models.workshop.crowd.recipe import INPUT, OUTPUT
from models.workshop.session import open_session
from models.workshop.sets.data import Image, letterbox


class CountRunner:
    """A counter from one ONNX file, on one thread of the CPU; calling it is a `Counts` before any calibration.

    Raises `FileNotFoundError` when there is no such file.
    """

    def __init__(self, path: Path, input: Input = INPUT) -> None:  # noqa: A002
        if not path.is_file():
            raise FileNotFoundError(f"artefact {path} does not exist; run export and quantize first")
        self.session, self.input = open_session(path), input

    def __call__(self, image: Image) -> tuple[float, float]:
        """Mean and variance of the number of heads in a picture (HxWx3 uint8 BGR)."""
        canvas, _, _, _ = letterbox(image, *self.input.fit(image.shape[1], image.shape[0]))
        pixels = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))[None]
        mean, variance = self.session.run([OUTPUT.name], {"images": pixels})[0][0].sum((1, 2), dtype=np.float64)
        return float(mean), float(variance)
