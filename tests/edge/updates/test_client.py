"""A box takes the release that two repositories agree on, and nothing else."""

import threading

import pytest

from cloud.fleet.repository import ReleaseRepository
from edge.notices import ReleaseStaged
from edge.updates.release import check_release
from edge.updates.slots import ModelSlots
from edge.updates.state import Offer, Record, Slot
from tests.edge.updates.world import DAY, NODE, SITE, Web, World


def test_assigned_release_is_staged_with_every_file(world: World) -> None:
    release = world.publish("1.0.0")
    world.assign(release)

    client = world.client()
    staged = client.check()

    folder = world.paths.models / "fire" / "1.0.0"
    assert staged == [ReleaseStaged("fire", "1.0.0", str(folder))]
    assert check_release("fire", folder, Slot("1.0.0", release.sha256)).version == "1.0.0"
    assert world.notes.offer("fire") == Offer(version="1.0.0", sha256=release.sha256)
    assert client.report.state == "ok"


def test_nothing_is_fetched_that_nobody_assigned(world: World) -> None:
    world.publish("1.0.0")
    assert world.client().check() == []
    assert not world.staged("1.0.0")


def test_release_is_told_again_until_it_was_tried_and_fetched_once(world: World, web: Web) -> None:
    world.assign(world.publish("1.0.0"))
    client = world.client()
    first = client.check()
    web.asked.clear()
    assert client.check() == first
    assert not [path for path in web.asked if path.endswith(".onnx")]

    slot = Slot("1.0.0", world.repository.release("fire", "1.0.0").sha256)
    world.notes.write_record("fire", Record(active=slot))
    assert client.check() == []


def test_with_the_link_down_the_box_keeps_what_it_has(world: World, web: Web) -> None:
    world.assign(world.publish("1.0.0"))
    client = world.client()
    client.check()
    web.close()

    assert client.check() == []
    assert client.report.state == "unreachable"
    assert world.staged("1.0.0")
    assert world.notes.refusal() == ""
    web.__init__(world.folder / "tuf")  # type: ignore[misc] # the fixture closes it again


def test_wrong_password_is_named_as_such(world: World, web: Web) -> None:
    web.wrong[f"/director/{SITE}/{NODE}/metadata/2.root.json"] = 401
    client = world.client()
    client.check()
    assert client.report.state == "unreachable"
    assert "check uplink's password" in client.report.reason


def test_node_without_trust_takes_nothing(world: World) -> None:
    world.assign(world.publish("1.0.0"))
    world.config = world.config.model_copy(update={"trust": None})
    client = world.client()
    assert client.check() == []
    assert client.report.state == "off"


def test_broken_release_on_disk_is_fetched_anew(world: World) -> None:
    world.assign(world.publish("1.0.0"))
    client = world.client()
    client.check()
    model = world.paths.models / "fire" / "1.0.0" / "orange.onnx"
    model.write_bytes(b"rot")
    client.check()
    assert model.read_bytes() != b"rot"


def test_interrupted_download_goes_on_where_it_stopped(world: World, web: Web) -> None:
    release = world.publish("1.0.0")
    world.assign(release)
    golden = next(path for path in (world.folder / "tuf/releases/targets/fire/1.0.0/golden").iterdir())
    web.wrong[f"/tuf/targets/fire/1.0.0/golden/{golden.name}"] = 503
    client = world.client()
    assert client.check() == []

    web.wrong.clear()
    web.asked.clear()
    assert len(client.check()) == 1
    assert not [path for path in web.asked if path.endswith(".onnx")]


def test_full_disk_refuses_and_says_what_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.assign(world.publish("1.0.0"))
    monkeypatch.setattr("edge.updates.client.SPARE_BYTES", 2**60)
    assert world.client().check() == []
    offer = world.notes.offer("fire")
    assert offer is not None
    assert offer.state == "refused"
    assert "bytes; 0 are free" in offer.reason


def test_one_bad_assignment_leaves_the_others_alone(world: World, web: Web) -> None:
    fire = world.publish("1.0.0")
    person = world.publish("2.0.0", name="person")
    world.assign(fire, person)
    model = next((world.folder / "tuf/releases/targets/fire/1.0.0").glob("*.onnx"))
    web.wrong[f"/tuf/targets/fire/1.0.0/{model.name}"] = b"x" * model.stat().st_size
    assert [staged.name for staged in world.client().check()] == ["person"]


def test_what_was_turned_down_is_not_offered_again(world: World) -> None:
    release = world.publish("1.0.0")
    world.assign(release)
    client = world.client()
    client.check()
    world.notes.write_record("fire", Record(turned_down=(Slot("1.0.0", release.sha256),)))
    assert client.check() == []


def test_downgrade_is_taken_above_the_floor_and_refused_below(world: World) -> None:
    old, new = world.publish("1.0.0"), world.publish("1.1.0")
    world.assign(new)
    client = world.client()
    assert [staged.version for staged in client.check()] == ["1.1.0"]
    world.assign(old)
    assert [staged.version for staged in client.check()] == ["1.0.0"]

    world.publish("1.2.0", floor="1.1.0")
    assert client.check() == []
    offer = world.notes.offer("fire")
    assert offer is not None
    assert offer.reason == "fire 1.0.0 lies under the floor 1.1.0"


def test_floor_never_falls(world: World) -> None:
    old = world.publish("1.0.0")
    world.assign(world.publish("1.1.0", floor="1.1.0"))
    world.client().check()
    floors = world.paths.trust / "floors"
    assert floors.read_bytes() == b'{"fire":"1.1.0"}'

    # What was signed once is remembered, whatever a repository says later.
    floors.write_bytes(b'{"fire":"1.5.0"}')
    assert world.client().check() == []
    assert world.refused() == "fire 1.1.0 lies under the floor 1.5.0"
    world.assign(old)
    assert world.client().check() == []
    assert world.refused() == "fire 1.0.0 lies under the floor 1.5.0"


def test_clock_that_was_set_back_is_noticed(world: World) -> None:
    world.assign(world.publish("1.0.0"))
    client = world.client()
    client.check()
    world.now -= 30 * DAY
    assert client.check() == []
    assert "clock is behind" in client.report.reason


def test_roots_are_followed_from_the_installed_one(world: World) -> None:
    world.client().check()
    for role in ("timestamp", "targets", "root", "snapshot"):
        world.repository.rotate(role)
    world.assign(world.publish("1.0.0"))
    client = world.client()
    assert len(client.check()) == 1, client.report
    assert world.repository.metadata.root().version == 5


def test_newer_root_that_the_box_knows_already_is_no_new_trust(world: World, web: Web) -> None:
    world.client().check()
    world.repository.rotate("timestamp")
    old = (world.repository.metadata.folder / "timestamp.json").read_bytes()
    world.repository.metadata.commit({}, world.now)
    world.client().check()
    (world.trust / "releases.root.json").write_bytes(world.repository.metadata.root_bytes())
    web.wrong["/tuf/metadata/timestamp.json"] = old
    client = world.client()
    assert client.check() == []
    assert client.report.state == "refused"


def test_detector_whose_key_was_changed_goes_on(world: World) -> None:
    world.assign(world.publish("1.0.0"))
    client = world.client()
    client.check()
    world.repository.rotate("fire")
    world.assign(world.publish("1.1.0"))
    assert [staged.version for staged in client.check()] == ["1.1.0"]


def test_box_that_moves_to_another_installation_trusts_it_anew(world: World) -> None:
    world.client().check()
    (world.folder / "keys").rename(world.folder / "keys-old")
    (world.folder / "tuf").rename(world.folder / "tuf-old")
    fresh = ReleaseRepository(world.folder / "tuf" / "releases", world.repository.metadata._keys, lambda: world.now)
    fresh.create()
    world.director.create(SITE, NODE)
    client = world.client()
    assert client.check() == []
    assert client.report.state == "refused"

    world.export_trust()
    world.assign(world.publish("1.0.0"))
    assert len(client.check()) == 1


def test_client_looks_when_it_is_poked_and_ends_when_told(world: World) -> None:
    stop, poke, told = threading.Event(), threading.Event(), threading.Event()
    client = world.client()
    thread = threading.Thread(target=client.run, args=(stop, poke, lambda _: told.set(), 3600.0))
    thread.start()
    world.assign(world.publish("1.0.0"))
    poke.set()
    assert told.wait(20)
    stop.set()
    poke.set()
    thread.join(10)
    assert not thread.is_alive()


def test_health_names_what_was_refused(world: World, web: Web) -> None:
    web.wrong["/tuf/metadata/timestamp.json"] = b"{}"
    world.client().check()
    health = ModelSlots(world.paths.models).health("fire", None)
    assert health.state == "refused"
    assert health.reason
    web.wrong.clear()
    world.client().check()
    assert ModelSlots(world.paths.models).health("fire", None).state == "active"
