"""What a model release says of itself: its artefacts, its input, its thresholds, its golden samples, its licence."""

from functools import lru_cache
from math import sqrt
from pathlib import PurePosixPath
from typing import Annotated, Final

import msgspec

from contract.detections import Detection

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", max_length=200)]

LONGEST: Final = 32
"""Strides of the longest side of an input that fits its picture: a picture of one row stays a picture."""


class ManifestError(ValueError):
    """A manifest that cannot be used; the text names the field."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The input tensor ``[1, 3, height, width]``. A pixel becomes ``(pixel - mean) * scale``; a picture is scaled to
    fit and centred on grey ``letterbox``.

    With ``shape`` ``"fit"`` the graph takes any sides that are multiples of ``stride``. ``fit`` gives those for a
    picture, so that a square or an upright camera does not spend half of its pixels on grey. ``width`` and ``height``
    are then for hardware that needs one shape, and their product is the most pixels that a picture may cost.
    """

    name: str = "images"
    width: int
    height: int
    dtype: str = "uint8"
    layout: str = "nchw"
    colour: str = "rgb"
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    letterbox: int = 114
    shape: str = "fixed"
    stride: int = 32

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the input for a picture of ``width`` x ``height`` pixels."""
        return fit(self, width, height) if self.shape == "fit" else (self.width, self.height)


@lru_cache(maxsize=64)
def fit(spec: Input, width: int, height: int) -> tuple[int, int]:
    """The sides, multiples of ``spec.stride`` and within its pixels, in which a picture is shrunk the least.

    Of sides that serve as well the smaller ones: a small picture is not blown up, which shows nothing more and was
    measured to be seen worse. No side is longer than ``LONGEST`` strides.
    """
    most, stride = spec.width * spec.height // spec.stride**2, spec.stride
    sides = ((c, r) for c in range(1, LONGEST + 1) for r in range(1, LONGEST + 1) if c * r <= most)
    columns, rows = max(sides, key=lambda s: (min(s[0] * stride / width, s[1] * stride / height, 1.0), -s[0] * s[1]))
    return columns * stride, rows * stride


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """How doubles are suppressed, label by label, for hardware whose artefact cannot hold it: boxes under ``score`` are
    dropped, of those that overlap by more than ``iou`` the surest remains, at most ``most`` are kept."""

    score: float = 0.05
    iou: float = 0.55
    most: int = 300


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """The output tensor ``float32 [N, 6]``: x1, y1, x2, y2 in pixels of the input, score, index of the label. The
    graph holds the suppression of doubles."""

    name: str = "detections"
    format: str = "xyxy-score-class"
    suppression: Suppression = Suppression()


class Counting(msgspec.Struct, frozen=True, kw_only=True):
    """How a release of task ``count`` counts. Its output is ``float32 [1, 2, H / cell, W / cell]``: mean and variance
    of the number of heads in each cell.

    Cells are wrong together: the standard deviation of a sum over cells is the root of ``spread`` times its variance
    plus the square of ``relative`` times its mean, both measured on pictures that were held out of training.
    """

    cell: Annotated[int, msgspec.Meta(ge=1)]
    """Pixels of a cell's side, in the input."""
    spread: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    relative: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def deviation(self, heads: float, variance: float) -> float:
        """Standard deviation of a sum over cells, of the sums of their means and variances."""
        return sqrt(self.spread * variance + (self.relative * heads) ** 2)


class Artefact(msgspec.Struct, frozen=True, kw_only=True):
    """One file for one kind of hardware."""

    file: FileName
    sha256: Sha256
    bytes: int
    precision: str


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """A network that reads the characters of what the release finds, one line of them.

    It takes ``images``, uint8 ``[1, 3, height, W]``, BGR: the line scaled to ``height``, on the left of grey
    ``padding`` where it is shorter than ``shortest``. It gives ``steps``, float32 ``[T, 1 + len(characters)]``:
    probabilities from left to right, of none first, then of each character.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")]
    file: FileName
    sha256: Sha256
    bytes: int
    precision: str
    characters: Annotated[str, msgspec.Meta(min_length=1)]
    height: Annotated[int, msgspec.Meta(ge=8, le=128)]
    shortest: Annotated[int, msgspec.Meta(ge=8)] = 8
    longest: Annotated[int, msgspec.Meta(ge=8, le=4096)] = 640
    """Pixels of a line's width, at least and at most; a longer one is squeezed."""
    padding: Annotated[int, msgspec.Meta(ge=0, le=255)] = 127
    licence: str
    notice: str = ""


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """A picture and what the release must see in it, before it may take over."""

    file: FileName
    sha256: Sha256
    expected: tuple[Detection, ...]
    texts: tuple[str, ...] = ()
    """What must be read, one text for each expected detection, where the release has readers."""
    count: float | None = None
    """How many heads must be counted, where the release counts."""


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How far a golden sample's result may lie off: difference of scores, least IoU of boxes; of a count a share of it,
    and ``heads`` besides."""

    score: float = 0.1
    iou: float = 0.7
    count: float = 0.15
    heads: float = 2.0


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A measured figure, with the data it was measured on."""

    name: str
    value: float
    unit: str = ""
    data: str = ""
    split: str = ""
    slice: str = ""
    """The part of the data, such as ``light=night``; empty for the whole."""


class DataSet(msgspec.Struct, frozen=True, kw_only=True):
    """A data set the training used."""

    name: str
    licence: str
    images: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``manifest.json`` of a release."""

    schema: int = 1
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")]
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    task: str = "detect"
    """``detect`` or ``count``."""
    labels: tuple[str, ...]
    input: Input
    output: Output = Output()
    thresholds: dict[str, float]
    artefacts: dict[str, Artefact]
    """By target: ``x86-u8s8``, ``arm64-s8s8``, ``onnx-fp32``, …"""
    counting: Counting | None = None
    """Of a release of task ``count``."""
    readers: tuple[Reader, ...] = ()
    """What reads the text on what is found; they vote."""
    golden: tuple[Golden, ...]
    golden_tolerance: Tolerance = Tolerance()
    metrics: tuple[Metric, ...] = ()
    datasets: tuple[DataSet, ...] = ()
    licence: str
    notice: str = ""
    minimum_runtime: dict[str, str] = {}
    created: str = ""
    answerable: str = ""
    """Who answers for the release, a person or an organisation."""
    follows: str = ""
    """The version that it follows."""

    def files(self) -> dict[str, tuple[str, int | None]]:
        """Every file of the release, as path -> (SHA-256, bytes where stated)."""
        listed: dict[str, tuple[str, int | None]] = {a.file: (a.sha256, a.bytes) for a in self.artefacts.values()}
        listed.update({r.file: (r.sha256, r.bytes) for r in self.readers})
        listed.update({g.file: (g.sha256, None) for g in self.golden})
        return listed


def decode_manifest(raw: bytes) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        ManifestError: not JSON, a field missing or wrong, a label without a threshold, a golden sample without what its
            task needs, a path that leaves the folder.
    """
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise ManifestError(f"manifest cannot be read: {error}") from error
    _check_task(manifest)
    for label in manifest.labels if manifest.task == "detect" else ():
        if not 0.0 < manifest.thresholds.get(label, -1.0) < 1.0:
            raise ManifestError(f"manifest of {manifest.name}: label {label!r} has no threshold between 0 and 1")
    spec = manifest.input
    if spec.shape not in ("fixed", "fit"):
        raise ManifestError(f"manifest of {manifest.name}: input.shape {spec.shape!r} is neither 'fixed' nor 'fit'")
    if spec.stride < 1 or min(spec.width, spec.height) < spec.stride:
        raise ManifestError(
            f"manifest of {manifest.name}: input {spec.width}x{spec.height} is smaller than its stride {spec.stride}"
        )
    if not manifest.artefacts:
        raise ManifestError(f"manifest of {manifest.name} lists no artefact")
    if len(manifest.golden) < 1:
        raise ManifestError(f"manifest of {manifest.name} has no golden sample; a release without one cannot be tried")
    for sample in manifest.golden:
        if sample.texts and len(sample.texts) != len(sample.expected):
            raise ManifestError(
                f"manifest of {manifest.name}: golden sample {sample.file!r} has {len(sample.texts)} texts for "
                f"{len(sample.expected)} detections"
            )
    for file in manifest.files():
        if ".." in PurePosixPath(file).parts:
            raise ManifestError(f"manifest of {manifest.name}: file {file!r} leaves the release's folder")
    return manifest


def _check_task(manifest: Manifest) -> None:
    begin = f"manifest of {manifest.name}"
    if manifest.task not in ("detect", "count"):
        raise ManifestError(f"{begin}: task {manifest.task!r} is neither 'detect' nor 'count'")
    if (manifest.task == "count") != (manifest.counting is not None):
        raise ManifestError(f"{begin}: 'counting' belongs to a release of task 'count', and to no other")
    if manifest.counting is not None and manifest.input.stride % manifest.counting.cell:
        cell, stride = manifest.counting.cell, manifest.input.stride
        raise ManifestError(f"{begin}: input.stride {stride} is not made of whole cells of {cell} pixels")
    for sample in manifest.golden:
        if (manifest.task == "count") != (sample.count is not None):
            raise ManifestError(f"{begin}: golden sample {sample.file!r} must have a 'count' where the task is 'count'")


def encode_manifest(manifest: Manifest) -> bytes:
    """``manifest.json``, indented for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
