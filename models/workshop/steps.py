"""The workshop's steps, one function each, in the order in which they are done.

`gather`, `prepare`; those of `models.workshop.trainer`; `export_detector`; then those of `release.ship`. They
keep what they make in a work folder, with a record of what it was made from in `<name>.<step>.json`, and go on where
they stopped. They need the `train` extra, in an environment of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.workshop.progress import Log as Log
from models.workshop.progress import track
from models.workshop.provenance import file_hash, recorded
from models.workshop.recipes import recipe
from models.workshop.release.golden import Detect
from models.workshop.sets.data import Picture, write_set
from models.workshop.sets.merge import SETS, Merged, merge, training

KNOWN = {"personlike": ("person",), "license_plates_us_eu_conztantinee": ("vehicle",)}
"""What people labelled in the pictures that teachers see."""


class MissingExtraError(ImportError):
    """A package of the `train` extra is not installed; the text says how to install it."""


def need(*packages: str) -> None:
    """Raises `MissingExtraError` naming the packages that are not installed."""
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{', '.join(missing)} not installed; make an environment for training: "
            "python -m venv train && train/bin/pip install 'vedette[train]'"
        )


def start_weights(data: Path) -> Path:
    """The published COCO weights that training starts from. Raises `FileNotFoundError`."""
    found = sorted((data / "weights").glob("yolox_nano_coco*.onnx"))
    if not found:
        raise FileNotFoundError(f"{data / 'weights'}: no yolox_nano_coco*.onnx to start from")
    return found[0]


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes its name when it is full: a broken step leaves none that looks complete."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def gather(data: Path, work: Path, command: str = "data") -> Merged:
    """Read the sets, find what is nearly the same, write `work/data.json`. Raises what `merge` raises."""
    with recorded(work / "sets.data.json", command) as record:
        merged = merge(data, work)
        record.takes(*(data / name / "labels.jsonl" for name in SETS))
        record.states(
            data=str(data),
            pictures=len(merged.entries),
            left_out=sum(bool(e.why) for e in merged.entries),
        )
    return merged


def prepare(data: Path, work: Path, log: Log) -> None:
    """Write the sets that teachers label (people and vehicles in streets, crowds, among statues) into `work/taught`.

    Raises `FileNotFoundError` without the published weights.
    """
    weights = start_weights(data)
    need("torch", "onnx", "onnxruntime")
    from models.workshop.training.teacher import Teachers, taught, write_teacher

    yolox = work / "teacher.onnx"
    if not yolox.is_file():
        write_teacher(weights, yolox)
    look = Teachers(yolox, data / "weights/ssdlite_mobilenetv2_coco.onnx")
    crowd, person = training(data / "crowd", work), training(data / "person", work)
    for name, pictures, crops in (
        ("personlike", [p for p in person if p.source == "personlike"], 0),
        ("plate", training(data / "plate", work), 0),
        ("crowd-b", [p for p in crowd if p.source == "shanghaitech-B"], 2),
        ("crowd-a", [p for p in crowd if p.source == "shanghaitech-A"], 1),
    ):
        if not (work / "taught" / name / "labels.jsonl").is_file():
            made = track(taught(pictures, look, crops, by_people), f"teaching {name}", len(pictures) * (1 + crops))
            with whole_folder(work / "taught" / name) as folder:
                write_set(folder, list(made), f"taught-{name}")
            log(f"taught/{name}: written")


def by_people(picture: Picture) -> frozenset[str]:
    """The labels of a picture that people gave it, and gave completely."""
    return frozenset(label for label in ("person", "vehicle") if label in KNOWN.get(picture.source, ()))


def export_detector(name: str, work: Path, folder: Path, command: str = "") -> Path:
    """The FP32 ONNX file of `work/<name>.pt`, in the release's folder: the reference for everything after it."""
    need("torch", "onnx")
    from models.workshop.conversion.export import export
    from models.workshop.training.checkpoint import read

    how, checkpoint = recipe(name), work / f"{name}.pt"
    read(checkpoint)
    path = folder / f"{name}.onnx-fp32.onnx"
    with recorded(work / f"{name}.export.json", command or f"export {name}") as record:
        record.takes(checkpoint)
        export(checkpoint, how.labels, how.size, path)
        record.states(output={str(path): file_hash(path)})
    return path


def at(detect: Detect, thresholds: Mapping[str, float]) -> Detect:
    """A detector that only tells what reaches its thresholds."""
    return lambda image: [d for d in detect(image) if d.score >= thresholds[d.label]]
