"""Modbus TCP against a real server: values, blocks, faults."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Channel, Sensor
from edge.sources.modbus import MOST_REGISTERS, ModbusBus, decode, plan
from edge.sources.sensor import SensorError
from tests.edge.sources.modbus_device import ModbusDevice, silent_port


def sensor(port: int, *channels: dict[str, object], unit: int = 1, timeout_s: float = 2.0) -> Sensor:
    return Sensor.model_validate(
        {"url": f"modbus://127.0.0.1:{port}/{unit}", "timeout_s": timeout_s, "channels": list(channels)}
    )


def channel(**settings: object) -> Channel:
    return Channel.model_validate({"quantity": "co"} | settings)


def registers(format_: str, value: float) -> list[int]:
    raw = struct.pack(format_, value)
    return [int.from_bytes(raw[index : index + 2], "big") for index in range(0, len(raw), 2)]


@pytest.mark.parametrize(
    ("type_", "raw", "value"),
    [
        ("uint16", [65535], 65535.0),
        ("int16", [65535], -1.0),
        ("uint32", [1, 2], 65538.0),
        ("int32", [0xFFFF, 0xFFFE], -2.0),
        ("float32", registers(">f", 20.5), 20.5),
    ],
)
def test_each_type_is_decoded(type_: str, raw: list[int], value: float) -> None:
    assert decode(channel(register=0, type=type_), raw) == value
    assert decode(channel(register=0, type=type_, word_order="little"), list(reversed(raw))) == value


def test_the_scale_makes_it_the_channels_unit() -> None:
    assert decode(channel(register=0, scale=0.01), [2095]) == pytest.approx(20.95)


def test_a_device_that_says_not_a_number_is_understood() -> None:
    assert math.isnan(decode(channel(register=0, type="float32"), [0x7FC0, 0]))


@given(
    st.lists(
        st.tuples(st.integers(0, 65000), st.sampled_from(["uint16", "float32"]), st.sampled_from(["holding", "input"])),
        min_size=1,
        max_size=30,
    )
)
def test_every_channel_lies_whole_in_a_block_the_protocol_allows(wanted: list[tuple[int, str, str]]) -> None:
    channels = [channel(register=address, type=type_, function=function) for address, type_, function in wanted]
    blocks = plan(channels)
    assert all(1 <= block.count <= MOST_REGISTERS for block in blocks)
    for one in channels:
        assert one.address is not None
        end = one.address + (2 if one.type == "float32" else 1)
        assert any(
            block.function == one.function and block.start <= one.address and end <= block.start + block.count
            for block in blocks
        )


def test_a_real_device_is_read_in_one_request() -> None:
    values = [35, 2090, *registers(">f", 21.5), 0, 0, 0xFFF6]
    with ModbusDevice({1: values}) as device:
        bus = ModbusBus("127.0.0.1", device.port)
        wanted = sensor(
            device.port,
            {"quantity": "co", "register": 0},
            {"quantity": "o2", "register": 1, "scale": 0.01},
            {"quantity": "temperature", "register": 2, "type": "float32"},
            {"quantity": "dew-point", "register": 6, "type": "int16"},
        )
        assert bus.read("gas", wanted) == {"co": 35, "o2": pytest.approx(20.9), "temperature": 21.5, "dew-point": -10}
        assert device.asked == [(0, 7)]
        bus.close()


def test_a_register_that_is_not_there_costs_only_its_own_channel() -> None:
    with ModbusDevice({1: [35, 36]}) as device:
        bus = ModbusBus("127.0.0.1", device.port)
        wanted = sensor(device.port, {"quantity": "co", "register": 0}, {"quantity": "o2", "register": 9})
        assert bus.read("gas", wanted) == {"co": 35, "o2": None}
        device.asked.clear()
        assert bus.read("gas", wanted) == {"co": 35, "o2": None}
        assert (0, 10) not in device.asked, "the block that failed is not asked for again"
        bus.close()


def fault(port: int, **settings: object) -> str:
    bus = ModbusBus("127.0.0.1", port)
    with pytest.raises(SensorError) as caught:
        bus.read("gas", sensor(port, {"quantity": "co", "register": 0} | settings, timeout_s=0.4))
    bus.close()
    message = str(caught.value)
    assert message.startswith(f"sensor 'gas': modbus://127.0.0.1:{port}/1 ")
    assert message.endswith("(sensors.gas)")
    return message


def test_faults_are_told_apart(refused: int) -> None:
    assert "refused the connection" in fault(refused)
    with silent_port() as port:
        assert "did not answer within 0.4 s; check the unit" in fault(port)
    with ModbusDevice({1: [1]}) as device:
        assert "has no such register; check unit, register and function" in fault(device.port, register=77)


def test_a_device_that_comes_back_is_read_again() -> None:
    with ModbusDevice({1: [7]}) as device:
        bus = ModbusBus("127.0.0.1", device.port)
        wanted = sensor(device.port, {"quantity": "co", "register": 0})
        assert bus.read("gas", wanted) == {"co": 7}
    with pytest.raises(SensorError):
        bus.read("gas", wanted)
    again = ModbusDevice({1: [8]})
    again.port = device.port
    with again:
        assert bus.read("gas", wanted) == {"co": 8}
        bus.close()
