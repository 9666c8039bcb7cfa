"""Runs the API: one process, one port."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import structlog
import uvicorn

from cloud.api.app import create_app
from cloud.api.guard import is_loopback
from cloud.settings import CloudSettings
from cloud.store.connection import connect
from cloud.store.schema import check

log = structlog.get_logger(__name__)


class ListenError(RuntimeError):
    """The API cannot listen where it should; the text names the address and the way out."""


class _Server(uvicorn.Server):
    """Stops when it is told to; signals are the caller's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: CloudSettings, stop: threading.Event) -> None:
    """Serve until ``stop`` is set.

    Raises:
        ListenError: the port is taken, or the address is none of this machine's.
        cloud.store.connection.StoreError: the database cannot be reached, or is of another version.
    """
    with connect(settings.database, "vedette-api-start") as connection:
        check(connection)
    with listening(settings.listen) as opened:
        host = opened.getsockname()[0]
        if not is_loopback(host):
            log.warning("others can reach the API, and it asks nobody who they are", listen=settings.listen)
        config = uvicorn.Config(
            create_app(settings),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=64 * 1024,
            timeout_graceful_shutdown=3,
        )
        server = _Server(config)
        log.info("api listening", url=f"http://{settings.listen}")
        asyncio.run(_serve(server, opened, stop))


async def _serve(server: _Server, opened: socket.socket, stop: threading.Event) -> None:
    async def watch() -> None:
        await asyncio.to_thread(stop.wait)
        server.should_exit = True

    watcher = asyncio.create_task(watch())
    try:
        await server.serve(sockets=[opened])
    finally:
        stop.set()
        await watcher


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A socket that listens on ``host:port``. Raises ``ListenError``."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ListenError(f"listen: {address!r} is not host:port; write 127.0.0.1:8080")
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, int(port)))
            opened.listen(128)
        except OSError as error:
            raise ListenError(
                f"API: cannot listen on {address}: {error.strerror}; stop what listens there, "
                "or choose another port with --listen host:port"
            ) from error
        yield opened
