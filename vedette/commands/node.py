"""``vedette node``: what runs on a box."""

from pathlib import Path
from typing import Annotated

import typer

from vedette.commands.options import Json, print_json

app = typer.Typer(help="Run a box, and check what works on it and what does not.", no_args_is_help=True)
Config = Annotated[Path, typer.Option("-c", "--config", help="The box's node.yaml.")]


@app.command()
def run(
    config: Config,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for sockets and frames; in memory when left out.")
    ] = None,
) -> None:
    """Run the box: one process a camera, one for vision, one for sensing, one for delivery."""
    from edge import node

    raise typer.Exit(node.run(config, run_dir))


@app.command()
def check(config: Config, json: Json = False) -> None:
    """Open every camera and sensor, load every model, reach the broker; tell what works, what does not, and why.

    Exit code 0 where everything works, else 2.
    """
    import edge.check as checks

    findings = checks.check(config)
    if json:
        print_json(checks.as_dicts(findings))
    else:
        checks.render(findings)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 2)


@app.command()
def schema() -> None:
    """Print the JSON schema of node.yaml, for editors."""
    from edge.schema import schema as node_schema

    print_json(node_schema())


@app.command()
def example() -> None:
    """Print a node.yaml to begin with."""
    from edge.schema import example_yaml

    typer.echo(example_yaml(), nl=False)
