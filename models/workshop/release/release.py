"""A release in the zoo: artefacts, golden samples and figures put together under one manifest.

A release that is too large, lost too much to INT8, or cannot be tried on a box is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import (
    Artefact,
    Counting,
    DataSet,
    Golden,
    Input,
    Manifest,
    Metric,
    Output,
    Reader,
    Tolerance,
    decode_manifest,
    encode_manifest,
)
from models.workshop.evaluation.evaluate import Figure
from models.workshop.release.filing import ANSWERABLE
from models.workshop.release.golden import sha256

PRECISION = {"x86-u8s8": "int8", "arm64-s8s8": "int8", "onnx-fp32": "fp32"}
RUNTIME = {"onnxruntime": ">=1.20"}
OUTPUT = Output()
TOLERANCE = Tolerance(score=0.15, iou=0.7)
REFERENCE = "onnx-fp32"
MODEL_BYTES, ZOO_BYTES = 12_000_000, 40_000_000
"""Most bytes of a release with all its files, and of all releases of the zoo. Readers are models of their own: each may
have as many as a release, and they are not counted with it."""
GOLDEN = 3
"""Fewest golden samples."""
MOST_LOSS = 0.02
"""Loss of mAP50 to INT8 on `val` above which a release is refused."""


class RefusedError(ValueError):
    """A release that must not ship; the text says what is wrong and with which file."""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from: data sets, licence of the weights, and the notice that must travel with them."""

    datasets: tuple[DataSet, ...]
    licence: str
    notice: str


def artefact(folder: Path, target: str, file: str) -> Artefact:
    """An artefact as it lies in the folder. Raises `FileNotFoundError` naming it."""
    path = folder / file
    if not path.is_file():
        raise FileNotFoundError(f"artefact {path} for target '{target}' does not exist; run export and quantize first")
    return Artefact(file=file, sha256=sha256(path), bytes=path.stat().st_size, precision=PRECISION.get(target, "int8"))


def metrics(figures: Sequence[Figure]) -> tuple[Metric, ...]:
    """Figures as the manifest lists them; `conditions` of the form `set/split, …` gives data and split."""
    return tuple(
        Metric(
            name=figure.name,
            value=round(figure.value, 4),
            unit=figure.unit,
            data=figure.conditions,
            split=_split(figure),
            slice=figure.slice,
        )
        for figure in figures
    )


def _split(figure: Figure) -> str:
    found = re.match(r"[A-Za-z0-9_-]+/(?P<split>train|val|test|read|crop)\b", figure.conditions)
    return found["split"] if found else ""


def int8_loss(name: str, figures: Sequence[Figure], targets: Iterable[str]) -> list[Figure]:
    """`NAME.int8_loss`: mAP50 of the FP32 reference less that of each INT8 artefact, split by split."""
    known: dict[tuple[str, str], Figure] = {}
    for figure in figures:
        whole = not figure.slice and figure.conditions.split(",")[0].split(";")[0].count("/") == 1
        if figure.name == f"{name}.map50" and whole:
            known[_split(figure), figure.conditions.rpartition("; ")[2]] = figure
    result = []
    for (split, target), figure in known.items():
        before = known.get((split, REFERENCE))
        if split and before is not None and target in targets and target != REFERENCE:
            about = f"{figure.conditions}, against {REFERENCE}"
            result.append(Figure(f"{name}.int8_loss", before.value - figure.value, "", about))
    return result


def refuse_loss(figures: Sequence[Figure]) -> None:
    """Raises `RefusedError` naming the artefact that loses more than `MOST_LOSS` on `val`."""
    for figure in figures:
        if figure.name.endswith(".int8_loss") and _split(figure) == "val" and figure.value > MOST_LOSS:
            raise RefusedError(
                f"{figure.conditions}: INT8 loses {figure.value:.3f} of mAP50, more than {MOST_LOSS:g}; find better "
                "settings with 'vedette models quantize --study', or release it all the same with --force"
            )


def refuse_golden(golden: Sequence[Golden], labels: Sequence[str]) -> None:
    """Raises `RefusedError` unless there are `GOLDEN` samples, one with each label in it, and one with nothing."""
    if len(golden) < GOLDEN:
        raise RefusedError(f"{len(golden)} golden samples; needed are {GOLDEN}, so that a box can try the release")
    seen = {found.label for sample in golden for found in sample.expected}
    missing = [label for label in labels if label not in seen]
    if missing:
        raise RefusedError(
            f"no golden sample in which {' or '.join(missing)} is surely seen; a box could not tell whether it still is"
        )
    for sample in golden:
        if "" in sample.texts:
            raise RefusedError(f"golden sample {sample.file}: nothing is read on what is found in it")
    if all(sample.expected for sample in golden):
        raise RefusedError("every golden sample has something in it; needed is one in which nothing must be seen")


def refuse_size(folder: Path, manifest: Manifest) -> None:
    """Raises `RefusedError` when the release is larger than `MODEL_BYTES`, or with its neighbours than `ZOO_BYTES`.

    Neighbours are the releases beside `folder`: folders with a manifest of their own.
    """
    for reader in manifest.readers:
        if reader.bytes > MODEL_BYTES:
            raise RefusedError(
                f"{folder / reader.file}: {reader.bytes / 1e6:.1f} MB, most for a reader is {MODEL_BYTES / 1e6:g}"
            )
    own = {file: (folder / file).stat().st_size for file in _counted(manifest)}
    if sum(own.values()) > MODEL_BYTES:
        largest = max(own, key=lambda file: own[file])
        raise RefusedError(
            f"{folder}: {sum(own.values()) / 1e6:.1f} MB, most is {MODEL_BYTES / 1e6:g}; the largest file is "
            f"{folder / largest} with {own[largest] / 1e6:.1f} MB"
        )
    whole = sum(own.values())
    beside = [p.parent for p in sorted(folder.resolve().parent.glob("*/manifest.json"))]
    for other in beside:
        if other != folder.resolve():
            there = decode_manifest((other / "manifest.json").read_bytes())
            whole += sum((other / file).stat().st_size for file in _counted(there) if (other / file).is_file())
    if whole > ZOO_BYTES:
        raise RefusedError(
            f"{folder}: with it the releases in {folder.resolve().parent} are {whole / 1e6:.1f} MB, most is "
            f"{ZOO_BYTES / 1e6:g}"
        )


def _counted(manifest: Manifest) -> list[str]:
    """The files of a release, its readers aside."""
    readers = {reader.file for reader in manifest.readers}
    return [file for file in manifest.files() if file not in readers]


def previous(folder: Path, name: str, version: str) -> str:
    """The version of the release that lies in the folder, empty where there is none or it is the same."""
    path = folder / "manifest.json"
    if not path.is_file():
        return ""
    there = decode_manifest(path.read_bytes())
    if there.name != name:
        raise RefusedError(f"{path} is of '{there.name}', not of '{name}'; release it into another folder")
    return there.follows if there.version == version else there.version


def publish(
    folder: Path,
    name: str,
    version: str,
    labels: tuple[str, ...],
    spec: Input,
    thresholds: Mapping[str, float],
    files: Mapping[str, str],
    golden: Sequence[Golden],
    figures: Sequence[Figure],
    origin: Origin,
    created: str,
    answerable: str = "",
    output: Output = OUTPUT,
    readers: Sequence[Reader] = (),
    tolerance: Tolerance = TOLERANCE,
    counting: Counting | None = None,
) -> Manifest:
    """Write `manifest.json` of a release into its folder and return it, read back.

    `spec` is the input, `output` the output, `files` the artefact's file by target, `created` an ISO 8601 date,
    `answerable` a person or an organisation, `counting` that of a release that counts. Raises
    `contract.manifest.ManifestError` when what was given does not make a usable manifest, `RefusedError` when it is too
    large.
    """
    manifest = Manifest(
        name=name,
        version=version,
        task="detect" if counting is None else "count",
        labels=labels,
        input=spec,
        output=output,
        thresholds=dict(thresholds),
        artefacts={target: artefact(folder, target, file) for target, file in files.items()},
        counting=counting,
        readers=tuple(readers),
        golden=tuple(golden),
        golden_tolerance=tolerance,
        metrics=metrics(figures),
        datasets=origin.datasets,
        licence=origin.licence,
        notice=origin.notice,
        minimum_runtime=RUNTIME,
        created=created,
        answerable=answerable or ANSWERABLE,
        follows=previous(folder, name, version),
    )
    raw = encode_manifest(manifest)
    read = decode_manifest(raw)
    refuse_size(folder, read)
    (folder / "manifest.json").write_bytes(raw)
    return read
