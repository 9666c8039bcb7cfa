"""The sensing process with a real device, a real file and the real outbox."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contract.records import Event, Lane, Phase, Reading
from contract.wire import decode_record
from edge.config import NodeConfig, Sensor
from edge.delivery.outbox import Outbox
from edge.notices import Notices, RecordsWaiting
from edge.paths import NodePaths
from edge.sources import sensing
from edge.sources.bus import by_bus
from edge.supervisor.status import PartStatus, Status, read_status
from tests.edge.sources.modbus_device import ModbusDevice, silent_port


def now() -> int:
    return time.time_ns() // 1000


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def node(paths: NodePaths, sensors: dict[str, Any]) -> NodeConfig:
    return NodeConfig.model_validate(
        {
            "node": "box-1",
            "site": "harbour",
            "uplink": {"broker": "mqtt://127.0.0.1:1", "cloud": "http://127.0.0.1:1"},
            "storage": {"folder": str(paths.data)},
            "sensors": sensors,
        }
    )


def modbus(port: int, **settings: object) -> dict[str, object]:
    channels = [{"quantity": "co", "unit": "[ppm]", "register": 0, "alarm": {"low": 30, "high": 60, "clear_s": 0}}]
    return {"url": f"modbus://127.0.0.1:{port}/1", "every_s": 0.1, "timeout_s": 1, "channels": channels} | settings


class Box:
    """A node's folders, and its outbox as delivery would see it."""

    def __init__(self, folder: Path) -> None:
        self.paths = NodePaths(folder / "data", folder / "run")
        self.paths.make()
        self.outbox = Outbox(self.paths.outbox, 10_000_000, now)
        self.records: list[Event | Reading] = []

    def look(self) -> list[Event | Reading]:
        for lane in (Lane.ALARM, Lane.LIVE):
            while (batch := self.outbox.number(lane, 1000)) is not None:
                for raw in batch.records:
                    record = decode_record(bytes(raw))
                    assert isinstance(record, Event | Reading)
                    self.records.append(record)
        return self.records

    def events(self) -> list[Event]:
        return [record for record in self.look() if isinstance(record, Event)]

    def readings(self, source: str) -> list[Reading]:
        return [record for record in self.look() if isinstance(record, Reading) and record.source == source]

    def status(self) -> Status | None:
        return read_status(self.paths.status / "sensing.json")

    @contextmanager
    def sensing(self, sensors: dict[str, Any]) -> Iterator[None]:
        stop, failed = threading.Event(), []

        def body() -> None:
            try:
                sensing.run(node(self.paths, sensors), self.paths, stop, PartStatus(self.paths.status, "sensing"))
            except RuntimeError as error:
                failed.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()
            assert not failed

    def close(self) -> None:
        self.outbox.close()


def test_gas_reaches_the_outbox_with_no_other_part_alive(tmp_path: Path) -> None:
    box = Box(tmp_path)
    delivery = Notices(box.paths.run, "delivery")
    with ModbusDevice({1: [5]}) as device, box.sensing({"gas": modbus(device.port)}):
        until(lambda: box.readings("gas"))
        assert delivery.receive(5) == RecordsWaiting()
        device.units[1][0] = 90
        until(box.events)
        device.units[1][0] = 5
        until(lambda: len(box.events()) >= 2)
    delivery.close()
    first, last = box.events()[0], box.events()[-1]
    assert (first.kind, first.source, first.phase, first.attrs["value"]) == ("gas", "gas", Phase.OPEN, 90.0)
    assert (last.id, last.phase) == (first.id, Phase.CLOSE)
    box.close()


def test_an_alarm_left_open_by_a_killed_process_goes_on(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with ModbusDevice({1: [90]}) as device:
        with box.sensing({"gas": modbus(device.port)}):
            until(box.events)
        device.units[1][0] = 5
        with box.sensing({"gas": modbus(device.port)}):
            until(lambda: box.events()[-1].phase is Phase.CLOSE)
    assert len({event.id for event in box.events()}) == 1
    box.close()


def test_an_alarm_of_a_sensor_that_was_taken_out_is_closed(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with ModbusDevice({1: [90]}) as device:
        with box.sensing({"gas": modbus(device.port)}):
            until(box.events)
        with box.sensing({"other": modbus(device.port, channels=[{"quantity": "co", "register": 0}])}):
            until(lambda: box.events()[-1].phase is Phase.CLOSE)
    assert box.events()[-1].attrs["reason"] == "it is no longer watched for"
    box.close()


def test_a_slow_bus_holds_up_no_other(tmp_path: Path) -> None:
    box = Box(tmp_path)
    log = tmp_path / "log.csv"
    log.write_text("time,CO\n" + "".join(f"{number / 10},{number}\n" for number in range(600)))
    csv = {"url": str(log), "channels": [{"quantity": "co", "column": "CO"}]}
    with (
        silent_port() as port,
        ModbusDevice({1: [5]}) as device,
        box.sensing({"slow": modbus(port), "gas": modbus(device.port), "log": csv}),
    ):
        began = time.monotonic()
        until(lambda: len(box.readings("gas")) >= 20 and len(box.readings("log")) >= 20)
        assert time.monotonic() - began < 6
        until(lambda: "down" in _states(box).values())
        assert _states(box) == {"slow": "down", "gas": "ok", "log": "ok"}
    assert box.readings("slow") == []
    box.close()


def _states(box: Box) -> dict[str, str]:
    status = box.status()
    return {source["source"]: source["state"] for source in status.detail["sources"]} if status is not None else {}


def test_readings_are_replayed_and_say_so(tmp_path: Path) -> None:
    box = Box(tmp_path)
    log = tmp_path / "log.csv"
    log.write_text("time,CO\n0,1\n0.1,2\n0.2,3\n")
    with box.sensing({"log": {"url": str(log), "channels": [{"quantity": "co", "column": "CO"}]}}):
        until(lambda: len(box.readings("log")) >= 3)
        until(lambda: _states(box).get("log") == "down")
        status = box.status()
    assert status is not None
    (source,) = status.detail["sources"]
    assert source["note"] == "readings are replayed from a file"
    assert "has come to its end; set loop: true" in source["reason"]
    assert [reading.value for reading in box.readings("log")][:3] == [1.0, 2.0, 3.0]
    box.close()


def test_sensors_behind_one_gateway_share_its_connection() -> None:
    def sensor(url: str) -> Sensor:
        return Sensor.model_validate({"url": url, "channels": [{"quantity": "co", "register": 0, "column": "CO"}]})

    sensors = {
        "a": sensor("modbus://gateway:502/1"),
        "b": sensor("modbus://Gateway:502/2"),
        "c": sensor("modbus://other/1"),
        "d": sensor("/log.csv"),
        "e": sensor("/log.csv"),
    }
    assert sorted(sorted(members) for members in by_bus(sensors).values()) == [["a", "b"], ["c"], ["d"], ["e"]]
