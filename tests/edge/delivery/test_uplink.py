"""The connection comes and goes; the records arrive."""

import os
import random
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.server import running
from contract.records import Lane
from contract.topics import Address, Channel
from contract.wire import decode_state
from edge.config import ConfigError
from edge.config import Uplink as UplinkConfig
from edge.delivery.conversation import Conversation
from edge.delivery.outbox import Outbox
from edge.delivery.uplink import Uplink
from tests.brokers.authority import Authority
from tests.brokers.nats import Nats
from tests.conftest import RunningBroker, free_port
from tests.edge.delivery.samples import Clock, event, reading
from tests.edge.delivery.servers import CloudClient

ADDRESS = Address(3, "square", "uplink")
needs_mosquitto = pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")


class Driver:
    """Turns an uplink as the delivery process does."""

    def __init__(self, outbox: Outbox, broker: str, **settings: Any) -> None:
        self.outbox = outbox
        config = UplinkConfig(broker=broker, cloud="http://127.0.0.1", **settings)
        conversation = Conversation(outbox, Clock())
        self.uplink = Uplink(config, ADDRESS, conversation, lambda payload: None, Clock(), chance=random.Random(1))

    def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"the uplink waited in vain: {self.uplink.reason}"
            sock = self.uplink.fileno()
            reads, writes = [], []
            if sock is not None:
                reads, writes = [sock], [sock] if self.uplink.wants_write() else []
            readable, writable, _ = select.select(reads, writes, [], 0.01)
            self.uplink.turn(time.monotonic(), bool(readable), bool(writable))


@contextmanager
def uplink(outbox: Outbox, broker: str, **settings: Any) -> Iterator[Driver]:
    driver = Driver(outbox, broker, **settings)
    try:
        yield driver
    finally:
        driver.uplink.close()


@contextmanager
def own_broker(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with running(EmbeddedBroker(folder / "broker", port, [BrokerUser("all", "word")]), log=folder / "log") as process:
        yield process


def test_nothing_is_lost_when_the_broker_dies_in_mid_stream(outbox: Outbox, tmp_path: Path) -> None:
    port = free_port()
    who = {"username": "all", "password": SecretStr("word")}
    with uplink(outbox, f"mqtt://127.0.0.1:{port}", **who) as driver:
        cloud = CloudClient(port, ADDRESS, "all", "word", wait=False)
        for round_ in range(3):
            with own_broker(tmp_path, port) as process:
                cloud.wait(cloud.connected)
                outbox.append([event(f"{round_}-{i}") for i in range(50)])
                outbox.append([reading(round_ * 1000 + i) for i in range(500)])
                least = round_ * 50 + 1
                driver.until(lambda least=least: len(cloud.cloud.records[Lane.ALARM]) >= least)
                outbox.append([event(f"{round_}-late")])
                os.kill(process.pid, signal.SIGKILL)
            driver.until(lambda: not driver.uplink.connected)
            assert "lost" in driver.uplink.reason
        with own_broker(tmp_path, port):
            driver.until(lambda: sum(outbox.waiting().values()) == 0)
        cloud.close()
        wanted = [event(f"{r}-{i}") for r in range(3) for i in [*range(50), "late"]]
        assert cloud.cloud.records[Lane.ALARM] == wanted
        assert cloud.cloud.records[Lane.LIVE] == [reading(r * 1000 + i) for r in range(3) for i in range(500)]


def test_where_one_address_is_dead_the_next_is_tried_and_the_first_again(outbox: Outbox, tmp_path: Path) -> None:
    one, other = free_port(), free_port()
    who = {"username": "all", "password": SecretStr("word")}
    more = (f"mqtt://127.0.0.1:{other}",)
    with uplink(outbox, f"mqtt://127.0.0.1:{one}", more_brokers=more, **who) as driver:
        with own_broker(tmp_path / "one", one):
            driver.until(lambda: driver.uplink.connected)
        driver.until(lambda: not driver.uplink.connected)
        with own_broker(tmp_path / "other", other):
            cloud = CloudClient(other, ADDRESS, "all", "word")
            outbox.append([event("fire")])
            driver.until(lambda: cloud.cloud.records[Lane.ALARM] == [event("fire")])
            cloud.close()
        driver.until(lambda: not driver.uplink.connected)
        with own_broker(tmp_path / "one", one):
            driver.until(lambda: driver.uplink.connected)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("http://host", "is no address; write mqtts://host or mqtt://host"),
        ("mqtt://host", "must be mqtts:// as uplink.broker is"),
        ("mqtts://user@host", "is no address"),
        ("mqtts://first:8883/", "twice"),
    ],
)
def test_another_address_that_cannot_be_is_refused(more: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        UplinkConfig(broker="mqtts://first:8883", cloud="https://first", more_brokers=(more,))


def test_a_frozen_broker_is_noticed_and_left(outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.delivery.uplink.KEEPALIVE_S", 1)
    port = free_port()
    with (
        own_broker(tmp_path, port) as process,
        uplink(outbox, f"mqtt://127.0.0.1:{port}", username="all", password=SecretStr("word")) as driver,
    ):
        driver.until(lambda: driver.uplink.connected)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            driver.until(lambda: not driver.uplink.connected)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        driver.until(lambda: driver.uplink.connected)


def test_a_wrong_password_is_explained_without_it(outbox: Outbox, broker: RunningBroker) -> None:
    with uplink(outbox, broker.url, username="square/uplink", password=SecretStr("hunter2")) as driver:
        driver.until(lambda: "refused" in driver.uplink.reason)
        assert "uplink.username" in driver.uplink.reason
        assert "hunter2" not in driver.uplink.reason


def test_a_broker_that_is_not_there_is_tried_less_and_less_often(outbox: Outbox) -> None:
    port = free_port()
    with uplink(outbox, f"mqtt://127.0.0.1:{port}") as driver:
        dues = []
        now = 0.0
        for _ in range(12):
            driver.uplink.turn(now, False, False)
            due = driver.uplink.deadline(now)
            assert due is not None
            dues.append(due - now)
            now = due
        assert f"mqtt://127.0.0.1:{port} cannot be reached: Connection refused" in driver.uplink.reason
    assert dues[0] < 1.0
    assert max(dues) <= 45.0
    assert min(dues[-5:]) >= 15.0


def test_a_missing_ca_file_is_named(outbox: Outbox, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"uplink\.ca_file.*nowhere"):
        Driver(outbox, "mqtts://host", ca_file=tmp_path / "nowhere")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves the refused socket open
def test_over_tls_the_broker_must_show_a_certificate_that_holds(outbox: Outbox, tmp_path: Path) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    good = ours.issue("good")
    for certificate, trusted, said in (
        (good, other, "is not trusted: unable to get local issuer certificate; name its issuer's with uplink.ca_file"),
        (ours.issue("old", expired=True), ours, "has expired; renew it, or set this box's clock"),
        (ours.issue("else", hosts=("broker.example",)), ours, "not valid for 'localhost'.; name the broker as its"),
        (good, ours, ""),
    ):
        broker = Nats(tmp_path / "broker", [BrokerUser("all", "word")], certificate)
        who = {"username": "all", "password": SecretStr("word"), "ca_file": trusted.file}
        with running(broker, log=tmp_path / "log"), uplink(outbox, broker.url, **who) as driver:
            if not said:
                driver.until(lambda driver=driver: driver.uplink.connected)  # type: ignore[misc]
                break
            driver.until(lambda driver=driver, said=said: said in driver.uplink.reason)  # type: ignore[misc]
            assert broker.url in driver.uplink.reason


@needs_mosquitto
def test_any_other_broker_serves_as_well(outbox: Outbox, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as port:
        cloud = CloudClient(port, ADDRESS)
        outbox.append([event("fire"), *(reading(i) for i in range(3000))])
        with uplink(outbox, f"mqtt://127.0.0.1:{port}") as driver:
            driver.until(lambda: sum(outbox.waiting().values()) == 0)
        cloud.wait(lambda: [decode_state(p).online for p, _ in cloud.seen(Channel.STATE)] == [True, False])
        cloud.close()
        assert cloud.cloud.records[Lane.ALARM] == [event("fire")]
        assert cloud.cloud.records[Lane.LIVE] == [reading(i) for i in range(3000)]


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    port = free_port()
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    with (
        (folder / "mosquitto.log").open("wb") as log,
        subprocess.Popen(["mosquitto", "-c", folder / "mosquitto.conf"], stderr=log) as process,
    ):
        try:
            end = time.monotonic() + 10
            while not answers(port):
                assert time.monotonic() < end, (folder / "mosquitto.log").read_text()
                time.sleep(0.01)
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
