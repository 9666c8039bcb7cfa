"""``vedette models detect``: what a model sees in pictures and clips."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.commands.models_draw import write
from vedette.commands.models_options import ModelsError, Name
from vedette.commands.options import Json, print_json

if TYPE_CHECKING:
    from contract.detections import Detection
    from contract.manifest import Manifest
    from edge.vision.density import Density
    from edge.vision.plates.reader import Plate, PlateReader

Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Whose plates: cn, eu, us, br, or a country such as eu-sk; all when left out."),
]


def detect(
    name: Name,
    files: Annotated[list[Path], typer.Argument(help="Pictures and clips.")],
    draw: Annotated[Path | None, typer.Option(help="Folder to draw what was found into.")] = None,
    every: Annotated[
        float, typer.Option(min=0.001, help="Of a clip: seconds between the frames that are looked at.")
    ] = 1.0,
    region: Regions = None,
    json: Json = False,
) -> None:
    """Run a model on pictures and clips; boxes in pixels of the picture, label, score, and what a plate says.

    Of a model that counts: how many heads, the standard deviation, and with --json how many in each cell.

    A file that cannot be read is reported, with --json as an entry that has an error; the others are gone through. The
    exit code is then 2.
    """
    from edge.vision.engine import EngineError

    see = _seer(name, region)
    results: list[dict[str, Any]] = []
    faults: list[str] = []
    drawn: set[str] = set()
    for file in files:
        try:
            for frame, image in _pictures(file, every):
                seen = see(image)
                results.append({"file": str(file), "frame": frame, **seen})
                if draw is not None:
                    write(draw / _free(f"{file.stem}{'' if frame is None else f'-{frame}'}", drawn), image, seen)
        except (EngineError, _UnreadableError) as error:
            faults.append(str(error) if str(file) in str(error) else f"{file}: {error}")
            results.append({"file": str(file), "frame": None, "detections": [], "error": faults[-1]})
    if json:
        print_json(results)
    else:
        for result in results:
            if "error" not in result:
                _tell(result)
    for fault in faults:
        typer.secho(f"vedette: {fault}", fg="red", err=True)
    if faults:
        raise typer.Exit(2)


def _seer(name: str, region: Sequence[str] | None) -> "Callable[[Any], dict[str, Any]]":
    """From a picture (HxWx3 BGR) to what is told of it."""
    manifest, _ = _release(name)
    reader = plate_reader(manifest, region)
    if is_counter(name):
        count, _ = counter(name)

        def counted(image: Any) -> dict[str, Any]:
            density = count(image)
            whole = density.count()
            cells = [[round(float(heads), 3) for heads in row] for row in density.mean]
            frame = [round(side, 4) for side in density.frame]
            return {"detections": [], "count": round(whole.heads, 1), "sd": round(whole.sd, 1)} | {
                "density": {"cells": cells, "frame": frame}
            }

        return counted
    find, _ = detector(name)

    def found(image: Any) -> dict[str, Any]:
        boxes = find(image)
        seen = _in_pixels(boxes, image)
        if reader is not None:
            seen = [one | _as_read(reader.read(image, d.box)) for one, d in zip(seen, boxes, strict=True)]
        return {"detections": seen}

    return found


def _release(name: str) -> tuple["Manifest", Path]:
    """A release of the zoo, and its folder."""
    from models import zoo

    try:
        return zoo.load(name)
    except KeyError as error:
        raise ModelsError(error.args[0]) from None


def is_counter(name: str) -> bool:
    """Whether a model of the zoo counts instead of finding one by one."""
    return _release(name)[0].task == "count"


def counter(name: str, target: str | None = None) -> tuple["Callable[[Any], Density]", "Manifest"]:
    """A function from a picture (HxWx3 BGR) to its heads, and what the release says of itself."""
    from edge.vision.count_engine import CountEngine
    from edge.vision.engine import load_engine

    manifest, folder = _release(name)
    engine = load_engine(manifest, folder, threads=1, target=target)
    assert isinstance(engine, CountEngine)
    return engine.count, manifest


def detector(
    name: str, target: str | None = None, least: float | None = None
) -> tuple["Callable[[Any], list[Detection]]", "Manifest"]:
    """A function from a picture (HxWx3 BGR) to detections, and what the release says of itself.

    ``least`` lets scores down to it through instead of the thresholds.
    """
    from edge.vision.engine import load_engine

    manifest, folder = _release(name)
    engine = load_engine(manifest, folder, threads=1, target=target)
    slack = 1.0 if least is None else least / max(manifest.thresholds.values())
    return (lambda image: engine.detect(image, slack=slack)), manifest


def plate_reader(manifest: "Manifest", regions: Sequence[str] | None) -> "PlateReader | None":
    """What reads the plates that a release finds; None where nothing does."""
    if not manifest.readers:
        if regions:
            raise ModelsError(f"--region: model '{manifest.name}' reads nothing")
        return None
    from edge.vision.plates.reader import PlateReader

    try:
        return PlateReader(manifest.readers, _release(manifest.name)[1], regions or ())
    except ValueError as error:
        raise ModelsError(f"--region: {error}") from error


class _UnreadableError(Exception):
    """A file that is neither a picture nor a clip, or not a whole one."""


def _pictures(file: Path, every: float) -> Iterator[tuple[int | None, Any]]:
    """The picture in a file, or the frames of a clip ``every`` seconds with their numbers; HxWx3 uint8 BGR."""
    from edge.vision.picture import PictureError, read_picture
    from vedette.clips import ClipError, frames

    try:
        size = file.stat().st_size
    except OSError as error:
        raise _UnreadableError(f"{file}: {error.strerror or error}") from error
    if file.is_dir():
        raise _UnreadableError(f"{file}: a folder; name the pictures in it")
    if not size:
        raise _UnreadableError(f"{file}: the file is empty")
    try:
        yield None, read_picture(file)
        return
    except PictureError as error:
        reason = str(error)
    seen = False
    try:
        for number, _, image in frames(file, every):
            seen = True
            yield number, image
    except ClipError as error:
        raise _UnreadableError(str(error) if seen else f"{reason}; nor is it a clip ({error})") from error


def _tell(result: dict[str, Any]) -> None:
    where = result["file"] if result["frame"] is None else f"{result['file']} frame {result['frame']}"
    if "count" in result:
        typer.echo(f"{where}: {result['count']:.0f} heads, standard deviation {result['sd']:.0f}")
        return
    typer.echo(f"{where}: {len(result['detections'])} found")
    for one in result["detections"]:
        box = " ".join(f"{value:.0f}" for value in one["box"])
        text = (
            f"  {one['text'] or '?'} ({one['confidence']:.2f}, {one['grammar'] or 'fits no grammar'})"
            if "text" in one
            else ""
        )
        typer.echo(f"  {one['label']:10} {one['score']:.2f}  {box}{text}")


def _free(stem: str, taken: set[str]) -> str:
    """A file name that nothing else was drawn under: two folders may have a picture of one name."""
    names = (f"{stem}{'' if n == 1 else f'_{n}'}.png" for n in range(1, len(taken) + 2))
    chosen = next(name for name in names if name not in taken)
    taken.add(chosen)
    return chosen


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


def _as_read(plate: "Plate") -> dict[str, Any]:
    """What a plate says, for ``--json``."""
    read = plate.read
    return {
        "text": read.text if read else "",
        "confidence": round(read.confidence, 4) if read else 0.0,
        "grammar": read.grammar if read else "",
        "colour": plate.colour,
        "alternatives": [{"text": text, "confidence": round(c, 4)} for text, c in read.alternatives] if read else [],
    }
