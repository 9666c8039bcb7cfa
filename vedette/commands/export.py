"""``vedette export``: what the server has stored, as a file."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vedette.client import Client, find_server
from vedette.commands.options import HOME, Data, Server


class What(StrEnum):
    """What can be had."""

    READINGS = "readings"
    SUMMARIES = "summaries"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    EVENTS = "events"


class Format(StrEnum):
    """What the file is."""

    CSV = "csv"
    PARQUET = "parquet"


def export(
    what: Annotated[What, typer.Argument(help="minutes, hours and days are rollups of the readings.")],
    since: Annotated[str, typer.Option(metavar="TIME", help="From then on: 2026-11-24, or 2026-11-24T11:48 (UTC).")],
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Up to before then; now when left out.")] = None,
    site: Annotated[str | None, typer.Option(help="Of this site alone.")] = None,
    node: Annotated[str | None, typer.Option(help="Of this node alone.")] = None,
    source: Annotated[str | None, typer.Option(help="Of this source alone.")] = None,
    quantity: Annotated[str | None, typer.Option(help="co, person-count, …; of events: their kind.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file; standard output when left out.")] = None,
    kind: Annotated[Format | None, typer.Option("--format", help="Else by the file's name, else CSV.")] = None,
    server: Server = None,
    data_dir: Data = HOME,
) -> None:
    """Export readings, rollups or events as CSV or Parquet, however many there are."""
    begin, end = _time(since, "--since"), _time(until, "--until") if until else datetime.now(UTC)
    if kind is None:
        kind = Format.PARQUET if out is not None and out.suffix == ".parquet" else Format.CSV
    if kind is Format.PARQUET and out is None:
        raise typer.BadParameter("Parquet goes to a file; name it with --out", param_hint="--format")
    with Client(find_server(server, data_dir)) as client:
        pieces = client.stream(
            f"/export/{what}", format=kind.value, since=begin.isoformat(), until=end.isoformat(), site=site, node=node,
            source=source, quantity=quantity,
        )  # fmt: skip
        if out is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            typer.echo(f"{out}: {_write(out, pieces)} bytes", err=True)


def _write(out: Path, pieces: Iterator[bytes]) -> int:
    """The file, whole or not at all; how many bytes."""
    part = out.with_name(out.name + ".part")
    size = 0
    try:
        with part.open("wb") as file:
            for piece in pieces:
                size += file.write(piece)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return size


def _time(text: str, option: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-11-24T11:48", param_hint=option) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
