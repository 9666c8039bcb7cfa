"""The broker lets in whom it knows, and keeps every node to its own topics."""

import queue
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.server import PortTakenError, ServerError, running
from contract.topics import Address, Channel, every
from tests.conftest import RunningBroker, free_port

NORTH = Address(7, "mill", "north")
SOUTH = Address(7, "mill", "south")
WAIT_S = 10.0


class Link:
    """A connected client that keeps what it hears."""

    def __init__(self, client: mqtt.Client) -> None:
        self.client = client
        self.heard: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        self.granted: queue.Queue[list[bool]] = queue.Queue()
        client.on_message = lambda _c, _u, m: self.heard.put((m.topic, bytes(m.payload), m.retain))
        client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.put([not code.is_failure for code in codes])

    def subscribe(self, topic: str, qos: int = 0) -> bool:
        self.client.subscribe(topic, qos)
        return self.granted.get(timeout=WAIT_S)[0]

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)


@contextmanager
def link(broker: RunningBroker, user: tuple[str, str]) -> Iterator[Link]:
    connected: queue.Queue[bool] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(*user)
    client.on_connect = lambda _c, _u, _f, code, _p: connected.put(not code.is_failure)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        if not connected.get(timeout=WAIT_S):
            raise ConnectionRefusedError(user[0])
        yield Link(client)
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_node_speaks_on_its_own_topics_and_on_no_other(broker: RunningBroker) -> None:
    with link(broker, broker.add_node(NORTH)) as node, link(broker, (broker.username, broker.password)) as cloud:
        # Only these two: the broker is shared, and another test's node may have left its last will on it.
        for address in (NORTH, SOUTH):
            assert cloud.subscribe(f"vedette/v1/+/{address.site}/{address.node}/+")
        for qos in (0, 1):
            for channel in Channel:
                node.publish(SOUTH.topic(channel), b"forged", qos)
            node.publish(NORTH.topic(Channel.ACK), b"forged", qos)
            node.publish(NORTH.topic(Channel.CMD), b"forged", qos)
            node.publish(SOUTH.events("fire"), b"forged", qos)
        node.publish(NORTH.topic(Channel.UP), b"up")
        node.publish(NORTH.topic(Channel.REPLY), b"reply")
        node.publish(NORTH.events("fire"), b"event")
        heard = [cloud.heard.get(timeout=WAIT_S)[:2] for _ in range(3)]
    assert heard == [
        (NORTH.topic(Channel.UP), b"up"),
        (NORTH.topic(Channel.REPLY), b"reply"),
        (NORTH.events("fire"), b"event"),
    ]


def test_a_node_hears_its_own_topics_and_no_other(broker: RunningBroker) -> None:
    with link(broker, broker.add_node(NORTH)) as node, link(broker, (broker.username, broker.password)) as cloud:
        for topic in ("vedette/v1/#", every(Channel.CMD), SOUTH.topic(Channel.CMD), SOUTH.topic(Channel.UP)):
            assert not node.subscribe(topic, 1)
        assert node.subscribe(NORTH.topic(Channel.ACK), 0)
        assert node.subscribe(NORTH.topic(Channel.CMD), 1)
        cloud.publish(SOUTH.topic(Channel.CMD), b"not yours")
        cloud.publish(NORTH.topic(Channel.CMD), b"yours")
        assert node.heard.get(timeout=WAIT_S)[1] == b"yours"
        cloud.publish(NORTH.topic(Channel.ACK), b"held")
        assert node.heard.get(timeout=WAIT_S)[1] == b"held"


def test_state_is_retained(broker: RunningBroker) -> None:
    with link(broker, broker.add_node(NORTH)) as node:
        node.publish(NORTH.topic(Channel.STATE), b"here", retain=True)
    with link(broker, (broker.username, broker.password)) as late:
        assert late.subscribe(every(Channel.STATE, NORTH.partition))
        assert late.heard.get(timeout=WAIT_S) == (NORTH.topic(Channel.STATE), b"here", True)
        late.publish(NORTH.topic(Channel.STATE), b"", retain=True)


def test_a_stranger_and_a_wrong_password_are_refused(broker: RunningBroker) -> None:
    name, _ = broker.add_node(SOUTH)
    for user in [(name, "guess"), ("nobody", "guess")]:
        with pytest.raises(ConnectionRefusedError), link(broker, user):
            pass


def test_a_node_that_is_added_leaves_the_others_connected(broker: RunningBroker) -> None:
    with link(broker, broker.add_node(NORTH)) as node:
        user = broker.add_node(SOUTH)
        with link(broker, user) as other:
            other.publish(SOUTH.topic(Channel.UP), b"hello")
        node.publish(NORTH.topic(Channel.UP), b"still here")
        assert node.client.is_connected()


def test_the_passwords_are_for_the_owner_alone(broker: RunningBroker) -> None:
    assert stat.S_IMODE(broker.server.configuration.stat().st_mode) == 0o600
    assert broker.password not in repr(broker.users)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = EmbeddedBroker(tmp_path, other.getsockname()[1], [BrokerUser("cloud", "x")])
        with pytest.raises(PortTakenError, match=r"broker: cannot listen on 127.0.0.1:\d+: .*choose another port"):
            server.prepare()


def test_a_broken_broker_says_why(tmp_path: Path) -> None:
    class Broken(EmbeddedBroker):
        def _settings(self) -> dict[str, object]:
            return {**super()._settings(), "mqtt": {"port": 1, "ports": "many"}}

    with (
        pytest.raises(ServerError, match=r"broker ended with 1: .*unknown field"),
        running(Broken(tmp_path, free_port(), [BrokerUser("cloud", "x")]), log=tmp_path / "log"),
    ):
        pass
