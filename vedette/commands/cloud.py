"""``vedette cloud``: the API and the page, as a process of their own."""

import os
import signal
import threading
from typing import Annotated

import typer

app = typer.Typer(help="Serve the API and the page of the emergency centre.", no_args_is_help=True)


@app.command()
def serve() -> None:
    """Serve the API and the page; settings come from VEDETTE_... variables."""
    from cloud.api.serve import run
    from cloud.settings import CloudSettings

    run(CloudSettings.from_environment(os.environ), stop_on_signals())


@app.command()
def migrate() -> None:
    """Bring the database's tables to this release's version; settings come from VEDETTE_... variables."""
    from cloud.settings import CloudSettings
    from cloud.store.schema import migrate as bring

    done = bring(CloudSettings.from_environment(os.environ).database)
    typer.echo("\n".join(done) if done else "the tables are of this version already")


@app.command("play-gas", hidden=True)
def play_gas(port: Annotated[int, typer.Option(min=1, max=65535)]) -> None:
    """Be the demonstration's gas detector on Modbus TCP."""
    import asyncio
    import time

    from vedette.demo import gas
    from vedette.demo.data import data_folder

    async def play() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await gas.serve(gas.load_curve(data_folder()), "127.0.0.1", port, time.monotonic, stopped)

    asyncio.run(play())


def stop_on_signals() -> threading.Event:
    """Set when the process is asked to end (SIGTERM, SIGINT)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
