"""Broker and database may be killed under the worker: it waits for them, and nothing is lost or doubled."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from cloud.servers import server as servers
from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.postgres import EmbeddedPostgres
from cloud.servers.server import Server
from cloud.settings import CloudSettings
from cloud.store.schema import migrate
from contract.messages import Ack
from contract.records import Reading
from contract.topics import Address, Channel
from contract.wire import decode_down, encode
from tests.cloud.ingest.conftest import WAIT_S, batch, rows, working
from tests.conftest import free_port

NODE = Address(5, "mill", "north")


class Kept:
    """A server that can be killed and started again."""

    def __init__(self, server: Server, log: Path) -> None:
        self.server, self.log = server, log
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        self.server.prepare()
        self.process = servers.start(self.server, log=self.log)
        servers.wait_ready(self.server, self.process, log=self.log)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        servers.stop(self.server, self.process)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[tuple[CloudSettings, Kept, Kept]]:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    broker = EmbeddedBroker(tmp_path / "broker", free_port(), [BrokerUser("cloud", "a"), BrokerUser("node", "b", NODE)])
    with ExitStack() as stack:
        kept = []
        for server in (postgres, broker):
            one = Kept(server, tmp_path / f"{server.name}.log")
            one.start()
            stack.callback(one.stop)
            kept.append(one)
        migrate(postgres.conninfo)
        with psycopg.connect(postgres.conninfo) as connection:
            connection.execute("INSERT INTO node (site, node, partition) VALUES ('mill', 'north', 5)")
        settings = CloudSettings(
            database=postgres.conninfo,
            broker=broker.url,
            broker_password=SecretStr("a"),
            evidence=tmp_path,
            tuf=tmp_path,
            keys=tmp_path,
        )
        yield settings, kept[0], kept[1]


class Sender:
    """A node that sends one reading after the other, each until it is acknowledged, whatever happens."""

    def __init__(self, port: int) -> None:
        self.position = 0
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("node", "b")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda *_: self._client.subscribe(NODE.topic(Channel.ACK)) and None
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def until(self, position: int) -> None:
        deadline = time.monotonic() + 2 * WAIT_S
        with self._changed:
            while self.position < position:
                assert time.monotonic() < deadline, f"{self.position} of {position}"
                number = self.position + 1
                reading = Reading(time=time.time_ns() // 1000, source="gas-1", quantity="co", value=number)
                self._client.publish(NODE.topic(Channel.UP), encode(batch(1, number, [reading])))
                self._changed.wait(0.2)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        ack = decode_down(bytes(message.payload))
        with self._changed:
            if isinstance(ack, Ack):
                self.position = ack.position
                self._changed.notify()


def test_a_killed_database_and_a_killed_broker(system: tuple[CloudSettings, Kept, Kept]) -> None:
    settings, postgres, broker = system
    registry = CollectorRegistry()
    sender = Sender(settings.broker_port)
    try:
        with working(settings, registry=registry):
            sender.until(3)
            for last, server in ((6, postgres), (9, broker)):
                server.kill()
                server.start()
                sender.until(last)
        assert registry.get_sample_value("vedette_ingest_sessions_total") == 2
    finally:
        sender.close()
    found = rows(settings.database, "SELECT value, count(*) FROM reading GROUP BY 1 ORDER BY 1")
    assert found == [(float(number), 1) for number in range(1, 10)]
