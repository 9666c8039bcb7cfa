"""``vedette models quantize`` and ``card``: from an ONNX file to a release."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette.commands.models_options import Name, Sets, To, Work, say, step

if TYPE_CHECKING:
    from models.workshop.evaluation.evaluate import Detect, Figure

Study = Annotated[bool, typer.Option("--study", help="Try many settings first; keep the best, and the table.")]


def quantize(
    name: Name,
    work: Work,
    to: To,
    data: Sets = None,
    study: Study = False,
    pictures: Annotated[
        int | None, typer.Option(min=0, help="Pictures of val that a study measures each setting on; 0 = all.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Times that a study runs each file, to compare times.")] = 20,
) -> None:
    """Quantize an exported model to INT8, one artefact a target; needs the 'train' extra.

    Without --study the settings are those of 'quantization.json' in the release's folder, else the stated ones. The
    counter's are always sought: that takes minutes.
    """
    from models.workshop.crowd import recipe as crowd
    from models.workshop.crowd import ship as counter
    from models.workshop.release import ship
    from models.workshop.sets.data import data_folder

    def make() -> dict[str, Path]:
        if name == crowd.NAME:
            return counter.quantize(data_folder(data), work, to, say)
        return ship.quantize_detector(name, data_folder(data), work, to, say, study, pictures, rounds)

    made = step(make)
    for target, path in made.items():
        typer.echo(f"{target:14} {path}")


def card(
    name: Name,
    version: Annotated[str, typer.Argument(help="Of the release, such as 1.2.0.")],
    work: Work,
    to: To,
    data: Sets = None,
    answerable: Annotated[str, typer.Option(help="Who answers for the release: a person or an organisation.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Release it although INT8 loses too much.")] = False,
) -> None:
    """Measure the artefacts of a release, and write its golden samples, its manifest and its card.

    A release is refused that is too large, has too few golden samples, or lost too much to INT8.
    """
    from datetime import UTC, datetime

    from edge.vision.plates.reader import PlateReader
    from models.workshop.conversion import plates
    from models.workshop.crowd import recipe as crowd
    from models.workshop.crowd.ship import release_counter
    from models.workshop.release import ship
    from models.workshop.sets.data import data_folder
    from vedette.drawn.golden import golden_pictures
    from vedette.false_alarms import on_data

    faults: list[str] = []
    readers = plates.read_readers(to) if name == plates.NAME else ()

    def clips(folder: Path, detect: "Detect", thresholds: Mapping[str, float]) -> "list[Figure]":
        return on_data(name, folder, detect, thresholds, faults)

    def make() -> object:
        today = datetime.now(UTC).date().isoformat()
        if name == crowd.NAME:
            where = (data_folder(data), work, to)
            return release_counter(version, *where, golden_pictures(name), today, answerable, force)
        return ship.release_detector(
            name,
            version,
            data_folder(data),
            work,
            to,
            golden_pictures(name),
            today,
            answerable,
            force,
            clips,
            readers,
            PlateReader(readers, to).text if readers else None,
        )

    step(make)
    for fault in faults:
        say(f"not measured: {fault}")
    typer.echo(str(to / "card.md"))


def one_shape(name: str, size: str, to: Path, heads: bool) -> None:
    """Write the FP32 file of a release, that in ``to`` or else the zoo's, in one shape; see ``workshop.fixed``."""
    from models import zoo
    from models.workshop.release import ship

    source = to / f"{name}.onnx-fp32.onnx"
    if not source.is_file() and name in zoo.names():
        manifest, folder = zoo.load(name)
        source = folder / manifest.artefacts["onnx-fp32"].file
    made = step(lambda: ship.export_fixed(source, name, size, to, heads))
    typer.echo(str(made.path))
    typer.echo(
        f"  in   {made.input}, RGB, 0 to 255 times {made.scale:.6g}" if heads else f"  in   {made.input}, uint8 RGB"
    )
    for output, shape in made.outputs:
        typer.echo(f"  out  {output} {list(shape)}")
    typer.echo(f"  last convolutions: {', '.join(made.ends)}")
