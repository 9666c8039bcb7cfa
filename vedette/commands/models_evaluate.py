"""``vedette models evaluate``: how good a model is, on labelled pictures and on clips in which nothing happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from vedette.commands.models_look import Regions, counter, detector, is_counter, plate_reader
from vedette.commands.models_options import ModelsError, Name, Sets
from vedette.commands.options import Json, print_json, print_table

if TYPE_CHECKING:
    from edge.vision.plates.reader import PlateReader
    from models.workshop.evaluation.evaluate import Detect
    from models.workshop.evaluation.figures import Figure
    from models.workshop.sets.data import Image

_LEAST_SCORE: Final = 0.05


@dataclass
class _Told:
    """What is said beside the figures: on stderr, so that standard output holds JSON alone."""

    faults: list[str]
    notes: list[str]


def evaluate(
    name: Name,
    data: Sets = None,
    split: Annotated[str | None, typer.Option(help="Any split of the labels; val when left out.")] = None,
    target: Annotated[str | None, typer.Option(help="Artefact to measure; this machine's own when left out.")] = None,
    negatives: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR[:SPLIT]", help="Pictures in which nothing is to be found; may be given again."),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|DIR", help="Clips in which nothing burns; alone, nothing else is measured."),
    ] = None,
    region: Regions = None,
    degraded: Annotated[
        bool, typer.Option("--degraded", help="Also on the same pictures turned, blurred, dark and JPEG-crushed.")
    ] = False,
    no_clips: Annotated[bool, typer.Option("--no-clips", help="Leave out the data folder's quiet clips.")] = False,
    json: Json = False,
) -> None:
    """Measure a model on a split, whole and slice by slice, on real negatives, and on clips without an event.

    DIR of --data is the data folder, or any folder with a labels.jsonl. What cannot be read is named, the rest is
    measured; the exit code is then 2.
    """
    from models.workshop.sets.labels import LabelError

    if clips and no_clips:
        raise ModelsError("--clips and --no-clips are given both; leave one out")
    found: list[Figure] = []
    told = _Told([], [])
    if is_counter(name):
        if negatives or clips or region:
            raise ModelsError(f"model '{name}' counts heads; --negatives, --clips and --region are for detectors")
        _show(_heads(name, data, split or "test", target, degraded, told), told, json)
        return
    find, manifest = detector(name, target, _LEAST_SCORE)
    reader = plate_reader(manifest, region)
    thresholds = dict(manifest.thresholds)
    try:
        if clips is None or data is not None or split is not None or negatives:
            texts: list[Figure] = []
            boxed = True
            if reader is not None:
                texts, boxed = _texts(name, data, split or "val", find, thresholds, reader, degraded, told)
            if boxed:
                found += _pictures(
                    name, data, split or "val", find, thresholds, manifest.labels, negatives, degraded, told
                )
            found += texts
            # A picture that cannot be read is told by both looks.
            told.faults = list(dict.fromkeys(told.faults))
        if not no_clips:
            found += _clips(name, data, find, thresholds, clips, told)
    except (KeyError, OSError, ValueError) as error:
        text = str(error) if isinstance(error, LabelError) else str(error).strip("'\"")
        raise ModelsError(text) from error
    _show(found, told, json)


def _show(found: "Sequence[Figure]", told: _Told, json: bool) -> None:
    """Print the figures, and on stderr what has to be said beside them; faults make it exit with 2."""
    for note in told.notes:
        typer.secho(f"vedette: {note}", err=True)
    if json:
        print_json([figure.as_dict() for figure in found])
    else:
        print_table(
            ["FIGURE", "SLICE", "VALUE", "UNIT", "CONDITIONS"],
            [[f.name, f.slice, f"{f.value:.4f}", f.unit, f.conditions] for f in found],
            "nothing was measured",
        )
    for fault in told.faults:
        typer.secho(f"vedette: {fault}", fg="red", err=True)
    if told.faults:
        raise typer.Exit(2)


def _heads(name: str, data: Path | None, split: str, target: str | None, degraded: bool, told: _Told) -> "list[Figure]":
    """Figures of the heads that are counted in a split."""
    from edge.vision.picture import read_picture
    from models.workshop.evaluation.counting import count, figures, marked
    from models.workshop.evaluation.degraded import WORDS, degrade
    from models.workshop.evaluation.evaluate import set_folder
    from models.workshop.progress import track
    from models.workshop.sets.data import read_set
    from models.workshop.sets.labels import LabelError

    counts = counter(name, target)[0]

    def heads(image: "Image") -> tuple[float, float]:
        found = counts(image).count()
        return found.heads, found.sd

    try:
        folder, _ = set_folder(name, data)
        about = f"{folder.resolve().name}/{split}"
        pictures = marked(read_set(folder, split, anywhere=False), about)
    except (KeyError, OSError, ValueError) as error:
        raise ModelsError(str(error) if isinstance(error, LabelError) else str(error).strip("'\"")) from error
    counted = count(track(pictures, f"{name} on {about}"), heads, told.faults, read_picture)
    for way in WORDS if degraded else ():
        shown = track(degrade(pictures, way), f"{name} on {about}, {way}")
        counted += count(shown, heads, told.faults, read_picture, way)
    # A picture that cannot be read is told in every way.
    told.faults = list(dict.fromkeys(told.faults))
    if not counted:
        raise ModelsError(f"{about}: not one picture could be measured" + "".join(f"\n  {f}" for f in told.faults))
    return figures(name, counted, about)


def _pictures(
    name: str,
    data: Path | None,
    split: str,
    find: "Detect",
    thresholds: Mapping[str, float],
    labels: Sequence[str],
    negatives: list[str] | None,
    degraded: bool,
    told: _Told,
) -> "Sequence[Figure]":
    from edge.vision.picture import read_picture
    from models.workshop.evaluation.degraded import WORDS
    from models.workshop.evaluation.evaluate import examine
    from models.workshop.evaluation.negatives import quiet_set
    from models.workshop.progress import track

    quiet = [quiet_set(text) for text in negatives] if negatives else None
    ways = tuple(WORDS) if degraded else ()
    report = examine(name, data, split, find, thresholds, labels, quiet, read_picture, track, ways)
    told.faults += report.faults
    told.notes += report.notes
    return report.figures


def _texts(
    name: str,
    data: Path | None,
    split: str,
    find: "Detect",
    thresholds: Mapping[str, float],
    reader: "PlateReader",
    degraded: bool,
    told: _Told,
) -> "tuple[list[Figure], bool]":
    """Figures of what is read in a split, and whether boxes are drawn in it: a cut out plate has none."""
    from models.workshop.evaluation.degraded import WORDS, degrade
    from models.workshop.evaluation.evaluate import set_folder
    from models.workshop.evaluation.reading import ask, figures
    from models.workshop.progress import track
    from models.workshop.sets.data import read_set

    folder, _ = set_folder(name, data)
    pictures = read_set(folder, split, anywhere=False)
    known = [picture for picture in pictures if picture.texts]

    (label, threshold), *_ = thresholds.items()
    tracked = track(known, f"{name}: reading {split}") if known else ()
    asked = ask(tracked, label, find, reader.text, threshold, told.faults)
    for way in WORDS if degraded and known else ():
        tracked = track(degrade(known, way), f"{name}: reading {split}, {way}")
        asked += ask(tracked, label, find, reader.text, threshold, [])
    about = f"{folder.resolve().name}/{split}"
    return figures(name, asked, about), any(picture.boxed for picture in pictures) or not known


def _clips(
    name: str,
    data: Path | None,
    find: "Detect",
    thresholds: Mapping[str, float],
    given: list[Path] | None,
    told: _Told,
) -> "list[Figure]":
    """Figures of the clips given, or of the data folder's."""
    from edge.analyzers.fire import LABELS as BURNING
    from models.workshop.progress import track
    from models.workshop.sets.data import data_folder
    from vedette.clips import clips_in
    from vedette.false_alarms import figures, on_data, replays

    if not set(thresholds) & set(BURNING):
        if given:
            raise ModelsError(f"--clips: model '{name}' raises no alarm by itself; {' and '.join(BURNING)} do")
        return []
    if given:
        played = replays(track(clips_in(given), f"{name} on clips"), find, thresholds, told.faults)
        return figures(name, played, thresholds)
    folder = data_folder(data)
    if (folder / "labels.jsonl").is_file():
        return []
    found = on_data(name, folder, find, thresholds, told.faults, track)
    if not found:
        told.notes.append(f"{folder / 'clips'}: none of the quiet clips is there; false alarms over time not measured")
    return found
