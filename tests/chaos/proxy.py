"""A wire that can be cut, torn, or made to forget, repeat and reorder MQTT messages.

One thread with one event loop serves all wires of a run.
"""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.packets import Splitter, is_message
from tests.chaos.plan import Kind

_PIECE: Final = 1 << 16
_HELD_BACK_S: Final = 0.3
"""A message that is reordered comes this much later at most, or behind the next one."""
_OFTEN: Final = 0.3
"""Chance of each message to be forgotten, repeated or held back while that goes on."""

Upstream = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Wire:
    """One of them. ``fault`` may be set from any thread.

    Args:
        upstream: where its connections go.
        mqtt: whether what passes is MQTT; else it is passed on as it comes.
        chance: decides on each message.
    """

    name: str
    upstream: Upstream
    mqtt: bool
    chance: random.Random
    port: int = 0
    fault: Kind | None = None
    counts: dict[Kind, int] = field(default_factory=dict)
    """Messages that were forgotten, repeated, reordered."""
    passed: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def hit(self, kind: Kind) -> bool:
        """Whether that happens to the message at hand."""
        if self.fault is not kind or self.chance.random() >= _OFTEN:
            return False
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return True


class Proxy:
    """All wires of a run, in a thread of their own."""

    def __init__(self) -> None:
        self.wires: dict[str, Wire] = {}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")

    @contextlib.contextmanager
    def running(self) -> Iterator["Proxy"]:
        """Serve while the ``with`` block lasts."""
        self._thread.start()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def add(self, wire: Wire) -> Wire:
        """Serve it, on a port of the loopback that is written into it."""
        self.wires[wire.name] = wire
        wire.port = asyncio.run_coroutine_threadsafe(self._serve(wire), self._loop).result()
        return wire

    def set(self, name: str, fault: Kind | None) -> None:
        """Begin a fault, or end it."""
        wire = self.wires[name]
        wire.fault = fault
        if fault is Kind.RESET:
            self._loop.call_soon_threadsafe(_tear, wire)

    async def _serve(self, wire: Wire) -> int:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._carry(wire, (reader, writer))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _carry(self, wire: Wire, near: Pair) -> None:
        if task := asyncio.current_task():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        wire.writers.add(near[1])
        far: Pair | None = None
        try:
            await _while_cut(wire)
            if wire.fault is Kind.RESET:
                return
            far = await _open(wire.upstream)
            wire.writers.add(far[1])
            for _, writer in (near, far):
                if (sock := writer.get_extra_info("socket")) is not None and sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pump = _pump_messages if wire.mqtt else _pump
            ways = [
                asyncio.ensure_future(pump(wire, near[0], far[1])),
                asyncio.ensure_future(pump(wire, far[0], near[1])),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                await _while_cut(wire)  # an end that is not heard of while the wire is cut
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for writer in (near[1], *((far[1],) if far else ())):
                wire.writers.discard(writer)
                writer.transport.abort()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _open(upstream: Upstream) -> Pair:
    if isinstance(upstream, str):
        return await asyncio.open_unix_connection(upstream)
    return await asyncio.open_connection(*upstream)


async def _while_cut(wire: Wire) -> None:
    while wire.fault is Kind.CUT:  # noqa: ASYNC110 - set by another thread, of which no event of this loop hears
        await asyncio.sleep(0.02)


async def _pump(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        await _while_cut(wire)
        writer.write(data)
        await writer.drain()


async def _pump_messages(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    splitter = Splitter()

    async def send(packet: bytes) -> None:
        writer.write(packet)
        await writer.drain()

    while data := await reader.read(_PIECE):
        await _while_cut(wire)
        for packet in splitter.feed(data):
            if is_message(packet):
                wire.passed += 1
                await _mistreat(wire, packet, send, writer)
            else:
                await send(packet)


async def _mistreat(
    wire: Wire,
    packet: bytes,
    send: Callable[[bytes], Awaitable[None]],
    writer: asyncio.StreamWriter,
) -> None:
    if wire.hit(Kind.FORGET):
        return
    if wire.hit(Kind.REORDER):
        wait_s = wire.chance.uniform(0.0, _HELD_BACK_S)
        asyncio.get_running_loop().call_later(wait_s, _send_late, wire, writer, packet)
        return
    await send(packet)
    if wire.hit(Kind.REPEAT):
        for _ in range(wire.chance.randrange(1, 4)):
            await send(packet)


def _send_late(wire: Wire, writer: asyncio.StreamWriter, packet: bytes) -> None:
    if not writer.is_closing() and wire.fault is not Kind.CUT:
        writer.write(packet)


def _tear(wire: Wire) -> None:
    for writer in list(wire.writers):
        writer.transport.abort()
