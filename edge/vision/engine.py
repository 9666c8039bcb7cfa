"""Detectors: a model release on a machine, from picture to detections.

``Engine`` is what the rest of the node knows; ``OnnxEngine`` runs a release on ONNX Runtime's CPU provider. Every fault
is an ``EngineError``: a picture that could not be looked at is never an empty list.
"""

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contract.detections import Detection
from contract.manifest import Artefact, Input, Manifest, ManifestError, decode_manifest
from contract.records import ModelRef
from edge.vision.deadline import Deadline
from edge.vision.letterbox import Canvas, Letterbox, Placement
from edge.vision.picture import Bgr, PictureError, to_bgr

FALLBACK: Final = "onnx-fp32"
TARGETS: Final = {"x86_64": "x86-u8s8", "AMD64": "x86-u8s8", "aarch64": "arm64-s8s8", "arm64": "arm64-s8s8"}
"""The artefact for a machine, by ``platform.machine()``; one INT8 file cannot serve all."""
LIMIT_S: Final = 5.0
"""Longest time for one picture; a detector slower than this is broken, not slow."""

_TENSORS: Final = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "float16": "tensor(float16)"}


class EngineError(RuntimeError):
    """A release that cannot run, or a run that failed; the text names the file, what was found and what is needed."""


class EngineTimeoutError(EngineError):
    """An inference took longer than allowed and was ended."""


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


def choose_target(artefacts: Mapping[str, Artefact], machine: str | None = None) -> str:
    """The name of the artefact for this machine (or for ``machine``, as ``platform.machine()`` names it).

    Raises:
        EngineError: there is neither one for this machine nor the fallback.
    """
    machine = machine or platform.machine()
    wanted = TARGETS.get(machine, FALLBACK)
    for target in (wanted, FALLBACK):
        if target in artefacts:
            return target
    raise EngineError(f"no artefact for {machine}: needed is {wanted!r} or {FALLBACK!r}, found {sorted(artefacts)}")


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


def load_engine(manifest: Manifest, folder: Path, threads: int) -> "OnnxEngine":
    """The engine for the artefact that suits this machine.

    Raises:
        EngineError: see ``OnnxEngine``.
    """
    return OnnxEngine(manifest, folder, choose_target(manifest.artefacts), threads)


class OnnxEngine:
    """A release on ONNX Runtime.

    The file is read once; what was hashed is what runs. The input's memory is allocated once.

    Args:
        manifest: what the release says of itself.
        folder: where its files lie.
        target: which of its artefacts to run.
        threads: processor threads within one operator; they sleep when there is nothing to do.
        limit_s: longest time for one picture.

    Raises:
        EngineError: file missing, another hash, not ONNX, another input or output than the manifest's.
    """

    def __init__(
        self, manifest: Manifest, folder: Path, target: str, threads: int = 1, limit_s: float = LIMIT_S
    ) -> None:
        artefact = manifest.artefacts.get(target)
        if artefact is None:
            raise EngineError(
                f"model {manifest.name} {manifest.version} has no artefact {target!r}; it has "
                f"{sorted(manifest.artefacts)}"
            )
        self._path = folder / artefact.file
        self._labels = manifest.labels
        self._limits = np.array([manifest.thresholds[label] for label in manifest.labels], np.float32)
        self._model = ModelRef(name=manifest.name, version=manifest.version, sha256=artefact.sha256)
        _check_input(self._path, manifest.input)
        self._session = _open_session(self._path, _read_checked(self._path, artefact), threads)
        _check_tensors(self._path, self._session, manifest)
        self._letterbox = Letterbox(manifest.input)
        self._output = manifest.output.name
        self._input = manifest.input.name
        self._deadline = Deadline(limit_s)

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
        return self._read(self._run(canvas), spot, slack)

    def warm_up(self) -> None:
        """See ``Engine.warm_up``."""
        self.detect(np.full((64, 64, 3), 114, np.uint8))

    def close(self) -> None:
        """See ``Engine.close``; the session's memory goes with the last reference to it."""
        self._deadline.close()

    def _run(self, canvas: Canvas) -> NDArray[np.float32]:
        # Not a copy: the session reads the canvas's own memory.
        inputs = {self._input: ort.OrtValue.ortvalue_from_numpy(canvas.tensor)}
        options = ort.RunOptions()
        self._deadline.begin(options)
        outputs: list[Any] = []
        problem: Exception | None = None
        try:
            outputs = self._session.run_with_ort_values([self._output], inputs, options)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common class
            problem = error
        if self._deadline.end():
            raise EngineTimeoutError(
                f"{self._path}: no result within {self._deadline.limit_s:g} s; the machine is too slow or too busy"
            )
        if problem is not None:
            raise EngineError(f"{self._path}: the run failed: {problem}") from problem
        result: NDArray[np.float32] = outputs[0].numpy()
        return result

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


def _check_input(path: Path, spec: Input) -> None:
    if spec.dtype not in _TENSORS or spec.layout != "nchw" or spec.colour not in ("rgb", "bgr"):
        raise EngineError(
            f"{path}: the manifest wants an input of {spec.dtype}, {spec.layout}, {spec.colour}; this node can give "
            f"{', '.join(_TENSORS)}, nchw, rgb or bgr"
        )


def _read_checked(path: Path, artefact: Artefact) -> bytes:
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


def _open_session(path: Path, raw: bytes, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the processor from the cameras' decoders while there is no picture to look at.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {error}") from error


def _check_tensors(path: Path, session: Any, manifest: Manifest) -> None:
    spec = manifest.input
    fixed = (1, 3, spec.height, spec.width)
    _check_tensor(path, "input", session.get_inputs(), spec.name, _TENSORS[spec.dtype], fixed)
    if spec.shape == "fit" and any(isinstance(side, int) for side in session.get_inputs()[0].shape[2:]):
        raise EngineError(
            f"{path} takes {session.get_inputs()[0].shape} alone, its manifest says that it takes any shape"
        )
    if len(session.get_inputs()) > 1:
        raise EngineError(f"{path} has {len(session.get_inputs())} inputs; needed is {spec.name!r} alone")
    _check_tensor(path, "output", session.get_outputs(), manifest.output.name, "tensor(float)", (None, 6))


def _check_tensor(path: Path, what: str, found: list[Any], name: str, kind: str, shape: tuple[int | None, ...]) -> None:
    """A size the graph leaves open, or we do, fits anything."""
    tensor = next((item for item in found if item.name == name), None)
    if tensor is None:
        raise EngineError(f"{path} has no {what} {name!r}, which its manifest names; it has {[t.name for t in found]}")
    fits = len(tensor.shape) == len(shape) and all(
        want is None or not isinstance(have, int) or have == want
        for have, want in zip(tensor.shape, shape, strict=True)
    )
    if tensor.type != kind or not fits:
        needed = ["N" if size is None else size for size in shape]
        raise EngineError(f"{path}: {what} {name!r} is {tensor.type} {tensor.shape}; needed is {kind} {needed}")
