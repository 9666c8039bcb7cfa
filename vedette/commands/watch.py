"""``vedette warnings|events|readings|status``: what the page shows, in the terminal."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from vedette.client import Client, fetch, find_server, live
from vedette.commands.options import HOME, Data, Json, Limit, Server, print_json, print_table

CLOCK_LIMIT_S: Final = 5.0
"""As ``clock-off`` in ``rules/packs/blind.yaml``."""

warnings = typer.Typer(help="Live and past warnings, with the reasons for each.", no_args_is_help=True)


@warnings.command("list")
def list_warnings(
    state: Annotated[str | None, typer.Option(help="open, acknowledged, resolved or cancelled.")] = None,
    kind: Annotated[str | None, typer.Option(help="fire, gas, crowd, …")] = None,
    limit: Limit = 50,
    json: Json = False,
    server: Server = None,
    data_dir: Data = HOME,
) -> None:
    """List warnings, the newest first."""
    found = fetch(server, data_dir, "/warnings", state=state, kind=kind, limit=limit)
    if json:
        print_json(found)
        return
    print_table(
        ["ID", "RAISED", "SEVERITY", "STATE", "KIND", "WHERE", "TITLE"],
        [
            [w["id"][:12], _time(w["raised"]), w["severity"], _state(w), w["kind"], w["key"], w["title"]["en"]]
            for w in found
        ],
        "no warnings",
    )


@warnings.command("show")
def show_warning(
    warning: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")],
    json: Json = False,
    server: Server = None,
    data_dir: Data = HOME,
) -> None:
    """Show one warning: the rule, the readings, the evidence, the model, and what was done."""
    with Client(find_server(server, data_dir)) as client:
        found = client.get(f"/warnings/{_whole_id(client, warning)}")
    if json:
        print_json(found)
        return
    _print_warning(found)


@warnings.command("watch")
def watch_warnings(json: Json = False, server: Server = None, data_dir: Data = HOME) -> None:
    """Print each change of a warning as it happens (one JSON object a line with --json)."""
    import json as codec

    seen: dict[str, int] = {}
    for message in live(find_server(server, data_dir)):
        for warning in message.get("warnings", []):
            if seen.get(warning["id"], -1) >= warning["revision"]:
                continue
            seen[warning["id"]] = warning["revision"]
            if message["type"] == "snapshot" and warning["state"] not in ("open", "acknowledged"):
                continue
            if json:
                typer.echo(codec.dumps(warning, ensure_ascii=False))
            else:
                typer.echo(
                    f"{_time(warning['changed'])}  {warning['severity']:9} {_state(warning):13} {warning['kind']:9} "
                    f"{warning['key']}  {warning['title']['en']}"
                )


def events(
    kind: Annotated[str | None, typer.Option(help="fire, smoke, gas, crowd, …")] = None,
    limit: Limit = 50,
    json: Json = False,
    server: Server = None,
    data_dir: Data = HOME,
) -> None:
    """List what analyzers say happened, the newest first."""
    found = fetch(server, data_dir, "/events", kind=kind, limit=limit)
    if json:
        print_json(found)
        return
    print_table(
        ["ID", "STARTED", "KIND", "PHASE", "SOURCE", "SCORE"],
        [[e["id"][:12], _time(e["started"]), e["kind"], e["phase"], _source(e), f"{e['score']:.2f}"] for e in found],
        "no events",
    )


def readings(
    source: Annotated[str | None, typer.Option(help="site/node/source; all when left out.")] = None,
    quantity: Annotated[str | None, typer.Option(help="co, person-count, …")] = None,
    limit: Limit = 50,
    json: Json = False,
    server: Server = None,
    data_dir: Data = HOME,
) -> None:
    """Show the last reading of every series, or the history of one source."""
    if source is None:
        latest = fetch(server, data_dir, "/readings/latest")
        found = [r for r in latest if quantity is None or r["quantity"] == quantity][:limit]
    else:
        site, node, name = _split_source(source)
        found = fetch(server, data_dir, "/readings", site=site, node=node, source=name, quantity=quantity, limit=limit)
    if json:
        print_json(found)
        return
    print_table(
        ["TIME", "SOURCE", "QUANTITY", "VALUE", "UNIT", "QUALITY"],
        [[_time(r["time"]), _source(r), r["quantity"], f"{r['value']:g}", r["unit"], r["quality"]] for r in found],
        "no readings",
    )


def status(json: Json = False, server: Server = None, data_dir: Data = HOME) -> None:
    """Show how the whole is: every node, source, model and part."""
    found = fetch(server, data_dir, "/status")
    nodes = fetch(server, data_dir, "/nodes")
    if json:
        print_json({**found, "nodes": nodes})
        return
    for name, value in found.items():
        if not isinstance(value, dict | list):
            typer.echo(f"{name:16} {value}")
    for node in nodes:
        typer.echo(f"\n{node['site']}/{node['node']}  {'online' if node['online'] else 'OFFLINE'}  {node['software']}")
        for line in _node_lines(node, found["time"]):
            typer.echo(f"  {line}")
        for source in node["sources"]:
            typer.echo(f"  {source['source']:20} {source['state']:10} {source['rate_hz']:6.2f} Hz  {source['reason']}")
        for model in node["models"]:
            typer.echo(f"  model {model['name']:14} {model['version']:10} {model['state']}  {model['reason']}")


def _node_lines(node: dict[str, Any], now: str) -> Iterator[str]:
    """What people must know of a node besides its sources and models."""
    if node["heartbeat"] is not None:
        age = (datetime.fromisoformat(now) - datetime.fromisoformat(node["heartbeat"])).total_seconds()
        yield f"last heartbeat through {max(age, 0.0):.0f} s ago"
    elif node["health_time"] is None:
        yield "HAS NEVER SPOKEN"
    ahead = node["clock_ahead_s"]
    if ahead is not None and abs(ahead) > CLOCK_LIMIT_S:
        yield f"CLOCK {abs(ahead):.0f} s {'FAST' if ahead > 0 else 'SLOW'}"
    if node["readings_thinned"]:
        yield f"{node['readings_thinned']} readings gave way to summaries"
    if node["uploads_lost"]:
        yield f"{node['uploads_lost']} evidence files were given up"


def _print_warning(warning: dict[str, Any]) -> None:
    typer.secho(f"{warning['severity']}: {warning['title']['en']}", bold=True)
    for name in ("id", "kind", "rule", "key", "raised", "changed", "cleared", "condition"):
        typer.echo(f"  {name:10} {warning[name]}")
    typer.echo(f"  {'state':10} {_state(warning)}")
    for name, value in warning["values"].items():
        typer.echo(f"  {'value':10} {name} = {value}")
    if warning["model"]:
        typer.echo(f"  {'model':10} {warning['model']['name']} {warning['model']['version']}")
    for file in warning["evidence"]:
        typer.echo(f"  {'evidence':10} {file['role']} {file['url'] if file['stored'] else '(on its way)'}")
    for step in warning.get("steps", []):
        typer.echo(f"  {'step':10} {_time(step['time'])} {step['action']} {step['by']} {step['note']}")


def _whole_id(client: Client, begin: str) -> str:
    """The id that begins so; the text itself where none or several do (the server then answers 404)."""
    if len(begin) >= 32:
        return begin
    found = [w["id"] for w in client.get("/warnings", limit=1000) if w["id"].startswith(begin)]
    return found[0] if len(found) == 1 else begin


def _split_source(source: str) -> list[str]:
    parts = source.split("/")
    if len(parts) != 3:
        raise typer.BadParameter(f"{source!r} is not site/node/source", param_hint="--source")
    return parts


def _time(iso: str) -> str:
    return iso[:19].replace("T", " ")


def _source(row: dict[str, Any]) -> str:
    return f"{row['site']}/{row['node']}/{row['source']}"


def _state(warning: dict[str, Any]) -> str:
    return f"{warning['state']}{' (over)' if warning['cleared'] else ''}"
