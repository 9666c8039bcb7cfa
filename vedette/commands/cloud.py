"""``vedette cloud``: the API and the page, as a process of their own."""

import os
import signal
import threading

import typer

app = typer.Typer(help="Serve the API and the page of the emergency centre.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, though it has one command: more will come."""


@app.command()
def serve() -> None:
    """Serve the API and the page; settings come from VEDETTE_... variables."""
    from cloud.api.serve import run
    from cloud.settings import CloudSettings

    run(CloudSettings.from_environment(os.environ), stop_on_signals())


def stop_on_signals() -> threading.Event:
    """Set when the process is asked to end (SIGTERM, SIGINT)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
