"""A node that is enrolled connects, reads its own assignments and no other's; people assign and the node is told."""

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import psycopg
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from tuf.api.metadata import Metadata, Root

from cloud.fleet.commands import LIFE
from cloud.fleet.fleet import AssignmentError, Fleet
from cloud.fleet.nodes import Enrolment, broker_users, enrol, export_trust, partition_of
from cloud.identity.nodes import verify_secret
from contract.messages import CheckUpdates
from contract.topics import Address, Channel
from contract.wire import decode_command
from edge.config import load_config
from edge.paths import NodePaths
from edge.updates.client import UpdateClient
from edge.updates.fetcher import Fetcher
from tests.cloud.fleet.conftest import wall
from tests.conftest import RunningBroker


def test_enrolment_prints_a_node_yaml_that_loads(gate: Enrolment, tmp_path: Path) -> None:
    text = gate.yaml("mqtt://127.0.0.1:1883", "http://127.0.0.1:8080")
    assert gate.secret not in text
    assert gate.secret not in repr(gate)
    (tmp_path / "node.yaml").write_text(text)
    (tmp_path / "secret").write_text(gate.secret + "\n")
    config = load_config(tmp_path / "node.yaml")
    assert (config.site, config.node, config.partition) == ("mill", "gate", gate.partition)
    assert config.uplink.secret() == gate.secret
    assert yaml.safe_load(text)["uplink"]["username"] == "mill/gate"


def test_database_keeps_hashes_only(connection: psycopg.Connection[Any], gate: Enrolment) -> None:
    row = connection.execute("SELECT secret_hash, broker_hash, node::text FROM node").fetchone()
    assert row is not None
    assert verify_secret(gate.secret, row[0])
    assert row[1].startswith("$2b$")
    assert gate.secret not in row[2]


def test_enrolling_again_changes_the_secret_and_nothing_else(
    connection: psycopg.Connection[Any], gate: Enrolment
) -> None:
    again = enrol(connection, "mill", "gate")
    assert again.partition == gate.partition
    assert again.secret != gate.secret
    assert enrol(connection, "mill", "gate", secret="given").secret == "given"
    assert connection.execute("SELECT count(*) FROM node").fetchone() == (1,)
    with pytest.raises(ValueError, match="node 'Gate 1' is not a valid id"):
        enrol(connection, "mill", "Gate 1")


def test_partitions_are_dealt_evenly_and_for_ever() -> None:
    dealt = [partition_of("mill", f"node-{number}") for number in range(4096)]
    assert partition_of("mill", "gate") == 113
    assert len(set(dealt)) == 256
    assert max(dealt.count(partition) for partition in set(dealt)) < 40


def test_broker_admits_an_enrolled_node_by_its_hash(
    connection: psycopg.Connection[Any], gate: Enrolment, broker: RunningBroker
) -> None:
    user = next(user for user in broker_users(connection) if user.name == "mill/gate")
    assert user.address == Address(gate.partition, "mill", "gate")
    assert gate.secret not in repr(user)
    broker.server.write_users([*broker.users, user])
    broker.process.send_signal(1)
    try:
        assert _admitted(broker, gate.username, gate.secret, wanted=True)
        assert _admitted(broker, gate.username, "wrong", wanted=False)
    finally:
        broker.server.write_users(broker.users)
        broker.process.send_signal(1)


def test_trust_is_the_two_roots(fleet: Fleet, tmp_path: Path) -> None:
    export_trust(fleet, "mill", "gate", tmp_path / "trust")
    assert sorted(path.name for path in (tmp_path / "trust").iterdir()) == ["director.root.json", "releases.root.json"]
    for path in (tmp_path / "trust").iterdir():
        assert isinstance(Metadata.from_bytes(path.read_bytes()).signed, Root)


def test_releases_are_listed(api: httpx.Client, fleet: Fleet) -> None:
    listed = api.get("/api/v1/releases").json()
    assert [(item["name"], item["version"], item["floor"]) for item in listed] == [
        ("fire", "1.0.0", "0.0.0"),
        ("fire", "1.1.0", "0.0.0"),
    ]


def test_assignment_reaches_the_director_and_the_node_is_told(
    api: httpx.Client, fleet: Fleet, gate: Enrolment, broker: RunningBroker
) -> None:
    heard: list[bytes] = []
    with _listener(broker, Address(gate.partition, "mill", "gate").topic(Channel.CMD), heard) as told:
        wanted = {"site": "mill", "node": "gate", "name": "fire", "version": "1.1.0", "by": "mei"}
        answer = api.post("/api/v1/assignments", json=wanted)
        assert answer.status_code == 201, answer.text
        assert told.wait(10)
    command = decode_command(heard[0])
    assert isinstance(command.verb, CheckUpdates)
    assert command.expires == command.time + LIFE
    assert fleet.director.assigned("mill", "gate") == {"fire": "1.1.0"}
    (item,) = api.get("/api/v1/assignments").json()
    assert (item["site"], item["node"], item["name"]) == ("mill", "gate", "fire")
    assert (item["version"], item["assigned_by"]) == ("1.1.0", "mei")


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"version": "9.9.9"}, 409, "fire 9.9.9 is not published; published are: fire 1.0.0, fire 1.1.0"),
        ({"node": "yard"}, 409, "node mill/yard is not enrolled; enrol it first: vedette fleet enrol mill yard"),
        ({"version": "1.1"}, 422, "version"),
        ({"name": "../fire"}, 422, "name"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_assignment_that_cannot_be_is_refused_with_the_way_out(
    api: httpx.Client, fleet: Fleet, gate: Enrolment, change: dict[str, str], status: int, said: str
) -> None:
    wanted = {"site": "mill", "node": "gate", "name": "fire", "version": "1.1.0"} | change
    answer = api.post("/api/v1/assignments", json=wanted)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_assignment_under_the_floor_is_refused(
    connection: psycopg.Connection[Any], fleet: Fleet, gate: Enrolment, tmp_path: Path
) -> None:
    fleet.releases.publish("fire", tmp_path / "1.1.0", floor="1.1.0")
    with pytest.raises(AssignmentError, match=r"fire 1\.0\.0 lies under the floor 1\.1\.0"):
        fleet.assign(connection, "mill", "gate", "fire", "1.0.0")


def test_of_assignments_at_the_same_moment_the_latest_row_is_signed(
    connection: psycopg.Connection[Any], database: str, fleet: Fleet, gate: Enrolment
) -> None:
    def assign(version: str) -> None:
        with psycopg.connect(database) as own:
            fleet.assign(own, "mill", "gate", "fire", version)

    for _ in range(5):
        threads = [threading.Thread(target=assign, args=(version,)) for version in ("1.0.0", "1.1.0") * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (latest,) = fleet.assignments(connection)
        connection.rollback()
        assert fleet.director.assigned("mill", "gate") == {"fire": latest.version}


def test_assignment_that_was_cut_off_is_signed_later(
    connection: psycopg.Connection[Any], fleet: Fleet, gate: Enrolment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fleet.director, "follow", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            fleet.assign(connection, "mill", "gate", "fire", "1.0.0")
    assert fleet.director.assigned("mill", "gate") == {}
    fleet.refresh(connection)
    assert fleet.director.assigned("mill", "gate") == {"fire": "1.0.0"}


def test_nodes_read_releases_and_their_own_assignments_only(api: httpx.Client, fleet: Fleet, gate: Enrolment) -> None:
    fleet.director.create("mill", "gate")
    fleet.director.create("mill", "yard")
    own = (gate.username, gate.secret)
    assert api.get("/tuf/metadata/timestamp.json", auth=own).status_code == 200
    assert api.get("/director/mill/gate/metadata/timestamp.json", auth=own).status_code == 200
    assert api.get("/director/mill/yard/metadata/timestamp.json", auth=own).status_code == 403
    assert api.get("/tuf/metadata/timestamp.json").status_code == 401
    assert api.get("/tuf/metadata/timestamp.json", auth=(gate.username, "wrong")).status_code == 401


def test_no_path_leaves_the_repositories(api: httpx.Client, fleet: Fleet, gate: Enrolment) -> None:
    fleet.director.create("mill", "gate")
    for path in (
        "/tuf/metadata/..%2f..%2f..%2fkeys%2fonline%2ftimestamp.pem",
        "/tuf/metadata/lock",
        "/tuf/targets/../../keys/online/timestamp.pem",
        "/tuf/targets/..%2f..%2f..%2fkeys/online/timestamp.pem",
        "/tuf/targets/fire/..%2f..%2f..%2f..%2fkeys/online/timestamp.pem",
        "/tuf/targets/%2e%2e/%2e%2e/lock",
        "/tuf/targets/fire//etc/passwd",
        "/tuf/targets//etc/passwd",
        "/tuf/targets/fire",
        "/tuf/targets/" + "a/" * 300 + "b",
        "/director/mill/..%2fgate/metadata/timestamp.json",
        "/director/mill/gate/metadata/..%2flock",
    ):
        answer = api.get(path, auth=(gate.username, gate.secret))
        assert answer.status_code in (403, 404, 422), path
        assert b"PRIVATE" not in answer.content


def test_node_fetches_its_release_through_the_api(
    api: httpx.Client, fleet: Fleet, gate: Enrolment, tmp_path: Path
) -> None:
    """The edge's own client against the running API, from enrolment to a staged release."""
    export_trust(fleet, "mill", "gate", tmp_path / "trust")
    (tmp_path / "node.yaml").write_text(gate.yaml("mqtt://127.0.0.1:1", str(api.base_url)))
    (tmp_path / "secret").write_text(gate.secret)
    config = load_config(tmp_path / "node.yaml")
    paths = NodePaths(tmp_path / "node", tmp_path / "run")
    paths.make()
    wanted = {"site": "mill", "node": "gate", "name": "fire", "version": "1.1.0"}
    api.post("/api/v1/assignments", json=wanted).raise_for_status()
    fetcher = Fetcher(config)
    client = UpdateClient(config, paths, wall, fetcher)
    assert [staged.version for staged in client.check()] == ["1.1.0"], client.report
    fetcher.close()
    assert (paths.models / "fire" / "1.1.0" / "orange.onnx").exists()


def _power_cut(*_: object) -> None:
    raise KeyboardInterrupt


def _admitted(broker: RunningBroker, username: str, password: str, wanted: bool) -> bool:
    """Whether the broker comes to answer as ``wanted``; it takes a moment to read its users."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        done = threading.Event()
        result: list[bool] = []

        def connected(_c: Any, _u: Any, _f: Any, code: Any, _p: Any, result: Any = result, done: Any = done) -> None:
            result.append(not code.is_failure)
            done.set()

        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        client.username_pw_set(username, password)
        client.on_connect = connected
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        done.wait(5)
        client.disconnect()
        client.loop_stop()
        if result and result[0] is wanted:
            return True
    return False


class _listener:  # noqa: N801
    def __init__(self, broker: RunningBroker, topic: str, heard: list[bytes]) -> None:
        self._told, self._ready, self._broker = threading.Event(), threading.Event(), broker
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self._client.username_pw_set(broker.username, broker.password)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: self._ready.set()

        def take(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
            heard.append(bytes(message.payload))
            self._told.set()

        self._client.on_message = take

    def __enter__(self) -> threading.Event:
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.loop_start()
        assert self._ready.wait(10)
        return self._told

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
