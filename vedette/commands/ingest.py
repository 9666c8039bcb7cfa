"""``vedette ingest``: from the broker into the database, and the rules behind it."""

import os

import typer

from vedette.commands.cloud import stop_on_signals

app = typer.Typer(help="Carry records from the broker into the database, and run the rules.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, though it has one command: more will come."""


@app.command()
def run() -> None:
    """Run one worker; as many as wished share the partitions. Settings come from VEDETTE_... variables."""
    from cloud.ingest.worker import run as work
    from cloud.settings import CloudSettings

    work(CloudSettings.from_environment(os.environ), stop_on_signals())
