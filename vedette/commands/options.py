"""Options that several commands share, and how results are printed."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Address of the server (else VEDETTE_SERVER, else the local one)."),
]
Data = Annotated[Path, typer.Option("--data-dir", help="Folder of 'vedette up' (else VEDETTE_HOME, else .vedette).")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]

HOME = Path(os.environ.get("VEDETTE_HOME", ".vedette"))


def print_json(value: Any) -> None:
    """The value as JSON, indented, on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: list[str], rows: list[list[str]], empty: str) -> None:
    """A table as wide as the terminal; ``empty`` where there is no row."""
    if not rows:
        typer.echo(empty)
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 200).print(table)
