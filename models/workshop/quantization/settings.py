"""How an artefact is quantized: the settings, those that are tried, and those stated for each target."""

from __future__ import annotations

import msgspec

FORMATS = ("qdq", "qoperator")
ACTIVATIONS = ("u8", "s8")
METHODS = ("minmax", "percentile-99.9", "percentile-99.99", "percentile-99.999", "entropy")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an artefact is quantized. Weights are signed bytes around zero in all of them."""

    format: str = "qdq"
    """`qdq`: FP32 operators between quantize and dequantize nodes; `qoperator`: integer operators by name."""
    activation: str = "u8"
    """`u8` or `s8`: the bytes that activations become."""
    symmetric: bool = False
    """Whether zero is in the middle of an activation's range."""
    per_channel: bool = True
    """A scale for each channel of a weight, instead of one for all."""
    reduce_range: bool = False
    """Weights of 7 bits: what a processor without VNNI needs, lest its sums of 16 bits overflow."""
    method: str = "minmax"
    """One of `ranges.METHODS`."""
    pictures: int = 128
    """Calibration pictures."""
    float_layers: tuple[str, ...] = ()
    """Convolutions of the body, by their node's name, that stay in FP32 with their activation."""

    def check(self) -> None:
        """Raises `ValueError` naming the setting that cannot be."""
        if self.format not in FORMATS:
            raise ValueError(f"format '{self.format}' is not one of {', '.join(FORMATS)}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation '{self.activation}' is not one of {', '.join(ACTIVATIONS)}")
        if self.method not in METHODS:
            raise ValueError(f"calibration method '{self.method}' is not one of {', '.join(METHODS)}")
        if self.pictures < 1:
            raise ValueError(f"calibration needs at least one picture, not {self.pictures}")


FIRST = (
    "/stem/conv/Conv",
    "/stage2/stage2.0/stage2.0.0/conv/Conv",
    "/stage2/stage2.0/stage2.0.1/conv/Conv",
)
TARGETS: dict[str, Settings] = {
    "x86-u8s8": Settings(method="percentile-99.999", float_layers=FIRST),
    "arm64-s8s8": Settings(activation="s8", method="percentile-99.999", float_layers=FIRST),
}
"""What is used where no study has chosen for a model: of the fire detector 1.0.0 the first layers alone cost a fifth of
the average precision in INT8."""
