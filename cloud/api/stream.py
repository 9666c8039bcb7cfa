"""``/api/v1/live``: the WebSocket of the live feed. First a snapshot, then changes; ``ping`` when nothing happens."""

import asyncio
import contextlib
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from cloud.api.context import Context
from cloud.api.live import Subscriber

router = APIRouter()


@router.websocket("/api/v1/live")
async def live(socket: WebSocket, cursor: Annotated[int | None, Query(ge=0)] = None) -> None:
    """Tell this subscriber until either side goes. ``cursor`` is that of the last message before a connection broke:
    the snapshot then also holds every warning that changed since."""
    context: Context = socket.app.state.context
    await socket.accept()
    if not context.live.connected:
        await socket.close(1013, "the database does not answer; try again")
        return
    subscriber = context.live.subscribe(cursor)
    leaving = asyncio.create_task(_wait_for_end(socket))
    try:
        await _tell(socket, subscriber, leaving)
    finally:
        context.live.unsubscribe(subscriber)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving


async def _tell(socket: WebSocket, subscriber: Subscriber, leaving: asyncio.Task[None]) -> None:
    while not leaving.done():
        coming = asyncio.create_task(subscriber.next())
        await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            return
        message = coming.result()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            if message is None:
                await socket.close(1013, "the database does not answer; try again")
                return
            await socket.send_text(message)


async def _wait_for_end(socket: WebSocket) -> None:
    """Return when the other side is gone; what it says is not for us."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
