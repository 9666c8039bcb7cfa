"""``vedette models quantize`` and ``card``: from an ONNX file to a release."""

from typing import Annotated

import typer

from vedette.commands.models_options import Name, Sets, To, Work, step


def quantize(
    name: Name,
    work: Work,
    to: To,
    data: Sets = None,
) -> None:
    """Quantize an exported detector to INT8, one artefact a target; needs the 'train' extra."""
    from models.workshop import steps
    from models.workshop.data import data_folder

    made = step(lambda: steps.quantize_detector(name, data_folder(data), work, to))
    for target, path in made.items():
        typer.echo(f"{target:14} {path}")


def card(
    name: Name,
    version: Annotated[str, typer.Argument(help="Of the release, such as 1.2.0.")],
    work: Work,
    to: To,
    data: Sets = None,
) -> None:
    """Measure the artefacts of a release, and write its golden samples, its manifest and its card."""
    from datetime import UTC, datetime

    from models.workshop import steps
    from models.workshop.data import data_folder
    from vedette.drawn.golden import golden_pictures

    def make() -> object:
        today = datetime.now(UTC).date().isoformat()
        return steps.release_detector(name, version, data_folder(data), work, to, golden_pictures(name), today)

    step(make)
    typer.echo(str(to / "card.md"))
