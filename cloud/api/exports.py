"""``/api/v1/export/{what}``: readings, summaries, rollups and events as CSV or Parquet, while they are read."""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing
from enum import StrEnum
from itertools import chain
from typing import Annotated, Any, Final

import psycopg
from anyio import CancelScope, to_thread
from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import StreamingResponse
from psycopg.conninfo import make_conninfo
from pydantic import AwareDatetime
from starlette.concurrency import iterate_in_threadpool

from cloud.api.context import Context, Here
from cloud.store import comma, parquet
from cloud.store.export import Wanted, What, blocks, columns
from cloud.store.times import micros

router = APIRouter(prefix="/api/v1/export", tags=["export"])

Name = Annotated[str | None, Query(max_length=128)]
_OPTIONS: Final = (
    "-c default_transaction_read_only=on -c statement_timeout=60000 -c idle_in_transaction_session_timeout=120000"
)
"""Whoever stops reading for two minutes holds nothing up any longer."""


class Format(StrEnum):
    """What the file is."""

    CSV = "csv"
    PARQUET = "parquet"


_MEDIA_TYPES: Final = {Format.CSV: "text/csv; charset=utf-8", Format.PARQUET: "application/vnd.apache.parquet"}


@router.get("/{what}")
def export(
    what: What,
    context: Here,
    since: AwareDatetime,
    until: AwareDatetime,
    site: Name = None,
    node: Name = None,
    source: Name = None,
    quantity: Name = None,
    format: Format = Format.CSV,  # noqa: A002  the name in the address
) -> StreamingResponse:
    """Rows from ``since`` to before ``until``; ``quantity`` is an event's kind."""
    if until <= since:
        raise HTTPException(422, f"until {until.isoformat()} is not after since {since.isoformat()}")
    if format is Format.PARQUET:
        try:
            parquet.check()
        except parquet.ParquetError as error:
            raise HTTPException(501, str(error)) from error
    if not context.exports.acquire(blocking=False):
        raise HTTPException(503, "as many exports as may run are running; try again in a moment", {"Retry-After": "10"})
    pieces = _pieces(context, Wanted(what, micros(since), micros(until), site, node, source, quantity), format)
    first = next(pieces, b"")  # what goes wrong at the start is answered as an error
    return StreamingResponse(
        _sent(first, pieces),
        media_type=_MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="vedette-{what}.{format}"', "Cache-Control": "no-store"},
    )


async def _sent(first: bytes, pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """The pieces, made in threads; whoever goes away in between ends them there, and never in the loop."""
    try:
        yield first
        async for piece in iterate_in_threadpool(pieces):
            yield piece
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(pieces.close)


def _pieces(context: Context, wanted: Wanted, kind: Format) -> Generator[bytes, None, None]:
    try:
        with _connect(context) as connection:
            rest, names = blocks(connection, wanted), columns(wanted.what)
            rows = chain([next(rest, [])], rest)  # the statement has run before the first byte is sent
            made: Iterator[bytes] = comma.lines(names, rows) if kind is Format.CSV else parquet.pieces(names, rows)
            with closing(made):  # type: ignore[type-var]
                yield from made
    finally:
        context.exports.release()


def _connect(context: Context) -> psycopg.Connection[Any]:
    conninfo = make_conninfo(
        context.settings.database, application_name="vedette-export", connect_timeout=5, options=_OPTIONS
    )
    return psycopg.connect(conninfo)
