"""The workshop's last steps: from an FP32 file to a release.

`quantize_detector`, `export_fixed`, `release_detector`. Quantization needs the `train` extra's `onnx`; measuring and
releasing run with what a box has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contract.detections import Detection
from contract.manifest import Manifest, Reader
from models.workshop.evaluation.evaluate import SETS, Figure
from models.workshop.evaluation.measure import SHIPPED, measure, measure_reading
from models.workshop.evaluation.reading import Reads
from models.workshop.recipe import Recipe
from models.workshop.recipes import before, recipe
from models.workshop.release.card import write_card
from models.workshop.release.golden import Detect, check_golden, make_golden, sha256
from models.workshop.release.release import REFERENCE, int8_loss, publish, refuse_golden, refuse_loss
from models.workshop.sets.data import Image, Picture, read_set
from models.workshop.steps import Log, at, need, start_weights

if TYPE_CHECKING:
    from models.workshop.conversion.fixed import Fixed

CALIBRATION = 512  # pictures; settings say how many of them are used


def quantize_detector(
    name: str,
    data: Path,
    work: Path,
    folder: Path,
    log: Log,
    study: bool = False,
    pictures: int | None = None,
    rounds: int = 20,
) -> dict[str, Path]:
    """The INT8 artefacts, by target, beside the FP32 file; calibrated on training pictures in their training shares.

    The settings are those that a study chose (`quantization.json` in `folder`), else the stated ones. With `study` they
    are sought first, each way on `pictures` pictures of `val` (0: all; None: as many as `study.SUBSET`), and the record
    is written. Raises what `quantize.quantize` and `record.chosen` raise.
    """
    need("onnx", "onnxruntime")
    from models.workshop.quantization.quantize import quantize
    from models.workshop.quantization.record import chosen, read_study
    from models.workshop.quantization.settings import TARGETS

    how = recipe(name)
    source = folder / f"{name}.onnx-fp32.onnx"
    if study:
        _study(how, source, data, work, folder, log, pictures, rounds)
    record = read_study(folder)
    if record is not None and source.is_file() and record.source_sha256 != sha256(source):
        log(f"{folder}: the settings were chosen for another FP32 file of '{name}'; --study would choose again")
    mixed = calibration(how, data, work)
    made = {}
    for target in TARGETS:
        settings, origin = chosen(folder, target, name)
        log(f"{target}: {origin}")
        path = folder / f"{name}.{target}.onnx"
        made[target] = quantize(source, settings, mixed, how.input, path, how.labels)
    return made


def _study(
    how: Recipe,
    source: Path,
    data: Path,
    work: Path,
    folder: Path,
    log: Log,
    pictures: int | None,
    rounds: int,
) -> None:
    import msgspec

    from models.workshop.quantization.activation import compare
    from models.workshop.quantization.judge import Judge
    from models.workshop.quantization.record import write_study
    from models.workshop.quantization.study import SUBSET, study, subset

    whole = read_set(data / SETS.get(how.name, how.name), "val")
    judge = Judge(dict(how.thresholds), how.input, subset(whole, SUBSET if pictures is None else pictures))
    mixed = calibration(how, data, work)
    kept = work / "study" / how.name
    found = study(source, how.name, judge, whole, mixed, kept, log, rounds=rounds)
    try:
        published = start_weights(data)
    except FileNotFoundError as error:
        log(f"activation functions are not compared: {error}")
    else:
        log(f"activation functions: ours and {published.name}")
        compared = compare(found, source, judge, published, data, kept, rounds)
        found = msgspec.structs.replace(found, activations=compared)
    write_study(folder, found)


def export_fixed(source: Path, name: str, size: str, folder: Path, heads: bool) -> Fixed:
    """The FP32 file `source` of a detector in one shape (`WIDTHxHEIGHT`), for compilers of other hardware.

    See `fixed.fix` for `heads`, and for what is raised.
    """
    need("onnx", "onnxruntime")
    from models.workshop.conversion.fixed import fix, sides

    width, height = sides(size)
    kind = "heads" if heads else "fixed"
    return fix(source, width, height, folder / f"{name}.{kind}-{size}.onnx", heads)


def calibration(how: Recipe, data: Path, work: Path, most: int = CALIBRATION) -> list[Picture]:
    """Training pictures, evenly from each portion of the last part, as many as its share says of `most`.

    They are mixed: as many of them as a setting wants, from the first on, show about the same shares.
    """
    chosen: list[Picture] = []
    for portion in how.parts[-1].portions:
        pictures = portion.pictures(data, work)
        count = min(len(pictures), max(1, round(most * portion.share)))
        chosen += [pictures[n * len(pictures) // count] for n in range(count)]
    return [chosen[n] for n in np.random.default_rng(1).permutation(len(chosen))]


def release_detector(
    name: str,
    version: str,
    data: Path,
    work: Path,
    folder: Path,
    golden: Sequence[tuple[str, Image]],
    created: str,
    answerable: str = "",
    force: bool = False,
    clips: Callable[..., list[Figure]] | None = None,
    readers: Sequence[Reader] = (),
    reads: Reads | None = None,
) -> Manifest:
    """Measure the artefacts in `folder`, and write golden samples, manifest and card of a release there.

    `golden` names pictures (HxWx3 BGR) that may ship, with something to find and with nothing; what the FP32 reference
    sees in them at the recipe's thresholds is what every box must see. `created` is an ISO 8601 date, `answerable` who
    answers for the release; `clips` counts alarms over clips as a box raises them (see `measure.measure`); `reads` is
    what the `readers` of a release of plates make of a box. Raises
    `ValueError` when an artefact does not pass the golden samples itself or has other labels, and
    `release.RefusedError` when the release is too large, has too few golden samples, or (unless `force`)
    lost too much to INT8.
    """
    need("onnxruntime")
    from models.workshop.quantization.settings import TARGETS
    from models.workshop.runner import Runner

    how = recipe(name)
    thresholds = dict(how.thresholds)
    files = {target: f"{name}.{target}.onnx" for target in (*TARGETS, REFERENCE)}
    detects: dict[str, Detect] = {
        target: _of(folder / file, how.labels, Runner(folder / file, how.labels, how.input))
        for target, file in files.items()
    }
    samples = make_golden(folder, golden, thresholds, at(detects[REFERENCE], thresholds), reads)
    refuse_golden(samples, how.labels)
    figures = measure(name, data, detects, thresholds, clips)
    if reads is not None:
        figures += measure_reading(name, data, detects[SHIPPED], thresholds, reads)
    figures += int8_loss(name, figures, files)
    if not force:
        refuse_loss(figures)
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
        how.origin(data, work, before(name)),
        created,
        answerable,
        readers=readers,
    )
    write_card(folder, manifest, how.prose)
    for target, detect in detects.items():
        problems = check_golden(manifest, folder, at(detect, thresholds))
        if problems:
            raise ValueError(f"{folder / files[target]}: {problems[0].file}: {problems[0].text}")
    return manifest


def _of(path: Path, labels: Sequence[str], detect: Detect) -> Detect:
    """A detector that says so when it names a class that the labels have not: it is another model's file."""

    def named(image: Image) -> list[Detection]:
        try:
            return detect(image)
        except IndexError as error:
            raise ValueError(
                f"{path} tells more classes apart than {', '.join(labels)}; it is of another model"
            ) from error

    return named
