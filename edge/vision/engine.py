"""Detectors: a model release on a machine, from picture to detections.

``Engine`` is what the rest of the node knows. What runs it, ONNX Runtime or another library, is a module of
``edge.vision.runtimes``, chosen by ``edge.vision.choice`` and loaded by ``load_engine``. Every fault is an
``EngineError``: a picture that could not be looked at is never an empty list.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from contract.detections import Detection
from contract.manifest import Artefact, Manifest, ManifestError, decode_manifest
from contract.records import ModelRef
from edge.vision.picture import Bgr

LIMIT_S: Final = 5.0
"""Longest time for one picture; a detector slower than this is broken, not slow."""


class EngineError(RuntimeError):
    """A release that cannot run, or a run that failed; the text names the file, what was found and what is needed."""


class EngineTimeoutError(EngineError):
    """An inference took longer than allowed and was ended, or given up where it cannot be ended."""


class Engine(Protocol):
    """A detector, ready to look. Not for two threads at once."""

    @property
    def model(self) -> ModelRef:
        """Which release this is, with its artefact's hash."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Every label the release knows, with the score from which on it is believed."""

    def detect(self, image: Bgr, slack: float = 1.0) -> list[Detection]:
        """What is in the picture, best first.

        Args:
            image: ``[h, w, 3]`` uint8 BGR; ``to_bgr`` is applied to anything else.
            slack: the release's thresholds are multiplied by it; below 1 also what the release is less sure of.

        Returns:
            Boxes as fractions of the picture.

        Raises:
            EngineError: the picture or the run is at fault; it says nothing about what is in the picture.
        """

    def warm_up(self) -> None:
        """Run once on an empty picture, so that the first real one is not slow. Raises ``EngineError``."""

    def close(self) -> None:
        """Let go of memory and threads."""


def read_release(folder: Path) -> Manifest:
    """The manifest of the release in ``folder``.

    Raises:
        EngineError: there is none, or it cannot be used.
    """
    path = folder / "manifest.json"
    try:
        return decode_manifest(path.read_bytes())
    except OSError as error:
        raise EngineError(f"no model in {folder}: {path.name} cannot be read ({error.strerror})") from error
    except ManifestError as error:
        raise EngineError(f"{path}: {error}") from error


def choose_target(artefacts: Mapping[str, Artefact], machine: str | None = None) -> str:
    """The name of the artefact that ONNX Runtime takes on this machine (or on ``machine``, see ``choose``).

    Raises:
        EngineError: there is neither one for this machine nor the fallback.
    """
    from edge.vision.choice import choose

    return choose(artefacts, "onnxruntime", machine=machine).target


def load_engine(
    manifest: Manifest,
    folder: Path,
    threads: int,
    *,
    engine: str = "auto",
    target: str | None = None,
    limit_s: float = LIMIT_S,
) -> Engine:
    """The release in ``folder``, ready to look.

    Args:
        manifest: what the release says of itself.
        folder: where its files lie.
        threads: processor threads within one operator; they sleep when there is nothing to do.
        engine: what shall run it, or ``auto``; see ``edge.vision.choice.choose``.
        target: which of its artefacts; the one that suits machine and engine when left out.
        limit_s: longest time for one picture.

    Raises:
        EngineError: no artefact or no library for it; file missing, another hash, not what the library reads, another
            input or output than the manifest's.
    """
    from edge.vision.choice import choose
    from edge.vision.loading import load

    return load(manifest, folder, choose(manifest.artefacts, engine, target), threads, limit_s)
