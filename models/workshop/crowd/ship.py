"""The counter's last steps: from a checkpoint to a release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from contract.golden import miscounted
from contract.manifest import Counting, DataSet, Golden, Manifest, Tolerance
from models.workshop.crowd.quantize import ACTIVATIONS, Tried, described, quantize_counter, read_tried
from models.workshop.crowd.recipe import CELL, FRAME, INPUT, LABEL, NAME, OUTPUT, PARTS, held_out, learned
from models.workshop.crowd.runner import CountRunner
from models.workshop.crowd.words import LICENCE, NOTICE, PROSE
from models.workshop.evaluation.counting import Counted, Counts, count, figures, fit_uncertainty
from models.workshop.evaluation.degraded import WORDS, degrade
from models.workshop.evaluation.figures import Figure
from models.workshop.evaluation.measure import REFERENCE, SHIPPED, speed
from models.workshop.progress import Log, track
from models.workshop.provenance import file_hash, recorded
from models.workshop.release.card import table, write_card
from models.workshop.release.golden import sha256, write_sample
from models.workshop.release.release import GOLDEN, Origin, RefusedError, publish
from models.workshop.sets.data import Image, Picture, read_set
from models.workshop.sets.licences import licence_of
from models.workshop.sets.merge import training
from models.workshop.steps import need

CALIBRATION = 128
MOST_MORE = 0.05
"""Share by which INT8 may count worse than FP32 on pictures held out of training, above which it is refused."""
SOME = 10.0
"""Heads that one golden sample must at least have; another has none."""


def export_counter(work: Path, folder: Path, command: str = "") -> Path:
    """The FP32 ONNX file of `work/crowd.pt`, in the release's folder."""
    need("torch", "onnx")
    from models.workshop.crowd.export import export

    checkpoint, path = work / f"{NAME}.pt", folder / f"{NAME}.{REFERENCE}.onnx"
    with recorded(work / f"{NAME}.export.json", command or f"export {NAME}") as record:
        record.takes(checkpoint)
        export(checkpoint, path)
        record.states(output={str(path): file_hash(path)})
    return path


def quantize(data: Path, work: Path, folder: Path, log: Log) -> dict[str, Path]:
    """The INT8 artefacts, by target, beside the FP32 file. Raises what `quantize_counter` raises."""
    need("onnx", "onnxruntime")
    crowds = [p for portion in PARTS[-1].portions[:2] for p in learned(portion.pictures(data, work))]
    shown = [crowds[n * len(crowds) // CALIBRATION] for n in range(CALIBRATION)]
    source = folder / f"{NAME}.{REFERENCE}.onnx"
    return quantize_counter(source, shown, held(data, work), folder, work / "study" / NAME, log)


def held(data: Path, work: Path) -> list[Picture]:
    """The crowds that were held out of training."""
    return [picture for picture in training(data / "crowd", work) if held_out(picture)]


def release_counter(
    version: str,
    data: Path,
    work: Path,
    folder: Path,
    golden: Sequence[tuple[str, Image]],
    created: str,
    answerable: str = "",
    force: bool = False,
) -> Manifest:
    """Measure the artefacts in `folder`, and write golden samples, manifest and card of a release there.

    `golden` are pictures that may ship, with a crowd and with nobody. Raises `RefusedError` when they do not show that,
    when an artefact counts otherwise in them, or (unless `force`) when INT8 counts worse.
    """
    need("onnxruntime")
    targets = (*ACTIVATIONS, REFERENCE)
    files = {target: f"{NAME}.{target}.onnx" for target in targets}
    runs = {target: CountRunner(folder / file) for target, file in files.items()}
    # What is calibrated is what most boxes run.
    spread, relative = fit_uncertainty(_plainly(held(data, work), runs[SHIPPED]))
    counting = Counting(cell=CELL, spread=spread, relative=relative)
    found: list[Figure] = []
    for target, run in runs.items():
        found += _measured(data, work, run, counting, target)
        if target != "arm64-s8s8":
            found.append(speed(NAME, run, target, FRAME))
    if not force:
        refuse_worse(found)
    tolerance = Tolerance()
    samples = _golden(folder, golden, runs[REFERENCE])
    for target, run in runs.items():
        for sample, (_, image) in zip(samples, golden, strict=True):
            fault = miscounted(sample.count or 0.0, run(image)[0], tolerance)
            if fault:
                raise RefusedError(f"{folder / files[target]}: golden sample {sample.file}: {fault}")
    manifest = publish(
        folder,
        NAME,
        version,
        (LABEL,),
        INPUT,
        {},
        files,
        samples,
        found,
        origin(data, work),
        created,
        answerable,
        output=OUTPUT,
        tolerance=tolerance,
        counting=counting,
    )
    tried = read_tried(folder)
    write_card(folder, manifest, PROSE, () if tried is None else quantization(tried))
    return manifest


def _measured(data: Path, work: Path, run: CountRunner, counting: Counting, target: str) -> list[Figure]:
    """Held out and test pictures; of the shipped artefact slice by slice, and degraded."""

    def counts(image: Image) -> tuple[float, float]:
        heads, variance = run(image)
        return heads, counting.deviation(heads, variance)

    result: list[Figure] = []
    for about, pictures in (
        ("crowd/val, held out of train", held(data, work)),
        ("crowd/test", read_set(data / "crowd", "test")),
    ):
        shown = _all(track(pictures, f"{NAME} on {about}, {target}"), counts)
        if target == SHIPPED and about.endswith("test"):
            for way in WORDS:
                shown += _all(track(degrade(pictures, way), f"{NAME} on {about}, {way}"), counts, way)
        result += [
            replace(figure, conditions=f"{figure.conditions}; {target}", table=())
            for figure in figures(NAME, shown, about)
            if target == SHIPPED or not figure.slice or figure.slice.startswith("source=")
        ]
    return result


def _plainly(pictures: Sequence[Picture], run: CountRunner) -> list[Counted]:
    def counts(image: Image) -> tuple[float, float]:
        heads, variance = run(image)
        return heads, variance**0.5

    return _all(pictures, counts)


def _all(pictures: Iterable[Picture], counts: Counts, way: str = "") -> list[Counted]:
    faults: list[str] = []
    found = count(pictures, counts, faults, way=way)
    if faults:
        raise ValueError(f"{len(faults)} pictures could not be counted in: {faults[0]}")
    return found


def refuse_worse(found: Sequence[Figure]) -> None:
    """Raises `RefusedError` naming the artefact whose error on pictures held out of training is much above FP32's."""
    errors = {
        f.conditions.rpartition("; ")[2]: f.value
        for f in found
        if f.name == f"{NAME}.mae" and not f.slice and f.conditions.startswith("crowd/val")
    }
    for target, value in errors.items():
        if value > errors[REFERENCE] * (1 + MOST_MORE):
            raise RefusedError(
                f"{target} is off by {value:.2f} heads where FP32 is by {errors[REFERENCE]:.2f}; try other settings, "
                "or release it all the same with --force"
            )


def _golden(
    folder: Path, pictures: Sequence[tuple[str, Image]], run: Callable[[Image], tuple[float, float]]
) -> tuple[Golden, ...]:
    samples = []
    for name, image in pictures:
        path = write_sample(folder, name, image)
        heads = round(run(image)[0], 2)
        samples.append(Golden(file=f"golden/{name}.png", sha256=sha256(path), expected=(), count=heads))
    counts = [sample.count or 0.0 for sample in samples]
    if len(samples) < GOLDEN or max(counts, default=0) < SOME or min(counts, default=SOME) > 1:
        raise RefusedError(
            f"golden samples count {counts}; needed are {GOLDEN}, one with {SOME:g} heads or more, one with none"
        )
    return tuple(samples)


def origin(data: Path, work: Path) -> Origin:
    """Data sets with their licences and the number of pictures used, and the notice."""
    pictures = [p for one in PARTS for portion in one.portions for p in learned(portion.pictures(data, work))]
    counted = Counter(picture.source for picture in {p.path.resolve(): p for p in pictures}.values())
    sets = tuple(DataSet(name=source, licence=licence_of(source), images=counted[source]) for source in sorted(counted))
    return Origin(sets, LICENCE, NOTICE)


def quantization(tried: Tried) -> list[str]:
    """The card's part about what was tried."""
    whole = (
        f"Measured on {tried.data}; calibrated on {tried.calibration}. {tried.machine}; one thread, in turns with "
        f"FP32 ({tried.fp32_ms:.0f} ms at {FRAME[0]}x{FRAME[1]}, off by {tried.fp32_mae:.2f} heads on these pictures). "
        "What moved is the mean difference of a count from FP32's, as a share of it; that which moves least is "
        "shipped, of those as good as equal the quickest."
    )
    lines = [whole]
    for target, chosen in tried.chosen.items():
        rows = [
            (
                f"{'**shipped** ' if row.settings == chosen else ''}{described(row.settings)}",
                f"{row.mae:.2f}",
                f"{row.moved:.1%}",
                f"{row.time:.2f}",
                f"{row.bytes / 1e6:.2f}",
            )
            for row in sorted(tried.rows, key=lambda row: row.moved)
            if row.target == target
        ]
        lines += [f"### {target}", table(("setting", "off by, heads", "moved", "time", "MB"), rows)]
    return lines
