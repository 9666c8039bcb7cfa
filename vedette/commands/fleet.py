"""``vedette fleet``: which boxes there are, and which release each shall run."""

import json as codec
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette.client import Client, fetch, find_server
from vedette.commands.options import HOME, Data, Json, Server, print_json, print_table

if TYPE_CHECKING:
    from vedette.up.home import Home

app = typer.Typer(help="Let boxes in, see what they run, and tell them what to run.", no_args_is_help=True)
NodeName = Annotated[str, typer.Argument(metavar="SITE/NODE", help="The box, such as demo/box-1.")]


class FleetError(RuntimeError):
    """A box cannot be let in; the text says why."""


@app.command()
def nodes(json: Json = False, server: Server = None, data_dir: Data = HOME) -> None:
    """List the boxes with the releases they run."""
    found = fetch(server, data_dir, "/nodes")
    if json:
        print_json(found)
        return
    print_table(
        ["NODE", "STATE", "SOFTWARE", "MODELS"],
        [
            [
                f"{node['site']}/{node['node']}",
                "online" if node["online"] else "OFFLINE",
                node["software"],
                ", ".join(f"{m['name']} {m['version']}{_remark(m)}" for m in node["models"]),
            ]
            for node in found
        ],
        "no node is enrolled; let one in with 'vedette fleet enrol SITE NODE'",
    )


@app.command()
def releases(json: Json = False, server: Server = None, data_dir: Data = HOME) -> None:
    """List the published releases."""
    found = fetch(server, data_dir, "/releases")
    if json:
        print_json(found)
        return
    print_table(
        ["NAME", "VERSION", "FLOOR", "SHA-256 OF THE MANIFEST"],
        [[r["name"], r["version"], r["floor"], r["sha256"][:16]] for r in found],
        "nothing is published; publish a model with 'vedette models publish NAME'",
    )


@app.command()
def assignments(json: Json = False, server: Server = None, data_dir: Data = HOME) -> None:
    """List which box shall run which release."""
    found = fetch(server, data_dir, "/assignments")
    if json:
        print_json(found)
        return
    print_table(
        ["NODE", "MODEL", "VERSION", "ASSIGNED", "BY"],
        [[f"{a['site']}/{a['node']}", a["name"], a["version"], a["assigned"][:19], a["assigned_by"]] for a in found],
        "nothing is assigned; every box runs what it came with",
    )


@app.command()
def assign(
    node: NodeName,
    model: Annotated[str, typer.Argument(help="Name of the model, such as fire.")],
    version: Annotated[str | None, typer.Argument(help="The highest published one when left out.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the box's own report; 0: do not wait.")] = 60.0,
    json: Json = False,
    server: Server = None,
    data_dir: Data = HOME,
) -> None:
    """Tell a box which release to run, and wait for what it says.

    Exit code 1 where the box refused the release or took it back, or said nothing in time.
    """
    site, name = _split(node)
    with Client(find_server(server, data_dir)) as client:
        wanted = version or _highest(client, model)
        body = {"site": site, "node": name, "name": model, "version": wanted, "by": os.environ.get("USER", "")}
        assigned = client.post("/assignments", body)
        report = _await_report(client, site, name, model, wanted, wait) if wait > 0 else None
    if json:
        print_json({"assignment": assigned, "report": report})
    else:
        typer.echo(f"{node} shall run {model} {wanted}")
        if report is not None:
            typer.echo(f"{node} runs {model} {report['version']}: {report['state']} {report['reason']}".rstrip())
        elif wait > 0:
            typer.echo(f"{node} has not said anything of it within {wait:.0f} s")
    if wait > 0 and (report is None or report["version"] != wanted):
        raise typer.Exit(1)


@app.command()
def enrol(
    site: Annotated[str, typer.Argument(help="The place.")],
    node: Annotated[str, typer.Argument(help="The box.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write node.yaml, its secret and its trust into.")],
    broker: Annotated[str | None, typer.Option(help="mqtt://host:port, as the box reaches it.")] = None,
    cloud: Annotated[str | None, typer.Option(help="http(s)://host:port, as the box reaches it.")] = None,
    data_dir: Data = HOME,
) -> None:
    """Let a box in: write its node.yaml with a secret and the roots of trust, to be carried to it.

    Run it where 'vedette up' runs. A box that is in already gets a new secret.
    """
    from cloud.fleet import nodes as enrolment
    from cloud.fleet.fleet import Fleet
    from cloud.store.connection import connect
    from edge.schema import FILE_NAME, first_line, schema
    from vedette.up.home import Home, write_private

    home = Home(data_dir.absolute())
    settings = home.settings()
    url = find_server(None, data_dir)
    with connect(settings.database, "vedette-enrol") as connection:
        enrolled = enrolment.enrol(connection, site, node)
    _admit(home)
    try:
        out.mkdir(parents=True, exist_ok=True)
        enrolment.export_trust(Fleet.of(settings, lambda: time.time_ns() // 1000), site, node, out / "trust")
        write_private(out / "secret", enrolled.secret)
        head = enrolled.yaml(broker or settings.broker, cloud or url)
        write_private(out / "node.yaml", f"{first_line()}{head}storage:\n  folder: data\n")
        (out / FILE_NAME).write_text(codec.dumps(schema(), indent=1))
    except OSError as error:
        raise FleetError(f"{out} cannot be written: {error.strerror}; name another folder with --out") from error
    typer.echo(f"{site}/{node} may connect. Add its cameras and sensors to {out / 'node.yaml'}, then:")
    typer.echo(f"  vedette node check -c {out / 'node.yaml'}")


def _admit(home: "Home") -> None:
    """Tell the embedded broker of its new user."""
    from cloud.servers.broker import BrokerUser
    from vedette.up.system import FleetBroker

    settings = home.settings()
    user = BrokerUser(settings.broker_username, settings.broker_password.get_secret_value())
    FleetBroker(home.broker, settings.broker_port, user, settings.database).admit()
    try:
        pid = codec.loads((home.folder / "parts.json").read_text())["broker"]
        os.kill(int(pid), signal.SIGHUP)
    except (OSError, ValueError, KeyError):
        raise FleetError("the broker does not run here; start 'vedette up' and enrol again") from None


def _await_report(client: Client, site: str, node: str, model: str, version: str, wait: float) -> dict[str, str] | None:
    """What the box says of the release: it runs it, refused it or took it back; None where it says nothing."""
    until = time.monotonic() + wait
    while time.monotonic() < until:
        for one in client.get("/nodes"):
            if (one["site"], one["node"]) != (site, node):
                continue
            for report in one["models"]:
                runs = report["version"] == version and report["state"] == "active"
                failed = report["offered"] == version and report["state"] != "active"
                if report["name"] == model and (runs or failed):
                    return dict(report)
        time.sleep(0.5)
    return None


def _highest(client: Client, model: str) -> str:
    found = [str(r["version"]) for r in client.get("/releases") if r["name"] == model]
    if not found:
        raise FleetError(f"{model} is not published; publish it first: vedette models publish {model}")
    return max(found, key=lambda version: tuple(int(part) for part in version.split(".")))


def _split(node: str) -> tuple[str, str]:
    site, _, name = node.partition("/")
    if not site or not name or "/" in name:
        raise typer.BadParameter(f"{node!r} is not SITE/NODE, such as demo/box-1")
    return site, name


def _remark(model: dict[str, str]) -> str:
    return "" if model["state"] == "active" else f" ({model['offered']} {model['state']})"
