"""What is published is signed, whole and for ever; a cut in the midst of publishing changes nothing or all."""

import hashlib
import json
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tuf.api.metadata import Metadata

from cloud.fleet.director import Director
from cloud.fleet.keys import KeyMissingError, KeyStore
from cloud.fleet.metadata import DamagedError
from cloud.fleet.repository import PublishError, ReleaseRepository
from contract.manifest import Artefact
from tests.cutting import PowerCutError, cut
from tests.edge.updates.releases import rewrite_manifest, write_release
from tests.edge.updates.trusting import trusting_reader

NOON = 1_790_000_000_000_000
DAY = 86_400 * 1_000_000


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Noon."""
    return Clock()


@pytest.fixture
def repository(tmp_path: Path, clock: Clock) -> ReleaseRepository:
    """An empty repository."""
    return ReleaseRepository(tmp_path / "tuf", KeyStore(tmp_path / "keys"), clock)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A release's folder: fire 1.0.0."""
    write_release(tmp_path / "zoo")
    return tmp_path / "zoo"


def test_release_is_listed_with_its_manifests_hash(repository: ReleaseRepository, zoo: Path) -> None:
    release = repository.publish("fire", zoo)
    raw = (zoo / "manifest.json").read_bytes()
    assert (release.sha256, release.bytes) == (hashlib.sha256(raw).hexdigest(), len(raw))
    assert (release.published, release.floor) == (NOON, "0.0.0")
    assert repository.releases() == [release]
    names = [path.relative_to(repository.targets) for path in repository.targets.rglob("*") if path.is_file()]
    assert all(len(path.name.split(".")[0]) == 64 for path in names)
    assert len(names) == 5


def test_keys_are_for_their_owner_alone(repository: ReleaseRepository, zoo: Path, tmp_path: Path) -> None:
    repository.publish("fire", zoo)
    keys = sorted(path.relative_to(tmp_path / "keys").as_posix() for path in (tmp_path / "keys").rglob("*.pem"))
    assert keys == [
        "offline/detector-fire.pem",
        *(f"offline/{role}-{number}.pem" for role in ("root", "targets") for number in (1, 2, 3)),
        "online/snapshot.pem",
        "online/timestamp.pem",
    ]
    assert {stat.S_IMODE((tmp_path / "keys" / key).stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_same_release_again_changes_nothing(repository: ReleaseRepository, zoo: Path) -> None:
    release = repository.publish("fire", zoo)
    before = repository.metadata.timestamp().version
    assert repository.publish("fire", zoo) == release
    assert repository.metadata.timestamp().version == before


def test_version_published_with_other_content_is_refused(repository: ReleaseRepository, zoo: Path) -> None:
    repository.publish("fire", zoo)
    write_release(zoo, salt="other")
    with pytest.raises(PublishError, match=r"fire 1\.0\.0 is published with other content; raise the version"):
        repository.publish("fire", zoo)


def test_lower_version_is_refused_and_versions_are_compared_as_numbers(
    repository: ReleaseRepository, zoo: Path
) -> None:
    for version in ("1.9.0", "1.10.0"):
        write_release(zoo, version)
        repository.publish("fire", zoo)
    write_release(zoo, "1.9.9")
    with pytest.raises(PublishError, match=r"1\.9\.9 is lower than 1\.10\.0"):
        repository.publish("fire", zoo)
    assert [release.version for release in repository.releases()] == ["1.9.0", "1.10.0"]


def test_changed_file_is_refused_before_anything_is_signed(repository: ReleaseRepository, zoo: Path) -> None:
    repository.create()
    (zoo / "golden" / "spot.png").write_bytes(b"other")
    before = _tree(repository.folder)
    with pytest.raises(PublishError, match=r"golden/spot\.png is not the file its manifest names"):
        repository.publish("fire", zoo)
    assert _tree(repository.folder) == before


def test_missing_file_and_missing_manifest_are_named(repository: ReleaseRepository, zoo: Path) -> None:
    (zoo / "orange.onnx").unlink()
    with pytest.raises(PublishError, match=r"orange\.onnx cannot be read: No such file"):
        repository.publish("fire", zoo)
    with pytest.raises(PublishError, match=r"nowhere/manifest\.json cannot be read"):
        repository.publish("fire", zoo / "nowhere")


@pytest.mark.parametrize("name", ["root", "targets", "snapshot", "timestamp", "person", "../fire", ""])
def test_release_under_a_name_that_is_not_its_own_is_refused(
    repository: ReleaseRepository, zoo: Path, name: str
) -> None:
    with pytest.raises(PublishError):
        repository.publish(name, zoo)


def test_file_too_deep_for_the_roles_paths_is_refused(repository: ReleaseRepository, zoo: Path) -> None:
    raw = (zoo / "orange.onnx").read_bytes()
    deep = Artefact(file="a/b/c/d/e", sha256=hashlib.sha256(raw).hexdigest(), bytes=len(raw), precision="fp32")
    rewrite_manifest(zoo, artefacts={"onnx-fp32": deep})
    with pytest.raises(PublishError, match="at most 3 folders deep"):
        repository.publish("fire", zoo)


def test_floor_is_raised_and_never_lowered(repository: ReleaseRepository, zoo: Path) -> None:
    repository.publish("fire", zoo)
    write_release(zoo, "1.1.0")
    assert repository.publish("fire", zoo, floor="1.1.0").floor == "1.1.0"
    write_release(zoo, "1.2.0")
    assert repository.publish("fire", zoo).floor == "1.1.0"
    for floor in ("1.0.0", "1.3.0"):
        with pytest.raises(PublishError, match=r"must lie between 1\.1\.0"):
            repository.publish("fire", zoo, floor=floor)


def test_new_version_needs_only_its_detectors_key(repository: ReleaseRepository, zoo: Path, tmp_path: Path) -> None:
    repository.publish("fire", zoo)
    for key in (tmp_path / "keys" / "offline").glob("[rt]*.pem"):
        key.unlink()
    write_release(zoo, "1.1.0")
    assert repository.publish("fire", zoo).version == "1.1.0"

    write_release(zoo, "1.0.0", name="person")
    with pytest.raises(KeyMissingError, match=r"2 of offline/targets-1\.pem.* must sign; 0 found"):
        repository.publish("person", zoo)


def test_signatures_are_renewed_before_they_run_out(
    repository: ReleaseRepository, zoo: Path, clock: Clock, tmp_path: Path
) -> None:
    repository.publish("fire", zoo)
    assert not repository.refresh()
    for _ in range(30):
        clock.now += DAY
        repository.refresh()
        now = datetime.fromtimestamp(clock.now / 1e6, UTC)
        assert repository.metadata.timestamp().expires > now
        assert repository.metadata.snapshot().expires > now
    assert repository.metadata.targets("fire").version == 1

    clock.now += 300 * DAY
    assert repository.refresh()
    assert repository.metadata.targets("fire").version == 2
    assert repository.metadata.root().version == 2
    trusting_reader(repository.folder, tmp_path / "reader", clock.now).refresh()


def test_without_offline_keys_the_online_roles_go_on(
    repository: ReleaseRepository, zoo: Path, clock: Clock, tmp_path: Path
) -> None:
    repository.publish("fire", zoo)
    shutil.rmtree(tmp_path / "keys" / "offline")
    clock.now += 200 * DAY
    assert repository.refresh()
    assert repository.metadata.targets("fire").version == 1
    director = Director(tmp_path / "directors", KeyStore(tmp_path / "keys"), clock)
    with pytest.raises(KeyMissingError, match="offline is kept elsewhere"):
        director.create("mill", "gate")


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "fire"])
def test_rotation_that_was_cut_off_is_mended(
    repository: ReleaseRepository, zoo: Path, clock: Clock, tmp_path: Path, role: str
) -> None:
    repository.publish("fire", zoo)
    for at in range(1, 200):
        try:
            with cut("cloud.fleet.disk", at) as cutter:
                repository.rotate(role)
        except PowerCutError:
            repository.refresh()
            _check_readable(repository, tmp_path / f"reader-{at}", clock.now)
        else:
            assert cutter.count < at
            break
    _check_readable(repository, tmp_path / "reader", clock.now)


def test_publishing_that_was_cut_off_changes_nothing_or_all(
    repository: ReleaseRepository, zoo: Path, clock: Clock, tmp_path: Path
) -> None:
    """At every single change of the disk; thereafter publishing again succeeds."""
    repository.publish("fire", zoo)
    for number in range(1, 500):
        version = f"1.{number}.0"
        write_release(zoo, version)
        before = [release.version for release in repository.releases()]
        try:
            with cut("cloud.fleet.disk", number) as cutter:
                repository.publish("fire", zoo)
        except PowerCutError:
            found = [release.version for release in repository.releases()]
            assert found in (before, [*before, version])
            if number % 7 == 0:
                _check_readable(repository, tmp_path / f"reader-{number}", clock.now)
            repository.publish("fire", zoo)
        else:
            break
    assert cutter.count > 30
    assert repository.releases()[-1].version == version
    _check_readable(repository, tmp_path / "reader", clock.now)


def test_creation_that_was_cut_off_goes_on(zoo: Path, clock: Clock, tmp_path: Path) -> None:
    for at in range(1, 500, 3):
        repository = ReleaseRepository(tmp_path / f"tuf-{at}", KeyStore(tmp_path / f"keys-{at}"), clock)
        try:
            with cut("cloud.fleet.disk", at):
                repository.publish("fire", zoo)
        except PowerCutError:
            repository.publish("fire", zoo)
            if at % 5 == 0:
                _check_readable(repository, tmp_path / f"reader-{at}", clock.now)
            shutil.rmtree(tmp_path / f"tuf-{at}")
        else:
            break
    assert at > 60


def test_lost_timestamp_is_not_made_up_anew(repository: ReleaseRepository, zoo: Path) -> None:
    repository.publish("fire", zoo)
    (repository.metadata.folder / "timestamp.json").unlink()
    with pytest.raises(DamagedError, match=r"timestamp\.json is gone; put the repository back from a copy"):
        repository.refresh()


def test_damaged_metadata_is_named(repository: ReleaseRepository, zoo: Path) -> None:
    repository.publish("fire", zoo)
    (repository.metadata.folder / "1.fire.json").write_bytes(b"{")
    with pytest.raises(DamagedError, match=r"1\.fire\.json cannot be read"):
        repository.releases()


def test_director_says_for_each_node_what_it_shall_run(
    repository: ReleaseRepository, zoo: Path, clock: Clock, tmp_path: Path
) -> None:
    release = repository.publish("fire", zoo)
    director = Director(tmp_path / "directors", KeyStore(tmp_path / "keys"), clock)
    assert director.assigned("mill", "gate") == {}
    assert director.assign("mill", "gate", {"fire": release})
    assert not director.assign("mill", "gate", {"fire": release})
    director.create("mill", "yard")
    assert director.assigned("mill", "gate") == {"fire": "1.0.0"}
    assert director.assigned("mill", "yard") == {}

    keys = [director.metadata("mill", node).root().roles["timestamp"].keyids for node in ("gate", "yard")]
    assert keys[0] != keys[1]
    clock.now += 2 * DAY
    assert director.refresh() == 2
    with pytest.raises(ValueError, match="not a valid id"):
        director.create("..", "gate")


def test_metadata_is_what_any_tuf_client_reads(repository: ReleaseRepository, zoo: Path) -> None:
    repository.publish("fire", zoo)
    root = Metadata.from_bytes(repository.metadata.root_bytes())
    root.signed.verify_delegate("root", root.signed_bytes, root.signatures)
    plain = json.loads(repository.metadata.root_bytes())["signed"]
    assert plain["consistent_snapshot"] is True
    assert (plain["roles"]["root"]["threshold"], len(plain["roles"]["root"]["keyids"])) == (2, 3)
    roles = repository.metadata.targets().delegations
    assert roles is not None
    assert roles.roles is not None
    assert roles.roles["fire"].terminating


def _check_readable(repository: ReleaseRepository, folder: Path, now: int) -> None:
    """A client that starts from the first root can follow to every release and read its files."""
    reader = trusting_reader(repository.folder, folder, now)
    reader.refresh()
    for release in repository.releases():
        target = reader.get_targetinfo(release.target)
        assert target is not None
        assert target.hashes["sha256"] == release.sha256
        raw = (repository.targets / target.get_prefixed_paths()[0]).read_bytes()
        target.verify_length_and_hashes(raw)
        assert msgspec.json.decode(raw)["version"] == release.version


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
