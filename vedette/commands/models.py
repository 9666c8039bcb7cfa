"""``vedette models``: the zoo, its workshop, and the way of a release to the boxes."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vedette.commands import models_convert, models_evaluate, models_look, models_make, models_ship
from vedette.commands.models_options import ModelsError, Name
from vedette.commands.options import HOME, Data, Json, print_json, print_table

app = typer.Typer(help="Make detectors, measure them, and publish them to the boxes.", no_args_is_help=True)


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the models of the zoo."""
    from models import zoo

    found = [zoo.load(name)[0] for name in zoo.names()]
    if json:
        print_json([{"name": m.name, "version": m.version, "labels": list(m.labels)} for m in found])
        return
    print_table(
        ["NAME", "VERSION", "LABELS", "TARGETS", "LICENCE"],
        [[m.name, m.version, ", ".join(m.labels), ", ".join(sorted(m.artefacts)), m.licence] for m in found],
        "the zoo is empty",
    )


@app.command()
def publish(
    name: Name,
    folder: Annotated[Path | None, typer.Option(help="Folder of the release; the zoo's own when left out.")] = None,
    floor: Annotated[str | None, typer.Option(help="Lowest version that boxes may still run from now on.")] = None,
    json: Json = False,
    data_dir: Data = HOME,
) -> None:
    """Sign a model and offer it to the boxes; every hash in its manifest is checked first.

    Run it where the keys are: on the machine of 'vedette up', or wherever its folder 'keys' was moved to.
    """
    from cloud.fleet.fleet import Fleet
    from models import zoo
    from vedette.up.home import Home

    fleet = Fleet.of(Home(data_dir.absolute()).settings(), lambda: time.time_ns() // 1000)
    if folder is None:
        try:
            _, folder = zoo.load(name)
        except KeyError as error:
            raise ModelsError(error.args[0]) from None
    release = fleet.releases.publish(name, folder, floor)
    if json:
        print_json(asdict(release))
        return
    typer.echo(f"published {release.name} {release.version} (manifest {release.sha256[:16]}, floor {release.floor})")
    typer.echo(f"  offer it to a box: vedette fleet assign SITE/NODE {release.name} {release.version}")


for command in (
    models_look.detect,
    models_evaluate.evaluate,
    models_make.data,
    models_make.train,
    models_make.export,
    models_convert.convert,
    models_ship.quantize,
    models_ship.card,
):
    app.command()(command)
