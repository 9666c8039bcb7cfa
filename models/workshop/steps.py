"""The workshop's steps, one function each, in the order in which they are done.

`prepare`, `teach_base`, `train_detector`, `export_detector`, `quantize_detector`, `release_detector`. They keep what
they make in a work folder and go on where they stopped. The first four need the `train` extra, in an environment of
its own; measuring and releasing run with what a box has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import copyfile

from contract.manifest import Manifest
from models.workshop.card import write_card
from models.workshop.data import Image, Picture, read_set, write_list, write_set
from models.workshop.golden import Detect, check_golden, make_golden
from models.workshop.measure import measure
from models.workshop.recipes import TEACH, TEACH_RATE, TEACH_STEPS, Recipe, recipe
from models.workshop.release import publish

Log = Callable[[str], None]
REFERENCE = "onnx-fp32"
CALIBRATION = 128  # pictures
MINED = 0.2
"""Score from which something seen in a picture with nothing in it is worth training on."""


class MissingExtraError(ImportError):
    """A package of the `train` extra is not installed; the text says how to install it."""


def _need(*packages: str) -> None:
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


def prepare(data: Path, work: Path, log: Log) -> None:
    """Write the sets that a teacher labels (people in streets, around fires, beside cars) into `work/taught`."""
    _need("onnxruntime")
    from models.workshop.teacher import CocoTeacher, taught

    teacher = CocoTeacher(start_weights(data))
    street = [p for p in read_set(data / "crowd", "train") if p.source == "shanghaitech-B"]
    for name, pictures, crops in (
        ("crowd", street, 3),
        ("fire", read_set(data / "fire", "train")[::3], 1),
        ("plate", read_set(data / "plate", "train"), 1),
    ):
        if not (work / "taught" / name / "labels.jsonl").is_file():
            write_set(work / "taught" / name, list(taught(pictures, teacher.people, crops)), f"taught-{name}")
            log(f"taught/{name}: written")


def teach_base(data: Path, work: Path, log: Log) -> Path:
    """The ReLU base network, distilled from the published one: `work/base.pt`."""
    _need("torch", "onnx")
    from models.workshop.feed import Share
    from models.workshop.train import Plan, teach

    shares = [Share(p.pictures(data, work), p.share) for p in TEACH]
    plan = Plan(labels=(), steps=TEACH_STEPS, rate=TEACH_RATE, mosaics=0.4)
    return teach(start_weights(data), shares, plan, work / "base.pt", log)


def train_detector(name: str, data: Path, work: Path, log: Log) -> Path:
    """Train a detector by its recipe, from `work/base.pt`: `work/<name>.pt`. Goes on from where it was broken off.

    Each part leaves `work/<name>.<n>.pt`; hard negatives are mined where a part wants them. The drawn sets
    (`work/drawn`, `work/alight`) must be there.
    """
    _need("torch")
    from models.workshop.feed import Share
    from models.workshop.train import Plan, train

    how = recipe(name)
    before = work / "base.pt"
    for number, part in enumerate(how.parts, 1):
        if part.mines and not (work / "mined" / name).is_dir():
            mine(name, before, data, work, log)
        shares = [Share(p.pictures(data, work), p.share) for p in part.portions]
        plan = Plan(
            labels=how.labels,
            sizes=part.sizes,
            steps=part.steps,
            schedule=part.schedule,
            batch=part.batch,
            rate=part.rate,
            warm_up=part.warm_up,
            mosaics=part.mosaics,
            plain_tail=part.plain_tail,
            folded=part.folded,
            evenings=part.evenings,
            seed=part.seed,
        )
        before = train(before, shares, plan, work / f"{name}.{number}.pt", log)
    final = work / f"{name}.pt"
    copyfile(before, final)
    return final


def mine(name: str, checkpoint: Path, data: Path, work: Path, log: Log) -> Path:
    """List the pictures without a truth in which a checkpoint sees something: `work/mined/<name>`, hardest first.

    Only training pictures are looked at, of the sets in which nothing of the detector's labels can be.
    """
    _need("torch", "onnx", "onnxruntime")
    from models.workshop.export import export
    from models.workshop.runner import Runner

    how = recipe(name)
    path = export(checkpoint, how.labels, how.size, work / f"{name}.mining.onnx")
    detect = Runner(path, how.labels, how.input, MINED)
    seen: list[tuple[float, Picture]] = []
    for folder in ("person", "plate", "crowd"):
        for picture in read_set(data / folder, "train"):
            score = max((d.score for d in detect(picture.read())), default=0.0)
            if score > 0:
                seen.append((score, picture))
    seen.sort(key=lambda pair: -pair[0])
    log(f"{len(seen)} pictures without {' or '.join(how.labels)} score over {MINED}")
    write_list(work / "mined" / name, [picture for _, picture in seen])
    return work / "mined" / name


def export_detector(name: str, work: Path, folder: Path) -> Path:
    """The FP32 ONNX file of `work/<name>.pt`, in the release's folder: the reference for everything after it."""
    _need("torch", "onnx")
    from models.workshop.export import export

    how = recipe(name)
    return export(work / f"{name}.pt", how.labels, how.size, folder / f"{name}.onnx-fp32.onnx")


def quantize_detector(name: str, data: Path, work: Path, folder: Path) -> dict[str, Path]:
    """The INT8 artefacts, by target, beside the FP32 file; calibrated on training pictures in their training shares."""
    _need("onnx", "onnxruntime")
    from models.workshop.quantize import TARGETS, quantize

    how = recipe(name)
    pictures = calibration(how, data, work)
    source = folder / f"{name}.onnx-fp32.onnx"
    return {
        target: quantize(source, target, pictures, how.input, folder / f"{name}.{target}.onnx") for target in TARGETS
    }


def calibration(how: Recipe, data: Path, work: Path) -> list[Picture]:
    """Training pictures, evenly from each portion of the last part, as many as its share says."""
    chosen: list[Picture] = []
    for portion in how.parts[-1].portions:
        pictures = portion.pictures(data, work)
        count = max(1, round(CALIBRATION * portion.share))
        chosen += pictures[:: max(1, len(pictures) // count)][:count]
    return chosen


def release_detector(
    name: str,
    version: str,
    data: Path,
    work: Path,
    folder: Path,
    golden: Sequence[tuple[str, Image]],
    created: str,
) -> Manifest:
    """Measure the artefacts in `folder`, and write golden samples, manifest and card of a release there.

    `golden` names pictures (HxWx3 BGR) that may ship, with something to find and with nothing; what the FP32 reference
    sees in them at the recipe's thresholds is what every box must see. `created` is an ISO 8601 date. Raises
    `ValueError` when an artefact does not pass the golden samples itself.
    """
    _need("onnxruntime")
    from models.workshop.quantize import TARGETS
    from models.workshop.runner import Runner

    how = recipe(name)
    thresholds = dict(how.thresholds)
    files = {target: f"{name}.{target}.onnx" for target in (*TARGETS, REFERENCE)}
    detects: dict[str, Detect] = {
        target: Runner(folder / file, how.labels, how.input) for target, file in files.items()
    }
    figures = measure(name, data, detects, thresholds)
    samples = make_golden(folder, golden, thresholds, at(detects[REFERENCE], thresholds))
    manifest = publish(
        folder,
        name,
        version,
        how.labels,
        how.input,
        thresholds,
        files,
        samples,
        figures,
        how.origin(data, work),
        created,
    )
    write_card(folder, manifest, how.prose)
    for target, detect in detects.items():
        problems = check_golden(manifest, folder, at(detect, thresholds))
        if problems:
            raise ValueError(f"{folder / files[target]}: {problems[0].file}: {problems[0].text}")
    return manifest


def at(detect: Detect, thresholds: Mapping[str, float]) -> Detect:
    """A detector that only tells what reaches its thresholds."""
    return lambda image: [d for d in detect(image) if d.score >= thresholds[d.label]]
