"""``vedette quarantine``: what could not be taken in, why, and another try."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.commands.options import HOME, Data, Json, Limit, print_json, print_table

if TYPE_CHECKING:
    import psycopg

    from cloud.ingest.quarantine import Kept

app = typer.Typer(help="Records and messages that could not be taken in: look, and try again.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="As 'vedette quarantine list' shows it.")]
_SHOWN = 2000
"""Bytes of a body that nobody can decode, at most, when it is shown."""


@app.command("list")
def list_kept(
    node: Annotated[str, typer.Option(metavar="SITE/NODE", help="Of this node alone.")] = "",
    limit: Limit = 100,
    json: Json = False,
    data_dir: Data = HOME,
) -> None:
    """List what lies there, the newest first."""
    from cloud.ingest import quarantine

    site, _, name = node.partition("/")
    with _database(data_dir) as connection:
        found = quarantine.kept(connection, limit, site, name)
    if json:
        print_json([_told(one) for one in found])
        return
    print_table(
        ["NUMBER", "ARRIVED", "FROM", "LANE", "RECORD", "BYTES", "REASON"],
        [
            [
                str(one.id),
                f"{one.arrived:%Y-%m-%d %H:%M:%S}",
                f"{one.site}/{one.node}" if one.node else one.topic,
                str(one.lane.value if one.lane else ""),
                "" if one.number is None else str(one.number),
                str(len(one.body)),
                one.reason[:120],
            ]
            for one in found
        ],
        "the quarantine is empty",
    )


@app.command()
def show(number: Number, data_dir: Data = HOME) -> None:
    """Print one of them as JSON: the reason, and what it says as far as it can be decoded."""
    from cloud.ingest import quarantine

    with _database(data_dir) as connection:
        one = quarantine.find(connection, number)
    print_json(_told(one) | {"body": _decoded(one)})


@app.command()
def retry(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Which; or --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that lies there.")] = False,
    data_dir: Data = HOME,
) -> None:
    """Take in, as history, what makes sense by now: after an update, or once its node is enrolled.

    It raises no alarm. What still makes no sense stays, and the exit code is then 1.
    """
    from cloud.ingest import quarantine

    left = 0
    with _database(data_dir) as connection:
        chosen = list(numbers or ())
        if everything:
            chosen = sorted(one.id for one in quarantine.kept(connection, quarantine.LONGEST))
        if not chosen and not everything:
            raise quarantine.QuarantineError("which? name numbers of 'vedette quarantine list', or give --all")
        for number in chosen:
            try:
                done = quarantine.retry(connection, number)
            except quarantine.QuarantineError as error:
                typer.secho(f"vedette: {error}", fg="red", err=True)
                left += 1
                continue
            left += bool(done.bad)
            rest = f", {len(done.bad)} stay: {done.bad[0].reason}" if done.bad else ""
            typer.echo(f"{number}: {done.taken} records taken in{rest}")
    if left:
        raise typer.Exit(1)


@contextmanager
def _database(data_dir: Path) -> "Iterator[psycopg.Connection[Any]]":
    from cloud.store.connection import connect
    from vedette.up.home import Home

    with connect(Home(data_dir.absolute()).settings().database, "vedette-quarantine") as connection:
        yield connection


def _told(one: "Kept") -> dict[str, Any]:
    return {
        "number": one.id,
        "arrived": one.arrived.isoformat(),
        "topic": one.topic,
        "site": one.site,
        "node": one.node,
        "lane": one.lane.value if one.lane else None,
        "record": one.number,
        "bytes": len(one.body),
        "reason": one.reason,
    }


def _decoded(one: "Kept") -> Any:
    """Its records as plain data, or its first bytes in hexadecimal."""
    import msgspec

    from contract.wire import WireError

    try:
        return [msgspec.msgpack.decode(raw) for raw in one.batch().records]
    except (WireError, msgspec.DecodeError):
        return {"bytes": one.body[:_SHOWN].hex()}
