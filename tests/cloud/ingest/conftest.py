"""A worker with its real servers, and a node that says what a test wants it to say."""

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from cloud.ingest import worker
from cloud.settings import CloudSettings
from contract.messages import Ack, Batch, DownMessage, Hello, NodeState, Welcome
from contract.records import Lane, Record
from contract.topics import Address, Channel
from contract.wire import decode_down, encode, encode_record
from tests.conftest import RunningBroker

WAIT_S = 15.0
_names = itertools.count(1)


@dataclass
class Node:
    """The far end of the conversation."""

    address: Address
    client: mqtt.Client
    heard: "queue.Queue[DownMessage]"
    epoch: int = 1

    def say(self, payload: bytes, channel: Channel = Channel.UP) -> None:
        self.client.publish(self.address.topic(channel), payload)

    def hello(self, **last: int) -> None:
        self.say(encode(Hello(epoch=self.epoch, last={Lane(name): n for name, n in last.items()}, time=1)))

    def send(self, first: int, records: Sequence[Record | bytes], lane: Lane = Lane.LIVE) -> None:
        self.say(encode(batch(self.epoch, first, records, lane)))

    def state(self, online: bool) -> None:
        state = NodeState(node=self.address.node, site=self.address.site, online=online)
        self.client.publish(self.address.topic(Channel.STATE), encode(state), retain=True)

    def ack(self) -> Ack:
        message = self.heard.get(timeout=WAIT_S)
        assert isinstance(message, Ack)
        return message

    def acked(self, position: int, lane: Lane = Lane.LIVE) -> Ack:
        """Wait for the acknowledgement of ``position``."""
        while True:
            ack = self.ack()
            if ack.lane is lane and ack.position >= position:
                assert ack.position == position
                return ack

    def welcome(self) -> Welcome:
        message = self.heard.get(timeout=WAIT_S)
        assert isinstance(message, Welcome)
        return message


def batch(epoch: int, first: int, records: Sequence[Record | bytes], lane: Lane = Lane.LIVE) -> Batch:
    """A batch of records, some of them perhaps already bytes."""
    raws = tuple(msgspec.Raw(r if isinstance(r, bytes) else encode_record(r)) for r in records)
    return Batch(epoch=epoch, lane=lane, first=first, last=first + len(raws) - 1, sent=1, records=raws)


@pytest.fixture
def settings(database: str, broker: RunningBroker, tmp_path: Path) -> CloudSettings:
    return CloudSettings(
        database=database,
        broker=broker.url,
        broker_username=broker.username,
        broker_password=SecretStr(broker.password),
        evidence=tmp_path / "evidence",
        tuf=tmp_path / "tuf",
        keys=tmp_path / "keys",
    )


@pytest.fixture
def nodes(database: str, broker: RunningBroker) -> Iterator[Callable[..., Node]]:
    """Enrols a node and connects it."""
    clients: list[mqtt.Client] = []

    def make(partition: int = 5, enrolled: int | None = None, name: str | None = None, site: str = "mill") -> Node:
        address = Address(partition, site, name or f"node-{next(_names)}")
        if enrolled is None or enrolled >= 0:
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(
                    "INSERT INTO node (site, node, partition) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    [address.site, address.node, partition if enrolled is None else enrolled],
                )
        heard: queue.Queue[DownMessage] = queue.Queue()
        ready = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(*broker.add_node(address))
        client.on_connect = lambda *_: client.subscribe(address.topic(Channel.ACK)) and None
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _c, _u, m: heard.put(decode_down(bytes(m.payload)))
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        clients.append(client)
        assert ready.wait(WAIT_S)
        return Node(address, client, heard)

    yield make
    for client in clients:
        client.disconnect()
        client.loop_stop()


@contextmanager
def working(
    settings: CloudSettings,
    texts: Mapping[str, str] | None = None,
    registry: CollectorRegistry | None = None,
    *,
    wait: bool = True,
) -> Iterator[None]:
    """A worker in a thread, once it hears its nodes; what it raises comes out of the ``with`` block."""
    stop = threading.Event()
    registry = registry or CollectorRegistry()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            worker.run(settings, stop, texts=texts, registry=registry)
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        pause = threading.Event()
        while wait and thread.is_alive() and not registry.get_sample_value("vedette_ingest_partitions"):
            pause.wait(0.01)
        yield
    finally:
        stop.set()
        thread.join()
    if raised:
        raise raised[0]


def rows(conninfo: str, query: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """What a query gives."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def await_rows(
    conninfo: str, query: str, wanted: Callable[[list[tuple[object, ...]]], bool]
) -> list[tuple[object, ...]]:
    """Ask until the answer is as wanted."""
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        found = rows(conninfo, query)
        if wanted(found):
            return found
        pause.wait(0.02)
    raise AssertionError(f"{query}: {found}")
