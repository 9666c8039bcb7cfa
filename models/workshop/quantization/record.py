"""`quantization.json` of a release: what a study tried, what it chose, and why. Settings are read back from it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from models.workshop.quantization.settings import TARGETS, Settings

FILE = "quantization.json"
MAX_LOSS, MAX_F1_LOSS = 0.01, 0.02
"""Most that INT8 may cost on `val`: of mAP50, and of F1 at the shipped thresholds, which hangs on fewer boxes."""


class RecordError(ValueError):
    """A `quantization.json` that cannot be used; the text names the file."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One way to quantize, measured.

    `loss` is FP32's mAP50 less this one's, on the study's pictures, `f1_loss` the same of F1 at the shipped thresholds;
    `val_loss` and `val_f1_loss` are those on the whole of `val`, for the few that were measured there. `time` is its
    share of FP32's time, one thread, in turns.
    """

    target: str
    what: str
    settings: Settings
    map50: float
    loss: float
    bytes: int
    ms: float
    fp32_ms: float
    time: float
    f1_loss: float = 0.0
    val_map50: float | None = None
    val_loss: float | None = None
    val_f1_loss: float = 0.0

    @property
    def excess(self) -> float:
        """What it loses as a share of what it may lose, of mAP50 or F1, whichever is more; on `val` where known.

        mAP50 alone does not see scores that sink together, and then fewer of them reach the threshold.
        """
        if self.val_loss is not None:
            return max(self.val_loss / MAX_LOSS, self.val_f1_loss / MAX_F1_LOSS)
        return max(self.loss / MAX_LOSS, self.f1_loss / MAX_F1_LOSS)


class Layer(msgspec.Struct, frozen=True):
    """A layer, and the score that it moves in a picture when it alone is in INT8."""

    name: str
    moved: float


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """A network quantized in the plain form: what its activation function costs and gains."""

    function: str
    network: str
    data: str
    fp32: float
    int8: float
    fp32_ms: float
    int8_ms: float
    time: float
    size: str


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried, and what was chosen."""

    schema: int = 1
    model: str
    source_sha256: str
    machine: str
    data: str
    calibration: str
    fp32_map50: float
    fp32_bytes: int
    rows: tuple[Row, ...]
    layers: tuple[Layer, ...]
    chosen: dict[str, Settings]
    reasons: dict[str, str]
    activations: tuple[Activation, ...] = ()


def write_study(folder: Path, study: Study) -> Path:
    """Write `quantization.json` of a release. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(study), indent=1) + b"\n")
    return path


def read_study(folder: Path) -> Study | None:
    """The study of a release, None where there is none. Raises `RecordError` when it cannot be read."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Study)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path}: {error}; delete it, or make it again with 'quantize --study'") from error


def chosen(folder: Path, target: str, model: str) -> tuple[Settings, str]:
    """The settings of a target for the model in `folder`, and where they come from.

    Raises `ValueError` for an unknown target, `RecordError` for a record that is broken or of another model.
    """
    if target not in TARGETS:
        raise ValueError(f"target '{target}' is not one of {', '.join(TARGETS)}")
    found = read_study(folder)
    if found is not None and found.model != model:
        raise RecordError(f"{folder / FILE} is the study of '{found.model}', not of '{model}'")
    if found is None or target not in found.chosen:
        return TARGETS[target], "the stated settings (no study has chosen others)"
    return found.chosen[target], f"chosen by the study in {FILE}"
