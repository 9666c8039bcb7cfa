"""``vedette models data``, ``train`` and ``export``: from pictures to an ONNX file."""

from typing import Annotated

import typer

from vedette.commands.models_options import Name, Sets, To, Work, say, step


def data(work: Work, data: Sets = None) -> None:
    """Draw pictures, and let a teacher label people where nobody has; into the work folder."""
    from models.workshop import steps
    from models.workshop.data import data_folder
    from vedette.drawn.pictures import write_alight, write_pictures

    def make() -> None:
        folder = data_folder(data)
        write_pictures(work / "drawn")
        write_alight(work / "alight", folder)
        steps.prepare(folder, work, say)

    step(make)


def train(
    name: Annotated[str, typer.Argument(help="'base', then a detector.")],
    work: Work,
    data: Sets = None,
) -> None:
    """Train the base network or a detector; needs the 'train' extra. Goes on where it stopped."""
    from models.workshop import steps
    from models.workshop.data import data_folder

    folder = data_folder(data)
    made = step(
        lambda: steps.teach_base(folder, work, say) if name == "base" else steps.train_detector(name, folder, work, say)
    )
    typer.echo(str(made))


def export(name: Name, work: Work, to: To) -> None:
    """Write a trained detector as ONNX, pixels in, detections out; needs the 'train' extra."""
    from models.workshop import steps

    typer.echo(str(step(lambda: steps.export_detector(name, work, to))))
