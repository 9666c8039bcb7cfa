"""The attacks that The Update Framework lists (specification 1.0, section 1.5.2), and a few on the director.

Each is tried against the real client over HTTP. A box that was attacked keeps what it has, says why, and takes the next
honest release.
"""

import json
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from cloud.fleet.repository import Release
from edge.updates.client import UpdateClient
from tests.edge.updates.world import DAY, NODE, SITE, Web, World

OWN = f"/director/{SITE}/{NODE}/metadata"


@pytest.fixture
def client(world: World) -> UpdateClient:
    """A node that runs 1.0.0 and has been told to run 1.1.0, which it has not looked for yet."""
    world.assign(world.publish("1.0.0"))
    client = world.client()
    assert len(client.check()) == 1
    world.assign(world.publish("1.1.0"))
    return client


def held(world: World, web: Web, client: UpdateClient, *said: str) -> None:
    """The attack is refused for the reason that is ``said``, 1.0.0 is untouched, and honesty is believed again."""
    assert client.check() == []
    reasons = " ".join((client.report.reason, world.refused(), world.notes.refusal()))
    assert all(word in reasons for word in said), reasons
    assert world.staged("1.0.0")
    assert not world.staged("1.1.0")
    web.wrong.clear()
    assert [staged.version for staged in client.check()] == ["1.1.0"], client.report


def _targets(world: World, pattern: str) -> Path:
    return next((world.folder / "tuf/releases/targets/fire/1.1.0").glob(pattern))


def test_arbitrary_software_a_changed_byte(world: World, web: Web, client: UpdateClient) -> None:
    model = _targets(world, "*.orange.onnx")
    raw = bytearray(model.read_bytes())
    raw[len(raw) // 2] ^= 1
    web.wrong[f"/tuf/targets/fire/1.1.0/{model.name}"] = bytes(raw)
    held(world, web, client, "orange.onnx is not what was signed")


def test_arbitrary_software_a_changed_manifest(world: World, web: Web, client: UpdateClient) -> None:
    manifest = _targets(world, "*.manifest.json")
    raw = manifest.read_bytes().replace(b'"fire": 0.5', b'"fire": 0.9')
    assert raw != manifest.read_bytes()
    web.wrong[f"/tuf/targets/fire/1.1.0/{manifest.name}"] = raw
    held(world, web, client, "manifest.json is not what was signed")


def test_endless_data(world: World, web: Web, client: UpdateClient) -> None:
    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    model = _targets(world, "*.orange.onnx")
    web.wrong[f"/tuf/targets/fire/1.1.0/{model.name}"] = pour
    assert client.check() == []
    assert "exceeding" in world.refused()
    web.wrong = {"/tuf/metadata/timestamp.json": pour}
    held(world, web, client, "exceeding", "maximum allowed length")


def test_slow_retrieval(world: World, web: Web, client: UpdateClient) -> None:
    release_server = _Stall()
    model = _targets(world, "*.orange.onnx")
    web.wrong[f"/tuf/targets/fire/1.1.0/{model.name}"] = release_server
    try:
        held(world, web, client, "stopped in the middle")
    finally:
        release_server.end()


def test_extraneous_dependencies_a_file_nobody_signed(world: World, web: Web, client: UpdateClient) -> None:
    """The role's own key signs a manifest that names a file which is no target."""
    metadata = world.repository.metadata
    content = metadata.targets("fire")
    del content.targets["fire/1.1.0/golden/none.png"]
    metadata.commit({"fire": content}, world.now)
    assert client.check() == []
    assert "in the manifest, but not signed" in world.refused()


def test_rollback_of_timestamp_and_snapshot(world: World, web: Web, client: UpdateClient) -> None:
    old = (world.folder / "tuf/releases/metadata/timestamp.json").read_bytes()
    world.repository.metadata.commit({}, world.now)
    assert len(client.check()) == 1
    web.wrong["/tuf/metadata/timestamp.json"] = old
    assert client.check() == []
    assert client.report.state == "refused"
    assert "version" in client.report.reason


def test_rollback_of_the_assignment(world: World, web: Web, client: UpdateClient) -> None:
    old = (world.folder / f"tuf/directors/{SITE}/{NODE}/metadata/timestamp.json").read_bytes()
    world.assign(world.publish("1.2.0"))
    assert len(client.check()) == 1
    web.wrong[f"{OWN}/timestamp.json"] = old
    assert client.check() == []
    assert client.report.state == "refused"


def test_indefinite_freeze(world: World, web: Web) -> None:
    """The attacker goes on showing metadata that was once right: it expires."""
    world.now -= 30 * DAY
    world.assign(world.publish("1.0.0"))
    world.repository.refresh()
    world.use_real_time()
    client = world.client()
    assert client.check() == []
    assert client.report.state == "refused"
    assert "timestamp.json is expired" in client.report.reason
    world.repository.refresh()
    world.director.refresh()
    assert len(client.check()) == 1


def test_fast_forward(world: World, web: Web, client: UpdateClient) -> None:
    """A stolen timestamp key drives the version up; after new keys the box comes back by itself."""
    metadata = world.repository.metadata
    stolen = metadata.timestamp()
    stolen.version = 2_000_000
    (metadata.folder / "timestamp.json").write_bytes(metadata._signed("timestamp", stolen, world.now))
    assert len(client.check()) == 1
    timestamp = metadata.timestamp()
    timestamp.version = 7
    (metadata.folder / "timestamp.json").write_bytes(metadata._signed("timestamp", timestamp, world.now))
    assert client.check() == []
    assert "must be >=" in client.report.reason

    world.repository.rotate("timestamp")
    assert len(client.check()) == 1, client.report


def test_mix_and_match(world: World, web: Web, client: UpdateClient) -> None:
    """Snapshot and targets of different times."""
    folder = world.folder / "tuf/releases/metadata"
    current = world.repository.metadata.snapshot().version
    web.wrong[f"/tuf/metadata/{current}.snapshot.json"] = (folder / f"{current - 1}.snapshot.json").read_bytes()
    held(world, web, client, "hash")


def test_mix_and_match_of_the_detectors_role(world: World, web: Web, client: UpdateClient) -> None:
    folder = world.folder / "tuf/releases/metadata"
    current = world.repository.metadata.targets("fire").version
    web.wrong[f"/tuf/metadata/{current}.fire.json"] = (folder / f"{current - 1}.fire.json").read_bytes()
    held(world, web, client)


def test_wrong_software_another_detectors_release(world: World, web: Web, client: UpdateClient) -> None:
    """The director's key names person's release as fire's."""
    person = world.publish("3.0.0", name="person")
    metadata = world.director.metadata(SITE, NODE)
    content = metadata.targets()
    target = content.targets["fire/1.1.0/manifest.json"]
    target.hashes, target.length = {"sha256": person.sha256}, person.bytes
    metadata.commit({"targets": content}, world.now)
    assert client.check() == []
    assert "disagree" in world.refused()


def test_vulnerable_software_that_was_withdrawn(world: World, web: Web, client: UpdateClient) -> None:
    """The director's key assigns a version under the floor that offline keys have set."""
    world.assign(world.publish("1.2.0", floor="1.1.0"))
    client.check()
    metadata = world.director.metadata(SITE, NODE)
    content = metadata.targets()
    old = world.repository.release("fire", "1.0.0")
    target = content.targets.pop("fire/1.2.0/manifest.json")
    target.path, target.hashes, target.length = old.target, {"sha256": old.sha256}, old.bytes
    content.targets[old.target] = target
    metadata.commit({"targets": content}, world.now)
    assert client.check() == []
    assert "under the floor 1.1.0" in world.refused()


def test_wrong_key_signs_the_releases(world: World, web: Web, client: UpdateClient) -> None:
    folder = world.folder / "tuf/releases/metadata"
    version = world.repository.metadata.targets("fire").version
    web.wrong[f"/tuf/metadata/{version}.fire.json"] = _forged(folder / f"{version}.fire.json")
    held(world, web, client)


def test_wrong_key_signs_the_assignment(world: World, web: Web, client: UpdateClient) -> None:
    folder = world.folder / f"tuf/directors/{SITE}/{NODE}/metadata"
    web.wrong[f"{OWN}/timestamp.json"] = _forged(folder / "timestamp.json")
    held(world, web, client, "signed")


def test_one_of_three_root_keys_is_too_few(world: World, web: Web, client: UpdateClient) -> None:
    folder = world.folder / "tuf/releases/metadata"
    world.repository.rotate("timestamp")
    root = json.loads((folder / "2.root.json").read_bytes())
    root["signatures"] = root["signatures"][:1]
    web.wrong["/tuf/metadata/2.root.json"] = json.dumps(root).encode()
    held(world, web, client, "root was signed by 1/2 keys")


def test_a_detectors_key_signs_for_no_other(world: World, web: Web, client: UpdateClient) -> None:
    """Whoever holds person's key names a release of fire."""
    world.publish("3.0.0", name="person")
    metadata = world.repository.metadata
    person, fire = metadata.targets("person"), metadata.targets("fire")
    paths = [path for path in fire.targets if path.startswith("fire/1.1.0/")]
    for path in paths:
        person.targets[path] = fire.targets.pop(path)
    metadata.commit({"person": person, "fire": fire}, world.now)
    assert client.check() == []
    assert "no offline key has signed it" in world.refused()


def test_another_nodes_assignment(world: World, web: Web, client: UpdateClient) -> None:
    """The whole director repository of another node is shown: its key is not this node's."""
    world.director.create(SITE, "other")
    world.director.assign(SITE, "other", {"fire": world.repository.release("fire", "1.1.0")})
    metadata = world.director.metadata(SITE, "other")
    for _ in range(5):
        metadata.commit({}, world.now)
    for path in metadata.folder.iterdir():
        web.wrong[f"{OWN}/{path.name}"] = path.read_bytes()
    held(world, web, client)


def test_assignment_that_names_another_node(world: World, web: Web, client: UpdateClient) -> None:
    def other(content: Targets, release: Release) -> None:
        content.targets[release.target].unrecognized_fields["custom"] = {"detector": "fire", "node": "mill/other"}

    _change_assignment(world, other)
    assert client.check() == []
    assert "assigned to mill/other, not to mill/gate" in world.refused()


@pytest.mark.parametrize(
    "path", ["fire/1.1.0", "../../1.1.0/manifest.json", "fire/../manifest.json", "fire/x/manifest.json", "a/b/c/d"]
)
def test_assignment_that_names_no_release(world: World, web: Web, client: UpdateClient, path: str) -> None:
    def rename(content: Targets, release: Release) -> None:
        content.targets[path] = content.targets.pop(release.target)
        content.targets[path].path = path

    _change_assignment(world, rename)
    before = sorted(world.paths.data.rglob("*.onnx"))
    assert client.check() == []
    assert client.report.state == "refused"
    assert sorted(world.paths.data.rglob("*.onnx")) == before


@pytest.mark.parametrize("answer", [b"", b"{}", b"\xff\xfe", b"[" * 10_000, b"null"])
@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json"])
def test_nonsense_instead_of_metadata(world: World, web: Web, client: UpdateClient, name: str, answer: bytes) -> None:
    web.wrong[f"/tuf/metadata/{name}"] = answer
    held(world, web, client)


def test_what_was_verified_is_still_known_after_a_restart(world: World, web: Web, client: UpdateClient) -> None:
    """Rollback protection survives the process, and a cache that was tampered with is not believed."""
    old = (world.folder / "tuf/releases/metadata/timestamp.json").read_bytes()
    world.repository.metadata.commit({}, world.now)
    client.check()
    web.wrong["/tuf/metadata/timestamp.json"] = old
    assert world.client().check() == []
    web.wrong.clear()
    kept = world.paths.trust / "releases" / "metadata"
    for path in kept.glob("*.json"):
        if not path.is_symlink():
            path.write_bytes(_forged(path) if path.name != "targets.json" else b"junk")
    shutil.rmtree(world.paths.models / "fire" / "1.1.0")
    assert len(world.client().check()) == 1


class _Stall:
    """Sends a little and then nothing more, until ``end``."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x")
        handler.wfile.flush()
        self._over.wait(20)

    def end(self) -> None:
        """Let the server's thread go."""
        self._over.set()


def _forged(path: Path) -> bytes:
    """The same, raised by one version and signed by a key of the attacker's under the honest key's name."""
    metadata = Metadata.from_bytes(path.read_bytes())
    honest = list(metadata.signatures)
    metadata.signed.version += 1
    attacker = CryptoSigner(Ed25519PrivateKey.generate())
    signature = metadata.sign(attacker)
    metadata.signatures.clear()
    for keyid in honest:
        metadata.signatures[keyid] = type(signature)(keyid, signature.signature)
    return metadata.to_bytes()


def _change_assignment(world: World, change: Callable[[Targets, Release], None]) -> None:
    metadata = world.director.metadata(SITE, NODE)
    content = metadata.targets()
    change(content, world.repository.release("fire", "1.1.0"))
    metadata.commit({"targets": content}, world.now)
