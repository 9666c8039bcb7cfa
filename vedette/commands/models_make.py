"""``vedette models data``, ``train`` and ``export``: from pictures to an ONNX file."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from vedette.commands.models_options import ModelsError, Name, Sets, To, Work, say, step


def data(work: Work, data: Sets = None) -> None:
    """Merge the sets, leave out what a test shows, draw pictures, let teachers label streets; into the work folder.

    Says what there is (sources, splits, boxes, licences) and what was nearly the same.
    """
    from models.workshop import steps
    from models.workshop.sets.data import data_folder
    from models.workshop.sets.inventory import report
    from models.workshop.sets.merge import training
    from vedette.drawn.pictures import write_alight, write_pictures, write_plated

    def make() -> None:
        folder = data_folder(data)
        for line in report(steps.gather(folder, work, _command())):
            typer.echo(line)
        if not (work / "drawn/labels.jsonl").is_file():
            with steps.whole_folder(work / "drawn") as part:
                write_pictures(part)
        if not (work / "alight/labels.jsonl").is_file():
            with steps.whole_folder(work / "alight") as part:
                write_alight(part, folder, read=lambda where, split: training(where, work, split))
        if not (work / "plated/labels.jsonl").is_file():
            with steps.whole_folder(work / "plated") as part:
                write_plated(part, folder, read=lambda where, split: training(where, work, split))
        steps.prepare(folder, work, say)

    step(make)


def train(
    name: Annotated[str, typer.Argument(help="A detector, or what it starts from: made first where it is missing.")],
    work: Work,
    data: Sets = None,
    part_of: Annotated[
        float, typer.Option(help="Share of the pictures and steps, such as 0.1; made in a folder of its own.")
    ] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="Of the CPU; with 1 a training is the same bit for bit.")] = None,
    package: Annotated[
        Path | None, typer.Option(help="Folder of the package that crowd starts from; the installed one when left out.")
    ] = None,
) -> None:
    """Train a network; needs the 'train' extra. Goes on where it stopped, and tells what it reaches on val."""
    from models.workshop import trainer
    from models.workshop.crowd import recipe as crowd
    from models.workshop.crowd.trainer import train_counter
    from models.workshop.provenance import read_record
    from models.workshop.sets.data import data_folder
    from models.workshop.training.machine import Machine

    def make() -> object:
        what = (data_folder(data), work, say, part_of, seed, Machine(device, threads), _command())
        return train_counter(*what, package) if name == crowd.NAME else trainer.train_network(name, *what)

    typer.echo(str(step(make)))
    record = read_record(trainer.own_folder(work, part_of) / f"{name}.train.json")
    for figure, value in record.get("figures_on_val", {}).items():
        typer.echo(f"  {figure:24} {value:.3f}  on val, FP32")


def export(
    name: Name,
    to: To,
    work: Annotated[Path | None, typer.Option(help="Work folder of the workshop; not needed with --fixed.")] = None,
    fixed: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT: the exported file in this one shape, for other compilers.")
    ] = None,
    heads: Annotated[
        bool, typer.Option("--heads", help="With --fixed: scores and boxes, without the suppression of doubles.")
    ] = False,
) -> None:
    """Write a trained model as ONNX, pixels in, detections or heads out; needs the 'train' extra."""
    from models.workshop import steps
    from models.workshop.crowd import recipe as crowd
    from models.workshop.crowd.ship import export_counter
    from vedette.commands.models_ship import one_shape

    if fixed is not None:
        one_shape(name, fixed, to, heads)
        return
    if heads:
        raise ModelsError("--heads needs --fixed WIDTHxHEIGHT: a compiler that wants heads wants one shape")
    if work is None:
        raise ModelsError("export needs --work, the work folder with the trained checkpoint")
    if name == crowd.NAME:
        typer.echo(str(step(lambda: export_counter(work, to, _command()))))
        return
    typer.echo(str(step(lambda: steps.export_detector(name, work, to, _command()))))


def _command() -> str:
    return shlex.join(["vedette", *sys.argv[1:]])
