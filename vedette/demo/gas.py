"""A gas detector on Modbus TCP that plays the carbon monoxide of a fire, second by second.

The fire is a measured one where the data folder holds it: NIST's full-scale room fire ISOHept19 (rear gas probe, mole
fractions every 5 s, heptane lit at t = 0). Elsewhere it is a drawn one: a steady air, then a rise to half of full scale
with a time constant of 30 s.
"""

import asyncio
import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

FULL_SCALE_PPM: Final = 1000
"""Where the played detector saturates, as a fixed electrochemical one does."""
CO_REGISTER: Final = 0
O2_REGISTER: Final = 1
"""Oxygen in hundredths of a percent by volume."""
STARTS_AT_S: Final = -10.0
"""Seconds before ignition at which the playing starts: quiet air first."""
_LOG: Final = Path("sensors/nist_fires/ISOHept19.csv")
_REST_S: Final = 600.0
"""The drawn fire, and the quiet after either, last this long before it all begins again."""


class GasLogError(ValueError):
    """A gas log that cannot be played; the text names the file and what is wrong."""


@dataclass(frozen=True)
class Curve:
    """What the detector measures over time: seconds since ignition, ppm of CO, percent of O2; times rise."""

    times: tuple[float, ...]
    co_ppm: tuple[float, ...]
    o2_percent: tuple[float, ...]
    drawn: bool

    def at(self, t: float) -> tuple[float, float]:
        """CO and O2 at second ``t``, straight between the rows and held beyond the ends."""
        if t <= self.times[0]:
            return self.co_ppm[0], self.o2_percent[0]
        for index in range(1, len(self.times)):
            if t <= self.times[index]:
                share = (t - self.times[index - 1]) / (self.times[index] - self.times[index - 1])
                return (
                    self.co_ppm[index - 1] + share * (self.co_ppm[index] - self.co_ppm[index - 1]),
                    self.o2_percent[index - 1] + share * (self.o2_percent[index] - self.o2_percent[index - 1]),
                )
        return self.co_ppm[-1], self.o2_percent[-1]


def load_curve(data: Path | None) -> Curve:
    """The measured fire out of the data folder, or the drawn one.

    Raises:
        GasLogError: the log is there but cannot be read as one.
    """
    path = data / _LOG if data else None
    if path is None or not path.exists():
        return drawn_curve()
    times, co, o2 = [], [], []
    try:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                t, ppm, percent = float(row["Time"]), float(row["CORear"]) * 1e6, float(row["O2Rear"]) * 100
                if not (math.isnan(ppm) or math.isnan(percent)):
                    times.append(t)
                    co.append(ppm)
                    o2.append(percent)
    except (OSError, KeyError, ValueError) as error:
        raise GasLogError(f"{path}: not a log with Time, CORear and O2Rear: {error}") from error
    if not times:
        raise GasLogError(f"{path}: no row has both CORear and O2Rear")
    return Curve(tuple(times), tuple(co), tuple(o2), drawn=False)


def drawn_curve() -> Curve:
    """A rise that nobody measured: 3 ppm, then from t = 0 towards half of full scale, oxygen falling a little."""
    times = tuple(float(t) for t in range(int(STARTS_AT_S), int(_REST_S), 5))
    rise = tuple(1 - math.exp(-max(0.0, t) / 30) for t in times)
    return Curve(
        times, tuple(3 + FULL_SCALE_PPM / 2 * r for r in rise), tuple(20.9 - 1.5 * r for r in rise), drawn=True
    )


def registers(curve: Curve, t: float) -> tuple[int, int]:
    """CO in ppm and O2 in hundredths of a percent, as the detector's two registers hold them ``t`` seconds after
    ignition."""
    co, o2 = curve.at(t)
    return min(FULL_SCALE_PPM, max(0, round(co))), max(0, round(o2 * 100))


async def serve(curve: Curve, host: str, port: int, monotonic: Callable[[], float], stopped: asyncio.Event) -> None:
    """Answer Modbus TCP on ``host:port`` (unit 1, holding and input registers 0 and 1) until ``stopped``.

    Raises:
        OSError: the port is taken.
    """
    began = monotonic()
    length = curve.times[-1] - STARTS_AT_S + _REST_S

    async def play(_function: int, _start: int, _address: int, _count: int, block: list[int], written: object) -> None:
        if written is None:
            block[:] = registers(curve, STARTS_AT_S + (monotonic() - began) % length)

    simdata = SimData(CO_REGISTER, values=[0, 0], datatype=DataType.REGISTERS)
    device = SimDevice(1, simdata=[simdata], action=play)
    server = ModbusTcpServer(device, address=(host, port))
    await server.serve_forever(background=True)
    try:
        await stopped.wait()
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
