"""One thread a bus, so that a slow one holds up no other: it looks at its sensors and hands on what it finds."""

import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from contract.ids import Micros
from edge.config import Sensor
from edge.sources.modbus import ModbusBus, address_of
from edge.sources.replay import load_rows, play
from edge.sources.sensor import Failure, Sample, SensorError
from edge.supervisor.backoff import Backoff

Put = Callable[[Sample | Failure], None]
Wait = Callable[[float], bool]
"""Waits so many seconds; True when it is time to stop."""


def start(sensors: Mapping[str, Sensor], put: Put, stop: threading.Event) -> list[threading.Thread]:
    """Start a thread for each bus: for each Modbus host and port, and for each CSV file."""
    threads = []
    for bus, members in by_bus(sensors).items():
        kind = next(iter(members.values())).kind
        body = poll_modbus if kind == "modbus" else replay_csv
        threads.append(threading.Thread(target=body, args=(members, put, stop.wait), name=bus, daemon=True))
    for thread in threads:
        thread.start()
    return threads


def by_bus(sensors: Mapping[str, Sensor]) -> dict[str, dict[str, Sensor]]:
    """Sensors that share a connection, by the name of what they share."""
    found: dict[str, dict[str, Sensor]] = {}
    for name, sensor in sensors.items():
        bus = urlsplit(sensor.url.get_secret_value()).netloc.lower() if sensor.kind == "modbus" else f"csv {name}"
        found.setdefault(bus, {})[name] = sensor
    return found


def poll_modbus(
    sensors: Mapping[str, Sensor],
    put: Put,
    wait: Wait,
    wall: Callable[[], Micros] = lambda: time.time_ns() // 1000,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Read the units of one Modbus connection, each at its own pace, until ``wait`` says stop."""
    host, port, _ = address_of(next(iter(sensors.values())))
    bus = ModbusBus(host, port)
    due = dict.fromkeys(sensors, monotonic())
    backoffs = {name: Backoff(first_s=1.0, longest_s=30.0) for name in sensors}
    try:
        while True:
            name = min(due, key=lambda name: due[name])
            sensor, now = sensors[name], monotonic()
            if wait(max(0.0, due[name] - now)):
                return
            # The next one is due in step with this one, however long reading takes; what was missed is missed.
            due[name] = max(due[name] + sensor.every_s, monotonic())
            try:
                put(Sample(name, wall(), bus.read(name, sensor)))
                backoffs[name].forget()
            except SensorError as error:
                put(Failure(name, wall(), str(error)))
                due[name] = monotonic() + backoffs[name].failed(monotonic())
    finally:
        bus.close()


def replay_csv(
    sensors: Mapping[str, Sensor],
    put: Put,
    wait: Wait,
    wall: Callable[[], Micros] = lambda: time.time_ns() // 1000,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Play the one sensor given, in real time, until its end or until ``wait`` says stop."""
    ((name, sensor),) = sensors.items()
    backoff = Backoff(first_s=1.0, longest_s=30.0)
    while True:
        try:
            rows = load_rows(name, sensor)
            break
        except SensorError as error:
            put(Failure(name, wall(), str(error)))
            if wait(backoff.failed(monotonic())):
                return
    began = monotonic()
    for row in play(rows, sensor.loop):
        if wait(max(0.0, began + row.at_s - monotonic())):
            return
        put(Sample(name, wall(), row.values))
    ended = SensorError(name, sensor.url.get_secret_value(), "has come to its end", "set loop: true to play it again")
    while True:
        put(Failure(name, wall(), str(ended)))
        if wait(60.0):
            return
