"""``/node/v1/evidence/{sha256}``: nodes upload the files that show their events, and go on where a cut left them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Final

import psycopg
import structlog
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, HTTPException, Path, Request, Response
from psycopg_pool import PoolTimeout
from starlette.requests import ClientDisconnect

from cloud.api.context import Context, Here
from cloud.evidence.ending import end_files
from cloud.evidence.intake import mark_stored
from cloud.evidence.store import ContentError, NoRoomError, OffsetError, Upload
from cloud.identity.nodes import NotAuthenticError, basic_credentials
from contract.evidence import LENGTH_HEADER, MAX_FILE_BYTES, OFFSET_HEADER

router = APIRouter(tags=["node"])
log = structlog.get_logger(__name__)

_WRITE: Final = 256 * 1024
_SILENCE_S: Final = 30.0
_ABANDONED_S: Final = 7 * 86_400.0
Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


def known_node(context: Here, authorization: Annotated[str | None, Header()] = None) -> str:
    """``site/node`` of the node that sent the request. Raises 401 for anybody else."""
    try:
        site, node, secret = basic_credentials(authorization)
        with context.pool.connection() as connection:
            row = connection.execute(
                "SELECT secret_hash FROM node WHERE site = %s AND node = %s", [site, node]
            ).fetchone()
        if not context.verifier.verify(secret, row[0] if row and row[0] else None):
            raise NotAuthenticError(f"node {site}/{node} is not enrolled here, or its secret is another one")
    except NotAuthenticError as error:
        raise HTTPException(401, str(error), {"WWW-Authenticate": 'Basic realm="vedette node"'}) from error
    return f"{site}/{node}"


Node = Annotated[str, Depends(known_node)]


@router.head("/node/v1/evidence/{sha256}")
def tell_offset(sha256: Sha256, context: Here, node: Node) -> Response:
    """How much of the file is here; all of it, when ``Upload-Length`` is told too and is the same."""
    received = 0 if context.evidence.size(sha256) is not None else context.evidence.received(sha256, node)
    size = context.evidence.size(sha256)
    if size is None:
        return _answer(200, received)
    _keep(context, sha256, size)
    return _answer(200, size, size)


@router.patch("/node/v1/evidence/{sha256}")
async def append(
    sha256: Sha256,
    request: Request,
    context: Here,
    node: Node,
    offset: Annotated[int, Header(alias=OFFSET_HEADER, ge=0)],
    length: Annotated[int, Header(alias=LENGTH_HEADER, ge=1)],
) -> Response:
    """Append the body at ``Upload-Offset``; with the last of ``Upload-Length`` bytes the file is checked and kept."""
    if length > MAX_FILE_BYTES:
        raise HTTPException(413, f"a file of {length} bytes; at most {MAX_FILE_BYTES} are taken")
    size = await to_thread.run_sync(context.evidence.size, sha256)
    if size is None:
        size = await _receive(context, sha256, node, offset, length, request.stream())
        if size < length:
            return _answer(204, size)
        log.info("evidence stored", node=node, sha256=sha256, bytes=size)
    await to_thread.run_sync(_keep, context, sha256, size)
    return _answer(204, size, size)


async def forget_files(context: Context) -> None:
    """Until cancelled: once an hour, throw away what a node began to upload and has not gone on with for a week, and
    the files that no record speaks of any more."""
    while True:
        try:
            gone = await to_thread.run_sync(context.evidence.forget_abandoned, _ABANDONED_S, context.clock() / 1e6)
            log.info("abandoned uploads removed", files=gone)
        except OSError as error:
            log.warning("abandoned uploads not removed", error=str(error))
        try:
            log.info("evidence ended", files=await to_thread.run_sync(_end_files, context))
        except (OSError, psycopg.Error, PoolTimeout) as error:
            log.warning("evidence not ended", error=str(error))
        await asyncio.sleep(3600)


def _end_files(context: Context) -> int:
    days = min(context.settings.plates_days, context.settings.evidence_days)
    with context.pool.connection() as connection:
        return end_files(connection, context.evidence, days)


async def _receive(
    context: Context, sha256: str, node: str, offset: int, length: int, body: AsyncIterator[bytes]
) -> int:
    """Write the body; how much is there now. The file system is waited for in a thread, never in the loop."""
    with contextlib.ExitStack() as stack:
        try:
            manager = context.evidence.upload(sha256, node, offset, length)
            upload = await to_thread.run_sync(stack.enter_context, manager)
        except OffsetError as error:
            raise HTTPException(409, str(error), {OFFSET_HEADER: str(error.offset)}) from error
        except NoRoomError as error:
            raise HTTPException(507, str(error)) from error
        async for block in _blocks(body):
            if upload.offset + len(block) > length:
                raise HTTPException(400, f"the body goes beyond {LENGTH_HEADER}: {length}; send what is left of it")
            await to_thread.run_sync(upload.write, block)
            context.meters.evidence_bytes.inc(len(block))
        if upload.offset == length:
            await to_thread.run_sync(_finish, context, upload)
    return upload.offset


async def _blocks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body in blocks worth a write; it ends where the connection does, and what came before is not lost."""
    waiting = bytearray()
    with contextlib.suppress(ClientDisconnect, TimeoutError, StopAsyncIteration):
        while True:
            waiting += await asyncio.wait_for(anext(body), _SILENCE_S)
            if len(waiting) >= _WRITE:
                yield bytes(waiting)
                waiting.clear()
    if waiting:
        yield bytes(waiting)


def _finish(context: Context, upload: Upload) -> None:
    try:
        upload.finish()
    except ContentError as error:
        context.meters.evidence_files.labels("refused").inc()
        raise HTTPException(422, str(error)) from error
    context.meters.evidence_files.labels("stored").inc()


def _keep(context: Context, sha256: str, size: int) -> None:
    with context.pool.connection() as connection:
        changed = mark_stored(connection, sha256, size)
    if changed:
        context.live.announce()


def _answer(status: int, offset: int, length: int | None = None) -> Response:
    headers = {OFFSET_HEADER: str(offset)}
    if length is not None:
        headers[LENGTH_HEADER] = str(length)
    return Response(status_code=status, headers=headers)
