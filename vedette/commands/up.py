"""``vedette up``: everything on this machine."""

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from vedette.commands.options import HOME

_BEGUN = time.monotonic()


def up(
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where everything is kept (else VEDETTE_HOME).")] = HOME,
    listen: Annotated[str, typer.Option(help="Where the page and the API answer: host:port.")] = "127.0.0.1:8480",
    mqtt_host: Annotated[
        str, typer.Option(help="Address the embedded broker listens on; without TLS, so name a trusted network's only.")
    ] = "127.0.0.1",
    mqtt_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the embedded broker.")] = 8483,
    modbus_port: Annotated[int, typer.Option(min=1, max=65535, help="Of the demonstration's gas detector.")] = 8502,
    database: Annotated[
        str | None, typer.Option(help="A PostgreSQL of yours ('host=… dbname=…'); embedded when left out.")
    ] = None,
    camera: Annotated[list[str] | None, typer.Option(help="A camera of yours, rtsp://…; again for more.")] = None,
    demo: Annotated[bool, typer.Option(help="With the demonstration site.")] = True,
) -> None:
    """Start the whole system with a demonstration site, and keep it running until Ctrl-C."""
    from vedette.up.home import Home
    from vedette.up.system import Options, System

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise typer.BadParameter(f"{listen!r} is not host:port, such as 127.0.0.1:8480", param_hint="--listen")
    if camera and not demo:
        raise typer.BadParameter("a camera of yours joins the demonstration's box; leave --no-demo out")
    home = Home(data_dir.absolute())
    home.make()
    home.lock()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    system = System(
        Options(home, listen, mqtt_host, mqtt_port, modbus_port, database, demo, tuple(camera or ())), _tell
    )
    if demo:
        threading.Thread(target=_tell_first_warnings, args=(system.url, stop), daemon=True).start()
    system.run(stop)
    _tell("stopped")


def _tell(line: str) -> None:
    sys.stderr.write(f"[{time.monotonic() - _BEGUN:5.1f} s] {line}\n")
    sys.stderr.flush()


def _tell_first_warnings(url: str, stop: threading.Event) -> None:
    """Say when the first warning of each kind has come all the way, with its picture; then be quiet."""
    import httpx

    told: set[str] = set()
    while not stop.wait(1.0) and not {"fire", "gas"} <= told:
        try:
            found = httpx.get(f"{url}/api/v1/warnings", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            continue
        for warning in found if isinstance(found, list) else ():
            if warning["kind"] not in told:
                told.add(warning["kind"])
                _tell(f"first {warning['kind']} warning: {warning['severity']}: {warning['title']['en']}")
