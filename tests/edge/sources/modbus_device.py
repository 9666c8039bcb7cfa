"""A real Modbus TCP device for tests: pymodbus's server, in a thread."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


class ModbusDevice:
    """Holding registers of several units; set them while the server runs.

    Args:
        units: of each unit, its registers from address 0 on.
    """

    def __init__(self, units: dict[int, list[int]]) -> None:
        self.units = units
        self.asked: list[tuple[int, int]] = []
        """Address and count of each request."""
        self.port = _free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()
        self._stopped: asyncio.Event | None = None

    def __enter__(self) -> "ModbusDevice":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._stopped is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        devices = [
            SimDevice(
                unit,
                simdata=[SimData(0, values=list(registers), datatype=DataType.REGISTERS)],
                action=self._action(unit),
            )
            for unit, registers in self.units.items()
        ]
        server = ModbusTcpServer(devices, address=("127.0.0.1", self.port))
        await server.serve_forever(background=True)
        self._ready.set()
        await self._stopped.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]

    def _action(self, unit: int):  # type: ignore[no-untyped-def]
        async def play(_function: int, start: int, address: int, count: int, block: list[int], written: object) -> None:
            if written is None:
                self.asked.append((address, count))
                block[:] = self.units[unit][: len(block)]

        return play


@contextmanager
def silent_port() -> Iterator[int]:
    """A device that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
