"""From an assignment to another release in a running vision process: real processes, real files, a real HTTP server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import yaml

from contract.detections import Detection
from edge.notices import Notices
from edge.sources.frames import FrameWriter
from edge.supervisor.status import read_status
from edge.updates.client import UpdateClient
from edge.updates.slots import STARTS
from tests.edge.updates.releases import write_release
from tests.edge.updates.world import NODE, SITE, World

WIDTH, HEIGHT = 160, 120

pytestmark = pytest.mark.slow  # starts a vision process ten times


class Box:
    """A vision process with a camera that the test draws, and the update client of its delivery process."""

    def __init__(self, world: World) -> None:
        self.world = world
        write_release(world.folder / "box" / "fire", "0.9.0")
        settings = {
            "node": NODE,
            "site": SITE,
            "uplink": {"broker": "mqtt://127.0.0.1:1", "cloud": world.config.uplink.cloud, "password": "x"},
            "storage": {"folder": str(world.paths.data)},
            "models": str(world.folder / "box"),
            "trust": str(world.trust),
            "cameras": {"yard": {"url": "file:///dev/null", "detectors": ["fire"], "fps": 30}},
        }
        self.yaml = world.folder / "node.yaml"
        self.yaml.write_text(yaml.safe_dump(settings))
        self.mailbox = Notices(world.paths.run, "delivery")
        self.writer = FrameWriter(world.paths.frames / "yard", WIDTH, HEIGHT)
        self.noise = np.random.default_rng(7)
        self.client: UpdateClient = world.client()
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start vision."""
        command = [sys.executable, "-m", "edge.supervisor.part", "vision"]
        command += ["--config", str(self.yaml), "--run-dir", str(self.world.paths.run)]
        with (self.world.folder / "vision.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.pid = self.process.pid

    def end(self, number: int) -> None:
        """End vision with a signal."""
        if self.process is not None:
            os.kill(self.process.pid, number)
            self.process.wait(20)
            self.process = None

    def close(self) -> None:
        """Clean up."""
        if self.process is not None:
            self.end(signal.SIGTERM)
        self.mailbox.close()

    def detail(self) -> dict[str, Any]:
        """What the running process says of itself."""
        status = read_status(self.world.paths.status / "vision.json")
        return status.detail if status is not None and status.pid == self.pid else {}

    def model(self) -> dict[str, Any]:
        """What it says of its detector."""
        models = self.detail().get("models", [])
        return models[0] if models else {}

    def look_for_updates(self) -> None:
        """What delivery does each minute."""
        for staged in self.client.check():
            self.mailbox.send("vision", staged)

    def show_until(self, done: Callable[[dict[str, Any]], bool], timeout_s: float = 40.0) -> dict[str, Any]:
        """Show pictures of a fire that moves, until the detector's report is as wanted."""
        deadline = time.monotonic() + timeout_s
        while not done(model := self.model()):
            assert time.monotonic() < deadline, (model, (self.world.folder / "vision.log").read_text()[-3000:])
            assert self.process is not None
            assert self.process.poll() is None, (self.world.folder / "vision.log").read_text()[-3000:]
            image = self.noise.integers(40, 90, (HEIGHT, WIDTH, 3), np.uint8)
            left = int(self.noise.integers(0, 80))
            image[30:90, left : left + 60] = (0, 140, 255)
            self.writer.write(image, time.time_ns() // 1000)
            time.sleep(0.02)  # a camera's pace: fifty pictures a second
        return model


@pytest.fixture
def box(world: World) -> Iterator[Box]:
    """A box whose vision runs what it came with."""
    box = Box(world)
    box.start()
    yield box
    box.close()


def runs(version: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a version runs, and nothing is wrong with it."""
    return lambda model: (model.get("version"), model.get("state")) == (version, "active")


def test_assigned_release_takes_over_between_two_frames_and_stays(box: Box) -> None:
    box.show_until(runs("0.9.0"))
    release = box.world.publish("1.0.0")
    box.world.assign(release)
    looked = box.detail()["cameras"]["yard"]["looked_at"]
    box.look_for_updates()
    box.show_until(runs("1.0.0"))
    box.show_until(lambda _: not box.world.notes.record("fire").trial)
    yard = box.detail()["cameras"]["yard"]
    assert yard["looked_at"] > looked
    assert yard["reason"] == ""

    box.end(signal.SIGTERM)
    box.start()
    box.show_until(runs("1.0.0"))


def test_release_that_fails_its_golden_samples_never_takes_over(box: Box) -> None:
    box.show_until(runs("0.9.0"))
    box.world.assign(box.world.publish("1.0.0", expected=(Detection("fire", 0.9, (0.0, 0.0, 0.1, 0.1)),)))
    box.look_for_updates()
    model = box.show_until(lambda model: model.get("state") == "refused")
    assert (model["version"], model["offered"]) == ("0.9.0", "1.0.0")
    assert "golden sample golden/spot.png: expected fire 0.90" in model["reason"]

    box.world.assign(box.world.publish("1.1.0"))
    box.look_for_updates()
    box.show_until(runs("1.1.0"))


def test_release_that_came_while_vision_was_away_is_tried_at_its_start(box: Box) -> None:
    box.show_until(runs("0.9.0"))
    box.end(signal.SIGKILL)
    box.world.assign(box.world.publish("1.0.0"))
    box.look_for_updates()
    box.start()
    box.show_until(runs("1.0.0"))


def test_release_under_which_vision_dies_is_taken_back(box: Box) -> None:
    box.show_until(runs("0.9.0"))
    box.world.assign(box.world.publish("1.0.0"))
    box.look_for_updates()
    box.show_until(lambda _: box.world.notes.record("fire").active is not None)
    for _ in range(STARTS):
        assert box.world.notes.record("fire").trial
        box.end(signal.SIGKILL)
        box.start()
        wait_for(box)
    model = box.show_until(lambda model: model.get("state") == "rolled-back")
    assert (model["version"], model["offered"]) == ("0.9.0", "1.0.0")
    assert model["reason"] == f"vision ended {STARTS} times in the trial of 1.0.0"
    box.look_for_updates()
    box.show_until(lambda model: model.get("version") == "0.9.0")


def wait_for(box: Box) -> None:
    """Until the fresh process has beaten once; no picture is shown, so that the trial goes on."""
    deadline = time.monotonic() + 40
    while not box.model():
        assert time.monotonic() < deadline
        assert box.process is not None
        assert box.process.poll() is None, (box.world.folder / "vision.log").read_text()[-3000:]
        time.sleep(0.05)


def test_damaged_release_is_fetched_and_taken_anew(box: Box) -> None:
    box.show_until(runs("0.9.0"))
    box.world.assign(box.world.publish("1.0.0"))
    box.look_for_updates()
    box.show_until(runs("1.0.0"))
    box.end(signal.SIGTERM)
    (box.world.paths.models / "fire" / "1.0.0" / "orange.onnx").write_bytes(b"rot")
    box.start()
    assert "orange.onnx was changed" in box.show_until(lambda model: model.get("version") == "0.9.0")["reason"]
    box.look_for_updates()
    box.show_until(runs("1.0.0"))
