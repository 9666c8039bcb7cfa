"""Sensors on Modbus TCP: registers read in blocks, one connection a device or gateway.

After the Modbus Application Protocol Specification V1.1b3: functions 03 and 04 read at most 125 registers; addresses
count from 0, while maps in manuals often count from 1.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from edge.config import Channel, Sensor
from edge.sources.reach import ReachError, reach
from edge.sources.sensor import SensorError

MOST_REGISTERS: Final = 125
_GAP: Final = 16
"""So many registers nobody asked for are read along rather than asking twice."""
_FORMATS: Final = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "float32": ">f"}
_NO_SUCH_REGISTER: Final = 2
_EXCEPTIONS: Final = {
    1: "does not know this function: try function: input or function: holding",
    _NO_SUCH_REGISTER: "has no such register",
    3: "does not take this request",
    4: "has failed inside",
    6: "is busy",
    10: "is a gateway without a way to this unit",
    11: "is a gateway whose unit does not answer",
}


@dataclass(frozen=True)
class Block:
    """Registers that are read together."""

    function: str
    start: int
    count: int


def address_of(sensor: Sensor) -> tuple[str, int, int]:
    """Host, port and unit of ``modbus://host:port/unit``."""
    parts = urlsplit(sensor.url.get_secret_value())
    return parts.hostname or "", parts.port or 502, int(parts.path.strip("/") or "1")


def plan(channels: Sequence[Channel]) -> list[Block]:
    """The fewest blocks, within the protocol's limits, that hold every channel."""
    blocks: list[Block] = []
    for channel in sorted(channels, key=lambda channel: (channel.function, channel.address or 0)):
        start = channel.address or 0
        end = start + _width(channel)
        last = blocks[-1] if blocks else None
        if (
            last is not None
            and last.function == channel.function
            and start - (last.start + last.count) <= _GAP
            and end - last.start <= MOST_REGISTERS
        ):
            blocks[-1] = Block(last.function, last.start, max(last.count, end - last.start))
        else:
            blocks.append(Block(channel.function, start, end - start))
    return blocks


def decode(channel: Channel, registers: Sequence[int]) -> float:
    """A channel's value in its unit, from its one or two registers. Not finite where the device says so."""
    ordered = registers if channel.word_order == "big" else list(reversed(registers))
    raw = b"".join(register.to_bytes(2, "big") for register in ordered)
    return float(struct.unpack(_FORMATS[channel.type], raw)[0]) * channel.scale


class ModbusBus:
    """The connection to one host and port. Not for several threads.

    Args:
        host, port: of the device or gateway.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._client: ModbusTcpClient | None = None
        self._apart: set[tuple[str, Block]] = set()
        """Blocks that a device did not give as a whole, because it has no register in a gap."""

    def read(self, name: str, sensor: Sensor) -> dict[str, float | None]:
        """Read every channel of a sensor; None where one of them could not be read.

        Raises:
            SensorError: nothing could be read.
        """
        client = self._connect(name, sensor)
        values: dict[str, float | None] = {}
        said = _Said()
        for block in plan(sensor.channels):
            mine = [channel for channel in sensor.channels if _within(channel, block)]
            if (name, block) not in self._apart:
                registers, said = self._ask(client, name, sensor, block)
                if registers is not None or len(mine) == 1 or said.code != _NO_SUCH_REGISTER:
                    values |= {channel.quantity: _value(channel, block, registers) for channel in mine}
                    continue
                self._apart.add((name, block))
            for channel in mine:
                one = Block(channel.function, channel.address or 0, _width(channel))
                registers, said = self._ask(client, name, sensor, one)
                values[channel.quantity] = _value(channel, one, registers)
        if all(value is None for value in values.values()):
            raise SensorError(name, sensor.url.get_secret_value(), said.what, "check unit, register and function")
        return values

    def close(self) -> None:
        """Hang up; the next reading connects again."""
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    def _connect(self, name: str, sensor: Sensor) -> ModbusTcpClient:
        if self._client is None:
            try:
                reach(self._host, self._port, sensor.timeout_s)
            except ReachError as error:
                way_out = "check its power, its cable, host and port"
                raise SensorError(name, sensor.url.get_secret_value(), str(error), way_out) from None
            self._client = ModbusTcpClient(self._host, port=self._port, timeout=sensor.timeout_s, retries=0)
        return self._client

    def _ask(
        self, client: ModbusTcpClient, name: str, sensor: Sensor, block: Block
    ) -> "tuple[list[int] | None, _Said]":
        """The block's registers; or None, and what the device said instead.

        Raises:
            SensorError: it said nothing.
        """
        unit = address_of(sensor)[2]
        ask: Any = client.read_input_registers if block.function == "input" else client.read_holding_registers
        try:
            answer = ask(block.start, count=block.count, device_id=unit)
        except (ModbusException, OSError):
            # What comes late must not be taken for the answer to the next question.
            self.close()
            what = f"(unit {unit}) took the connection and did not answer within {sensor.timeout_s:g} s"
            raise SensorError(name, sensor.url.get_secret_value(), what, "check the unit, or raise timeout_s") from None
        if answer.isError():
            code = int(getattr(answer, "exception_code", 0))
            what = _EXCEPTIONS.get(code, f"answered with exception {code}")
            return None, _Said(code, f"(unit {unit}, {block.function} register {block.start}) {what}")
        if len(answer.registers) != block.count:
            return None, _Said(0, f"(unit {unit}) gave {len(answer.registers)} registers instead of {block.count}")
        return list(answer.registers), _Said()


@dataclass(frozen=True)
class _Said:
    """A device's refusal: the protocol's exception code, and in words."""

    code: int = 0
    what: str = ""


def _width(channel: Channel) -> int:
    return 2 if channel.type.endswith("32") else 1


def _value(channel: Channel, block: Block, registers: Sequence[int] | None) -> float | None:
    if registers is None:
        return None
    return decode(channel, registers[(channel.address or 0) - block.start :][: _width(channel)])


def _within(channel: Channel, block: Block) -> bool:
    start = channel.address or 0
    same = channel.function == block.function
    return same and block.start <= start and start + _width(channel) <= block.start + block.count
