"""Every release of the zoo goes the whole way: published, assigned, fetched, tried with its own golden samples."""

import importlib.util
from pathlib import Path

import pytest

from contract.manifest import decode_manifest
from edge.updates.slots import Accepted, ModelSlots
from tests.edge.updates.test_slots import build
from tests.edge.updates.world import World

SPEC = importlib.util.find_spec("models.zoo")
ZOO = sorted(
    path.parent
    for place in (SPEC.submodule_search_locations or () if SPEC is not None else ())
    for path in Path(place).glob("*/manifest.json")
)


@pytest.mark.parametrize("folder", ZOO, ids=lambda folder: folder.name)
def test_release_of_the_zoo_is_taken_by_a_box(world: World, folder: Path) -> None:
    manifest = decode_manifest((folder / "manifest.json").read_bytes())
    world.assign(world.repository.publish(manifest.name, folder))
    assert [staged.version for staged in world.client().check()] == [manifest.version]
    slots = ModelSlots(world.paths.models)
    ((name, slot),) = slots.waiting()
    outcome = slots.try_release(name, slot, build)
    assert isinstance(outcome, Accepted), outcome
    outcome.engine.close()
