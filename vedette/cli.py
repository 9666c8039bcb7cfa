"""``vedette``: one command line for the installer, the watch officer and the model engineer."""

import logging
import sys
from typing import Annotated, Final

import structlog
import typer

from vedette import VERSION
from vedette.commands import bench, cloud, export, fleet, ingest, models, node, quarantine, rules, tap, up, watch

_OURS: Final = ("contract", "edge", "rules", "models", "cloud", "vedette", "bench")

app = typer.Typer(
    name="vedette",
    help="Early warning for a city: what the boxes see, what is about to go wrong, and who must know.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SYSTEM, OFFICER, INSTALLER, ENGINEER = "The whole", "Watch officer", "Installer", "Model engineer"

app.command("up", rich_help_panel=SYSTEM)(up.up)
app.add_typer(cloud.app, name="cloud", rich_help_panel=SYSTEM)
app.add_typer(ingest.app, name="ingest", rich_help_panel=SYSTEM)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=SYSTEM)
app.command("export", rich_help_panel=SYSTEM)(export.export)
app.command("bench", rich_help_panel=SYSTEM)(bench.bench)
app.command("status", rich_help_panel=OFFICER)(watch.status)
app.add_typer(watch.warnings, name="warnings", rich_help_panel=OFFICER)
app.command("events", rich_help_panel=OFFICER)(watch.events)
app.command("readings", rich_help_panel=OFFICER)(watch.readings)
app.add_typer(node.app, name="node", rich_help_panel=INSTALLER)
app.command("tap", rich_help_panel=INSTALLER)(tap.tap)
app.add_typer(models.app, name="models", rich_help_panel=ENGINEER)
app.add_typer(fleet.app, name="fleet", rich_help_panel=ENGINEER)
app.add_typer(rules.app, name="rules", rich_help_panel=ENGINEER)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vedette {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 something failed, 2 something given is wrong."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone, such as 'head'
    except Exception as error:
        # Our own exceptions are written for people: they name the thing, the value and the way out.
        if type(error).__module__.partition(".")[0] not in _OURS:
            raise
        typer.secho(f"vedette: {error}", fg="red", err=True)
        sys.exit(getattr(error, "exit_code", 2))
