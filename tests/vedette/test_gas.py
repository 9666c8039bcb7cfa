"""The played gas detector answers over Modbus with the measured fire, and says so when it is a drawn one."""

import asyncio
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from vedette.demo import gas
from vedette.demo.data import data_folder


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_server_plays_the_curve_by_the_clock() -> None:
    curve = gas.Curve((-10.0, 0.0, 10.0), (0.0, 10.0, 2000.0), (20.9, 20.9, 18.0), drawn=True)
    now = 1000.0

    async def ask() -> list[list[int]]:
        nonlocal now
        port, stopped, answers = free_port(), asyncio.Event(), []
        server = asyncio.create_task(gas.serve(curve, "127.0.0.1", port, lambda: now, stopped))
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        while not await client.connect():  # noqa: ASYNC110 - another library's server has no event
            await asyncio.sleep(0.02)
        for second in (0, 10, 15, 20):
            now = 1000.0 + second
            answers.append((await client.read_holding_registers(0, count=2, device_id=1)).registers)
        answers.append((await client.read_holding_registers(1, count=1, device_id=1)).registers)
        client.close()
        stopped.set()
        await server
        return answers

    assert asyncio.run(ask()) == [[0, 2090], [10, 2090], [1000, 1945], [1000, 1800], [1800]]


def test_drawn_curve_is_quiet_then_rises_and_says_that_it_is_drawn() -> None:
    curve = gas.load_curve(None)
    assert curve.drawn
    assert curve.at(-10)[0] == pytest.approx(3.0)
    assert curve.at(60)[0] > 400


@pytest.mark.skipif(data_folder() is None, reason="no data folder: set VEDETTE_DATA to one with sensors/nist_fires")
def test_measured_fire_passes_200_ppm_within_a_minute() -> None:
    curve = gas.load_curve(data_folder())
    assert not curve.drawn
    assert gas.registers(curve, gas.STARTS_AT_S)[0] < 30
    assert gas.registers(curve, 40)[0] > 200


def test_log_that_is_none_is_named(tmp_path: Path) -> None:
    log = tmp_path / "sensors/nist_fires/ISOHept19.csv"
    log.parent.mkdir(parents=True)
    log.write_text("Time,CO\n0,1\n")
    with pytest.raises(gas.GasLogError, match=r"ISOHept19\.csv: not a log with Time, CORear and O2Rear"):
        gas.load_curve(tmp_path)
