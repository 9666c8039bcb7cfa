"""Real boxes, real ingest workers, and the brokers that Vedette is tested with, over TLS."""

import os
import queue
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr

from cloud.servers import server as servers
from cloud.servers.broker import BrokerUser
from cloud.servers.server import Server, running
from cloud.settings import CloudSettings
from contract.topics import Address, Channel
from tests.brokers.authority import Authority
from tests.brokers.mosquitto import PROGRAM, Mosquitto
from tests.brokers.nats import Cluster, Nats
from tests.chaos.audit import Report
from tests.chaos.flow import Flow, flowing
from tests.chaos.records import SITE, Numbered
from tests.chaos.system import PASSWORD, enrol, make_box, make_worker, until
from tests.conftest import free_port

WANTED = [Numbered("broker-1", 40, 5700, 300), Numbered("broker-2", 210, 5700, 300)]
SECONDS = 8.0
ADDRESSES = [Address(one.partition, SITE, one.node) for one in WANTED]
CLOUD = BrokerUser("cloud", PASSWORD)
USERS = [CLOUD, *(BrokerUser(f"{SITE}/{address.node}", PASSWORD, address) for address in ADDRESSES)]
needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed (Debian: mosquitto)")
pytestmark = pytest.mark.slow  # records flow for a while, and everybody starts as a process


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def settings_for(database: str, brokers: Sequence[str], authority: Authority | None, folder: Path) -> CloudSettings:
    return CloudSettings(
        database=database,
        broker=brokers[0],
        more_brokers=tuple(brokers[1:]),
        broker_password=SecretStr(PASSWORD),
        broker_ca=None if authority is None else authority.file,
        evidence=folder,
        tuf=folder,
        keys=folder,
    )


@contextmanager
def over(folder: Path, database: str, brokers: Sequence[str], authority: Authority, seconds: float) -> Iterator[Flow]:
    """Boxes that begin at the first address, and workers that begin at the second; each knows them all."""
    enrol(database, ADDRESSES)
    uplink = {"broker": brokers[0], "more_brokers": list(brokers[1:]), "ca_file": str(authority.file)}
    boxes = [make_box(folder / address.node, address, uplink) for address in ADDRESSES]
    turned = [*brokers[1:], brokers[0]]
    settings = settings_for(database, turned, authority, folder)
    workers = [make_worker(f"worker-{number}", settings, folder) for number in (1, 2)]
    with flowing(folder, boxes, workers, WANTED, seconds) as flow:
        yield flow


def check(report: Report) -> None:
    assert report.faults == []
    assert report.records.total() == sum(one.readings + one.events for one in WANTED)


def test_nats_alone(tmp_path: Path, database: str, authority: Authority) -> None:
    broker = Nats(tmp_path / "broker", USERS, authority.issue("broker"))
    with (
        running(broker, log=tmp_path / "broker.log"),
        over(tmp_path, database, [broker.url], authority, SECONDS) as flow,
    ):
        check(flow.finish(database))


@pytest.mark.timeout(300)
def test_a_cluster_of_three_of_which_one_is_killed(tmp_path: Path, database: str, authority: Authority) -> None:
    """The boxes begin at the first member, the workers at the second; first the one dies and then the other."""
    ports = tuple(free_port() for _ in range(3))
    certificate = authority.issue("broker")
    members = [Nats(tmp_path / f"member-{n}", USERS, certificate, Cluster(n, ports)) for n in range(3)]
    with ExitStack() as stack:
        processes = [_started(member, tmp_path / f"member-{n}.log", stack) for n, member in enumerate(members)]
        for member, process in zip(members, processes, strict=True):
            servers.wait_ready(member, process, log=tmp_path / f"{member.folder.name}.log")
            until("a member to admit us", lambda member=member: _admits(member.url, CLOUD, authority), 60.0)  # type: ignore[misc]
        with over(tmp_path, database, [member.url for member in members], authority, 4 * SECONDS) as flow:
            flow.moves_on(database)
            for number in (0, 1):
                os.kill(processes[number].pid, signal.SIGKILL)
                processes[number].wait()
                flow.moves_on(database)
                members[number].prepare()
                processes[number] = _started(members[number], tmp_path / f"member-{number}.log", stack)
                until("it to admit us", lambda n=number: _admits(members[n].url, CLOUD, authority), 60.0)  # type: ignore[misc]
                flow.moves_on(database)
            check(flow.finish(database))


@needs_mosquitto
def test_mosquitto_with_the_files_that_we_ship(tmp_path: Path, database: str, authority: Authority) -> None:
    broker = Mosquitto(tmp_path / "broker", {user.name: user.password for user in USERS}, authority.issue("broker"))
    with (
        running(broker, log=tmp_path / "broker.log"),
        over(tmp_path, database, [broker.url], authority, SECONDS) as flow,
    ):
        check(flow.finish(database))


@needs_mosquitto
def test_mosquitto_dies_and_comes_back(tmp_path: Path, database: str, authority: Authority) -> None:
    broker = Mosquitto(tmp_path / "broker", {user.name: user.password for user in USERS}, authority.issue("broker"))
    with ExitStack() as stack:
        broker.prepare()
        process = _started(broker, tmp_path / "broker.log", stack)
        with over(tmp_path, database, [broker.url], authority, SECONDS) as flow:
            flow.moves_on(database)
            process.kill()
            process.wait()
            process = _started(broker, tmp_path / "broker.log", stack)
            flow.moves_on(database)
            check(flow.finish(database))


@needs_mosquitto
def test_mosquitto_keeps_a_box_to_its_own_topics(tmp_path: Path, authority: Authority) -> None:
    """What the file of permissions says, tried as one of the boxes."""
    broker = Mosquitto(tmp_path / "broker", {user.name: user.password for user in USERS}, authority.issue("broker"))
    own, other = ADDRESSES
    with running(broker, log=tmp_path / "broker.log"), ExitStack() as stack:
        everything = stack.enter_context(_client(broker.url, CLOUD, authority, "vedette/v1/#"))
        box = stack.enter_context(_client(broker.url, USERS[1], authority, "vedette/v1/#"))
        said = [own.topic(channel) for channel in Channel] + [other.topic(Channel.UP), own.events("fire")]
        for topic in said:
            box.client.publish(topic, b"box", qos=1)
        allowed = {own.topic(Channel.UP), own.topic(Channel.REPLY), own.topic(Channel.STATE), own.events("fire")}
        assert {everything.heard.get(timeout=10.0) for _ in allowed} == allowed
        for topic in (other.topic(Channel.ACK), own.topic(Channel.ACK), own.topic(Channel.CMD)):
            everything.client.publish(topic, b"cloud", qos=1)
        assert {box.heard.get(timeout=10.0) for _ in range(2)} == {own.topic(Channel.ACK), own.topic(Channel.CMD)}
        with pytest.raises(queue.Empty):
            box.heard.get(timeout=0.5)


class _client:  # noqa: N801
    """Someone who hears a topic."""

    def __init__(self, url: str, user: BrokerUser, authority: Authority, topic: str) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.ready: queue.Queue[int] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(user.name, user.password)
        self.client.tls_set(ca_certs=str(authority.file))
        self.client.on_connect = lambda *_: self.client.subscribe(topic, 1) and None
        self.client.on_subscribe = lambda *_: self.ready.put(1)
        self.client.on_message = lambda _c, _u, message: self.heard.put(message.topic)
        self.client.connect("localhost", int(url.rpartition(":")[2]))

    def __enter__(self) -> "_client":
        self.client.loop_start()
        self.ready.get(timeout=10.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def _started(server: Server, log: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    server.prepare()
    process = servers.start(server, log=log)
    stack.callback(servers.stop, server, process)
    return process


def _admits(url: str, user: BrokerUser, authority: Authority) -> bool:
    """A member answers a CONNECT only once the cluster has found itself."""
    try:
        with _client(url, user, authority, "probe"):
            return True
    except (OSError, queue.Empty):
        return False
