"""The whole way over the air: an officer's click, a command over MQTT, the box's delivery and vision processes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
import yaml

from cloud.fleet.fleet import Fleet
from cloud.fleet.nodes import enrol, export_trust, partition_of
from contract.detections import Detection
from contract.topics import Address
from edge.paths import NodePaths
from edge.sources.frames import FrameWriter
from edge.supervisor.status import Status, read_status
from tests.conftest import RunningBroker
from tests.edge.updates.releases import write_release

SITE, NODE = "mill", "tower"


class Tower:
    """A box without capture processes: the test draws what its camera sees."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.paths = NodePaths(folder / "data", folder / "run")
        self.paths.make()
        self._config = config
        self._folder = folder
        self._noise = np.random.default_rng(3)
        self._writer = FrameWriter(self.paths.frames / "yard", 160, 120)
        self._children = [self._start(part) for part in ("delivery", "vision")]

    def _start(self, part: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "edge.supervisor.part", part]
        command += ["--config", str(self._config), "--run-dir", str(self.paths.run)]
        with (self._folder / f"{part}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        """End both processes."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.wait(20)

    def status(self, part: str) -> Status | None:
        """What a part says of itself."""
        return read_status(self.paths.status / f"{part}.json")

    def model(self) -> dict[str, Any]:
        """What vision says of its detector."""
        status = self.status("vision")
        models = status.detail.get("models", []) if status is not None else []
        return models[0] if models else {}

    def until(self, done: Callable[[], bool], timeout_s: float = 45.0) -> None:
        """Show a fire until something holds."""
        deadline = time.monotonic() + timeout_s
        while not done():
            logs = "\n".join(path.read_text()[-2000:] for path in self._folder.glob("*.log"))
            assert time.monotonic() < deadline, (self.model(), logs)
            image = self._noise.integers(40, 90, (120, 160, 3), np.uint8)
            left = int(self._noise.integers(0, 80))
            image[30:90, left : left + 60] = (0, 140, 255)
            self._writer.write(image, time.time_ns() // 1000)
            time.sleep(0.02)  # a camera's pace


@pytest.fixture
def tower(
    api: httpx.Client, fleet: Fleet, connection: psycopg.Connection[Any], broker: RunningBroker, tmp_path: Path
) -> Iterator[Tower]:
    """A running box that was enrolled, with a detector it came with."""
    folder = tmp_path / "tower"
    _, secret = broker.add_node(Address(partition_of(SITE, NODE), SITE, NODE))
    enrolled = enrol(connection, SITE, NODE, secret)
    connection.commit()
    export_trust(fleet, SITE, NODE, folder / "trust")
    write_release(folder / "zoo" / "fire", "0.9.0")
    config = yaml.safe_load(enrolled.yaml(broker.url, str(api.base_url)))
    config |= {
        "storage": {"folder": str(folder / "data")},
        "models": "zoo",
        "cameras": {"yard": {"url": "file:///dev/null", "detectors": ["fire"], "fps": 30}},
    }
    (folder / "node.yaml").write_text(yaml.safe_dump(config))
    (folder / "secret").write_text(secret)
    with ExitStack() as stack:
        tower = Tower(folder, folder / "node.yaml")
        stack.callback(tower.stop)
        tower.until(lambda: tower.model().get("version") == "0.9.0")
        tower.until(lambda: (status := tower.status("delivery")) is not None and bool(status.detail.get("connected")))
        yield tower


def test_assignment_runs_on_the_box_at_once_and_a_bad_one_does_not(
    tower: Tower, api: httpx.Client, fleet: Fleet, tmp_path: Path
) -> None:
    wanted = {"site": SITE, "node": NODE, "name": "fire", "version": "1.1.0"}
    began = time.monotonic()
    api.post("/api/v1/assignments", json=wanted).raise_for_status()
    tower.until(lambda: (tower.model()["version"], tower.model()["state"]) == ("1.1.0", "active"))
    assert time.monotonic() - began < 40  # the command was heard: by itself the box looks once a minute

    elsewhere = Detection("fire", 0.9, (0.0, 0.0, 0.1, 0.1))
    write_release(tmp_path / "bad", "1.2.0", expected=(elsewhere,))
    fleet.releases.publish("fire", tmp_path / "bad")
    api.post("/api/v1/assignments", json=wanted | {"version": "1.2.0"}).raise_for_status()
    tower.until(lambda: tower.model()["state"] == "refused")
    assert (tower.model()["version"], tower.model()["offered"]) == ("1.1.0", "1.2.0")
