"""In the vision loop: a release takes over, is watched, and goes back by itself when it is slow or throws."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.manifest import Manifest
from edge.updates.slots import ModelSlots
from edge.updates.state import Slot
from edge.updates.switch import ReleaseSwitch
from edge.vision.engine import Engine, EngineError, load_engine
from edge.vision.engines import Engines
from tests.edge.updates.releases import write_release
from tests.edge.updates.test_slots import staged

FRAMES = 30


class Loop:
    """What of the vision loop the switch sees, and a record of what was built."""

    def __init__(self, folder: Path) -> None:
        self.slots = ModelSlots(folder / "models")
        self.engines = Engines()
        self.broken: set[str] = set()
        write_release(folder / "shipped" / "fire", "0.9.0")
        self.switch = ReleaseSwitch(
            self.slots, self.engines, self._build, lambda name: folder / "shipped" / name, frames=FRAMES
        )

    def _build(self, manifest: Manifest, folder: Path) -> Engine:
        if manifest.version in self.broken:
            raise EngineError(f"{manifest.version} is broken")
        return load_engine(manifest, folder, threads=1)

    def wait(self) -> None:
        """Until the switch's thread has done what it was given."""
        done = threading.Event()
        self.switch._tasks.put(done.set)
        assert done.wait(20)

    def turn(self) -> tuple[str, ...]:
        """Between two frames, with everything done that was to be done."""
        self.wait()
        switched = self.engines.settle()
        self.wait()
        return switched

    def take(self, version: str) -> Slot:
        """Let a release take over."""
        slot = staged(self.slots, version)
        self.switch.offer("fire", version)
        assert self.turn() == ("fire",)
        return slot


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """A loop whose detector runs what the box came with."""
    loop = Loop(tmp_path)
    loop.switch.start("fire")
    loop.engines.settle()
    yield loop
    loop.switch.close()
    loop.engines.close()


def test_engine_changes_only_between_two_frames(loop: Loop) -> None:
    before = loop.engines.current("fire")
    staged(loop.slots, "1.0.0")
    loop.switch.offer("fire", "1.0.0")
    loop.wait()
    assert loop.engines.current("fire") is before
    assert loop.slots.record("fire").active is None
    loop.turn()
    assert loop.engines.version("fire") == "1.0.0"
    assert loop.slots.record("fire").trial


def test_release_that_does_as_well_stays(loop: Loop) -> None:
    for _ in range(FRAMES):
        loop.switch.saw("fire", 10.0)
    slot = loop.take("1.0.0")
    assert loop.slots.record("fire").before_ms == 10.0
    for _ in range(FRAMES):
        loop.switch.saw("fire", 20.0)
    loop.wait()
    record = loop.slots.record("fire")
    assert (record.active, record.trial) == (slot, False)
    assert loop.switch.health("fire").latency_ms == 20.0


def test_slow_release_goes_back_by_itself(loop: Loop) -> None:
    for _ in range(FRAMES):
        loop.switch.saw("fire", 10.0)
    loop.take("1.0.0")
    for _ in range(FRAMES):
        loop.switch.saw("fire", 100.0)
    assert loop.turn() == ("fire",)
    health = loop.switch.health("fire")
    assert (health.version, health.state, health.offered) == ("0.9.0", "rolled-back", "1.0.0")
    assert health.reason == "takes 100 ms a frame; the one before took 10 ms"


def test_release_that_throws_goes_back_to_the_one_before(loop: Loop) -> None:
    first = loop.take("1.0.0")
    for _ in range(FRAMES):
        loop.switch.saw("fire", 10.0)
    loop.take("1.1.0")
    for _ in range(3):
        loop.switch.failed("fire", "output is not finite")
    loop.turn()
    assert loop.slots.record("fire").active == first
    assert loop.engines.version("fire") == "1.0.0"
    assert "output is not finite" in loop.switch.health("fire").reason


def test_broken_slot_at_the_start_gives_way_to_what_the_box_came_with(loop: Loop, tmp_path: Path) -> None:
    loop.take("1.0.0")
    loop.switch.close()
    loop.broken = {"1.0.0"}
    again = ReleaseSwitch(loop.slots, loop.engines, loop._build, lambda name: tmp_path / "shipped" / name)
    again.start("fire")
    loop.engines.settle()
    assert loop.engines.version("fire") == "0.9.0"
    assert again.health("fire").reason == "1.0.0 is broken"
    again.close()


def test_detector_without_any_release_starts_with_the_first_that_comes(loop: Loop) -> None:
    loop.broken = {"0.9.0"}
    loop.engines.close()
    with pytest.raises(EngineError):
        loop.switch.start("fire")
    loop.take("1.0.0")
    assert loop.engines.version("fire") == "1.0.0"


def test_release_of_a_detector_that_no_camera_asks_for_waits(loop: Loop, tmp_path: Path) -> None:
    loop.switch._started.clear()
    staged(loop.slots, "1.0.0")
    loop.switch.offer("fire", "1.0.0")
    assert loop.turn() == ()
    assert loop.slots.waiting() != []


def test_full_disk_does_not_end_the_thread(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(loop.slots, "1.0.0")
    with monkeypatch.context() as patch:
        patch.setattr("edge.updates.state.write_file", _no_room)
        loop.switch.offer("fire", "1.0.0")
        assert loop.turn() == ()
    loop.switch.offer("fire", "1.0.0")
    assert loop.turn() == ("fire",)


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")
