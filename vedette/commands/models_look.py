"""``vedette models detect`` and ``evaluate``: what a model sees, and how good it is."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.commands.models_options import ModelsError, Name, Sets
from vedette.commands.options import Json, print_json, print_table

if TYPE_CHECKING:
    from contract.detections import Detection

_LEAST_SCORE = 0.05


def detect(
    name: Name,
    files: Annotated[list[Path], typer.Argument(help="Pictures and clips.")],
    draw: Annotated[Path | None, typer.Option(help="Folder to draw what was found into.")] = None,
    every: Annotated[float, typer.Option(help="Of a clip: seconds between the frames that are looked at.")] = 1.0,
    json: Json = False,
) -> None:
    """Run a model on pictures and clips; boxes in pixels of the picture, label, score.

    A file that cannot be read is reported, the others are gone through; the exit code is then 2.
    """
    find, _ = _detector(name)
    results: list[dict[str, Any]] = []
    faults: list[str] = []
    for file in files:
        try:
            for label, image in _pictures(file, every):
                found = find(image)
                results.append({"file": str(file), "frame": label, "detections": _in_pixels(found, image)})
                if draw is not None:
                    _draw(draw, f"{file.stem}{'' if label is None else f'-{label}'}", image, found)
        except ModelsError as error:
            faults.append(str(error))
    if json:
        print_json(results)
    else:
        for result in results:
            where = result["file"] if result["frame"] is None else f"{result['file']} frame {result['frame']}"
            typer.echo(f"{where}: {len(result['detections'])} found")
            for one in result["detections"]:
                box = " ".join(f"{value:.0f}" for value in one["box"])
                typer.echo(f"  {one['label']:10} {one['score']:.2f}  {box}")
    for fault in faults:
        typer.secho(f"vedette: {fault}", fg="red", err=True)
    if faults:
        raise typer.Exit(2)


def evaluate(
    name: Name,
    data: Sets = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    target: Annotated[str | None, typer.Option(help="Artefact to measure; this machine's own when left out.")] = None,
    json: Json = False,
) -> None:
    """Measure a model on a split: average precision, precision and recall, whole and source by source."""
    from models.workshop.evaluate import evaluate as measure

    find, thresholds = _detector(name, target, _LEAST_SCORE)
    try:
        figures = measure(name, data, split, find, thresholds)
    except (KeyError, OSError, ValueError) as error:
        raise ModelsError(str(error).strip("'\"")) from error
    if json:
        print_json([asdict(figure) for figure in figures])
        return
    print_table(
        ["FIGURE", "VALUE", "UNIT", "CONDITIONS"],
        [[figure.name, f"{figure.value:.4f}", figure.unit, figure.conditions] for figure in figures],
        "nothing was measured",
    )


def _detector(
    name: str, target: str | None = None, least: float | None = None
) -> tuple["Callable[[Any], list[Detection]]", dict[str, float]]:
    """A function from a picture (HxWx3 BGR) to detections, and the shipped thresholds.

    ``least`` lets scores down to it through instead of the thresholds.
    """
    from edge.vision.engine import OnnxEngine, choose_target
    from models import zoo

    try:
        manifest, folder = zoo.load(name)
    except KeyError as error:
        raise ModelsError(error.args[0]) from None
    engine = OnnxEngine(manifest, folder, target or choose_target(manifest.artefacts))
    slack = 1.0 if least is None else least / max(manifest.thresholds.values())
    return (lambda image: engine.detect(image, slack=slack)), dict(manifest.thresholds)


def _pictures(file: Path, every: float) -> Iterator[tuple[int | None, Any]]:
    """The picture in a file, or the frames of a clip ``every`` seconds with their numbers; HxWx3 uint8 BGR."""
    from edge.vision.picture import PictureError, read_picture

    if not file.exists():
        raise ModelsError(f"{file}: no such file")
    try:
        yield None, read_picture(file)
        return
    except PictureError as error:
        reason = str(error)
    import av

    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise ModelsError(f"{file}: has no pictures in it")
            due = 0.0
            for number, frame in enumerate(container.decode(container.streams.video[0])):
                if frame.time is None or frame.time >= due:
                    due = (frame.time or 0.0) + every
                    yield number, frame.to_ndarray(format="bgr24")
    except av.FFmpegError as error:
        raise ModelsError(f"{file}: neither a picture ({reason}) nor a clip ({error})") from error


def _in_pixels(found: "list[Detection]", image: Any) -> list[dict[str, Any]]:
    height, width = image.shape[:2]
    return [
        {
            "label": one.label,
            "score": round(one.score, 4),
            "box": [
                round(one.box[0] * width, 1),
                round(one.box[1] * height, 1),
                round(one.box[2] * width, 1),
                round(one.box[3] * height, 1),
            ],
        }
        for one in found
    ]


def _draw(folder: Path, stem: str, image: Any, found: "list[Detection]") -> None:
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    shown = image.copy()
    for one in _in_pixels(found, image):
        x1, y1, x2, y2 = (int(value) for value in one["box"])
        cv2.rectangle(shown, (x1, y1), (x2, y2), (0, 80, 255), 2)
        text = f"{one['label']} {one['score']:.2f}"
        cv2.putText(shown, text, (x1, max(12, y1 - 4)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 80, 255), 1, cv2.LINE_AA)
    cv2.imwrite(str(folder / f"{stem}.png"), shown)
