"""The power goes at every single change of the disk: the box comes back with the old release or the new, never none.

And it then gets where it was going: the next look stages the release, the next try takes it over.
"""

import shutil
from pathlib import Path

import pytest

from edge.updates.release import check_release
from edge.updates.slots import Accepted, ModelSlots
from edge.updates.state import Slot
from tests.cutting import PowerCutError, cut
from tests.edge.updates.test_slots import build, staged
from tests.edge.updates.world import World

DISK = "edge.updates.disk"


def test_staging_is_whole_or_not_there(world: World) -> None:
    release = world.publish("1.0.0")
    world.assign(release)
    folder = world.paths.models / "fire" / "1.0.0"
    cuts = 0
    for at in range(1, 400):
        try:
            with cut(DISK, at):
                world.client().check()
        except PowerCutError:
            cuts += 1
            if folder.exists():
                check_release("fire", folder, Slot("1.0.0", release.sha256))
            assert [item.version for item in world.client().check()] == ["1.0.0"]
            shutil.rmtree(world.paths.models)
            if at % 3 == 0:
                shutil.rmtree(world.paths.trust)
            world.paths.make()
        else:
            break
    assert cuts > 20


def test_repair_of_a_release_on_disk_goes_on_after_a_cut(world: World) -> None:
    release = world.publish("1.0.0")
    world.assign(release)
    world.client().check()
    model = world.paths.models / "fire" / "1.0.0" / "orange.onnx"
    for at in range(1, 400, 2):
        model.write_bytes(b"rot")
        try:
            with cut(DISK, at):
                world.client().check()
        except PowerCutError:
            world.client().check()
        else:
            break
        finally:
            check_release("fire", model.parent, Slot("1.0.0", release.sha256))
    assert at > 5


@pytest.mark.parametrize("step", ["try", "commit", "keep", "roll_back"])
def test_switch_leaves_the_old_release_or_the_new_one(tmp_path: Path, step: str) -> None:
    for at in range(1, 100):
        slots = ModelSlots(tmp_path / str(at))
        old = staged(slots, "1.0.0")
        slots.commit("fire", old)
        slots.keep("fire")
        new = staged(slots, "1.1.0")
        if step in ("keep", "roll_back"):
            slots.commit("fire", new)
        try:
            with cut(DISK, at):
                _take(slots, step, new)
        except PowerCutError:
            found = ModelSlots(tmp_path / str(at)).start("fire")
            assert found in (old, new)
            if step in ("try", "commit"):
                assert slots.waiting() == ([] if found == new else [("fire", new)])
        else:
            assert slots.start("fire") == (old if step in ("try", "roll_back") else new)
            break
    assert at > 3


def _take(slots: ModelSlots, step: str, new: Slot) -> None:
    if step == "try":
        outcome = slots.try_release("fire", new, build)
        assert isinstance(outcome, Accepted)
        outcome.engine.close()
    elif step == "commit":
        slots.commit("fire", new)
    elif step == "keep":
        slots.keep("fire")
    else:
        slots.roll_back("fire", "slow")
