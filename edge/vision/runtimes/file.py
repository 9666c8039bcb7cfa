"""A release's artefact, read once and checked: what was hashed is what runs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.manifest import Artefact, Input, Manifest, Reader
from edge.vision.engine import EngineError

TYPES: Final = ("uint8", "float32", "float16")
"""Types of input that a letterbox can give."""


class Runtime(Protocol):
    """An artefact loaded by one library. Not for two threads at once."""

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """The manifest's output for a tensor ``[1, 3, H, W]``: rows ``[N, 6]`` of x1, y1, x2, y2 in input pixels,
        score, index of the label; or maps ``[1, 2, h, w]`` of a release that counts.

        Raises:
            EngineError: the run failed, or (``EngineTimeoutError``) took too long.
        """

    def close(self) -> None:
        """Let go of memory, threads and devices."""


@dataclass(frozen=True)
class ModelFile:
    """What a runtime needs to know: the artefact's bytes, what they should hold, and how to run them."""

    path: Path
    raw: bytes
    manifest: Manifest
    spec: Input
    """The manifest's input; its ``shape`` is ``"fixed"`` on hardware that takes one shape alone."""
    threads: int
    limit_s: float


@dataclass(frozen=True)
class Tensor:
    """An input or output as a library describes it; None stands for a side that is open."""

    name: str
    type: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.type} {['N' if side is None else side for side in self.shape]}"


def read_file(path: Path, artefact: Artefact | Reader) -> bytes:
    """The bytes of an artefact or a reader.

    Raises:
        EngineError: it cannot be read, or is another file than the manifest names.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror}; the release is not whole") from error
    found = hashlib.sha256(raw).hexdigest()
    if found != artefact.sha256:
        raise EngineError(
            f"{path} is not the file its manifest names: SHA-256 is {found}, needed is {artefact.sha256} "
            f"({len(raw)} bytes, needed {artefact.bytes})"
        )
    return raw


def check_spec(path: Path, spec: Input) -> None:
    """Refuse an input that no letterbox can give, with an ``EngineError``."""
    if spec.dtype not in TYPES or spec.layout != "nchw" or spec.colour not in ("rgb", "bgr"):
        raise EngineError(
            f"{path}: the manifest wants an input of {spec.dtype}, {spec.layout}, {spec.colour}; this node can give "
            f"{', '.join(TYPES)}, nchw, rgb or bgr"
        )


def check_tensors(file: ModelFile, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Compare what a library found in the artefact with the manifest.

    Raises:
        EngineError: another name, type or shape, a second input, or fixed sides where the manifest says that any fit.
    """
    spec = file.spec
    images = _find(file.path, "input", inputs, Tensor(spec.name, spec.dtype, (1, 3, spec.height, spec.width)))
    if spec.shape == "fit" and any(side is not None for side in images.shape[2:]):
        raise EngineError(f"{file.path} takes {images} alone, its manifest says that it takes any shape")
    if len(inputs) > 1:
        raise EngineError(f"{file.path} has {len(inputs)} inputs; needed is {spec.name!r} alone")
    shape = (None, 6) if file.manifest.counting is None else (1, 2, None, None)
    _find(file.path, "output", outputs, Tensor(file.manifest.output.name, "float32", shape))


def _find(path: Path, what: str, found: Sequence[Tensor], needed: Tensor) -> Tensor:
    """A side that the graph leaves open, or we do, fits anything."""
    tensor = next((item for item in found if item.name == needed.name), None)
    if tensor is None:
        names = [item.name for item in found]
        raise EngineError(f"{path} has no {what} {needed.name!r}, which its manifest names; it has {names}")
    fits = len(tensor.shape) == len(needed.shape) and all(
        want is None or have is None or have == want for have, want in zip(tensor.shape, needed.shape, strict=True)
    )
    if tensor.type != needed.type or not fits:
        raise EngineError(f"{path}: {what} {needed.name!r} is {tensor}; needed is {needed}")
    return tensor


def too_slow(path: Path, limit_s: float) -> str:
    """What to say of a run that was ended."""
    return f"{path}: no result within {limit_s:g} s; the machine is too slow or too busy"


def still_busy(file: ModelFile) -> str:
    """What to say of a picture that came while a run that was given up still goes on."""
    return f"{file.path}: no result within {file.limit_s:g} s for an earlier picture, and that run still goes on"
