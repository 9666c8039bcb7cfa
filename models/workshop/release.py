"""A release in the zoo: artefacts, golden samples and figures put together under one manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import (
    Artefact,
    DataSet,
    Golden,
    Input,
    Manifest,
    Metric,
    Tolerance,
    decode_manifest,
    encode_manifest,
)
from models.workshop.evaluate import Figure
from models.workshop.golden import sha256

PRECISION = {"x86-u8s8": "int8", "arm64-s8s8": "int8", "onnx-fp32": "fp32"}
RUNTIME = {"onnxruntime": ">=1.20"}


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
    result = []
    for figure in figures:
        found = re.match(r"[a-z0-9-]+/(?P<split>train|val|test)\b", figure.conditions)
        split = found["split"] if found else ""
        result.append(
            Metric(
                name=figure.name, value=round(figure.value, 4), unit=figure.unit, data=figure.conditions, split=split
            )
        )
    return tuple(result)


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
) -> Manifest:
    """Write `manifest.json` of a release into its folder and return it, read back.

    `spec` is the input, `files` the artefact's file by target, `created` an ISO 8601 date.
    Raises `contract.manifest.ManifestError` when what was given does not make a usable manifest.
    """
    manifest = Manifest(
        name=name,
        version=version,
        labels=labels,
        input=spec,
        thresholds=dict(thresholds),
        artefacts={target: artefact(folder, target, file) for target, file in files.items()},
        golden=tuple(golden),
        golden_tolerance=Tolerance(score=0.15, iou=0.7),
        metrics=metrics(figures),
        datasets=origin.datasets,
        licence=origin.licence,
        notice=origin.notice,
        minimum_runtime=RUNTIME,
        created=created,
    )
    raw = encode_manifest(manifest)
    read = decode_manifest(raw)
    (folder / "manifest.json").write_bytes(raw)
    return read
