"""A wire passes everything on, until it is told to forget, repeat, reorder, or to be cut."""

import queue
import random
import time
from collections import Counter
from collections.abc import Iterator

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.chaos.packets import Splitter, is_message
from tests.chaos.plan import Kind
from tests.chaos.proxy import Proxy, Wire
from tests.conftest import RunningBroker

COUNT = 200
WAIT_S = 15.0


class Client:
    """Hears on one topic, and says numbers on it."""

    def __init__(self, port: int, broker: RunningBroker) -> None:
        self.heard: queue.Queue[int] = queue.Queue()
        self.lost: queue.Queue[str] = queue.Queue()
        subscribed: queue.Queue[int] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(broker.username, broker.password)
        self.client.on_connect = lambda *_: self.client.subscribe("numbers") and None
        self.client.on_subscribe = lambda *_: subscribed.put(1)
        self.client.on_message = lambda _c, _u, message: self.heard.put(int(message.payload))
        self.client.on_disconnect = lambda *_: self.lost.put("lost")
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        subscribed.get(timeout=WAIT_S)

    def say(self) -> list[int]:
        for number in range(COUNT):
            self.client.publish("numbers", str(number))
        found = []
        while True:
            try:
                found.append(self.heard.get(timeout=0.7))
            except queue.Empty:
                return found

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy().running() as proxy:
        yield proxy


@pytest.fixture
def wire(proxy: Proxy, broker: RunningBroker) -> Wire:
    return proxy.add(Wire("wire", ("127.0.0.1", broker.port), True, random.Random(1)))


@pytest.fixture
def client(wire: Wire, broker: RunningBroker) -> Iterator[Client]:
    client = Client(wire.port, broker)
    yield client
    client.close()


def test_a_wire_without_a_fault_changes_nothing(client: Client, wire: Wire) -> None:
    assert client.say() == list(range(COUNT))
    assert wire.passed == 2 * COUNT
    assert not wire.counts


@pytest.mark.parametrize("kind", [Kind.FORGET, Kind.REPEAT, Kind.REORDER])
def test_messages_are_mistreated(client: Client, wire: Wire, proxy: Proxy, kind: Kind) -> None:
    proxy.set("wire", kind)
    found = client.say()
    assert wire.counts[kind] > COUNT // 10
    missing, doubled = set(range(COUNT)) - set(found), {n for n, times in Counter(found).items() if times > 1}
    assert bool(missing) == (kind is Kind.FORGET)
    assert bool(doubled) == (kind is Kind.REPEAT)
    assert (found != sorted(found)) == (kind is Kind.REORDER)


def test_a_cut_wire_is_silent_and_what_was_under_way_comes_when_it_is_whole(
    client: Client, wire: Wire, proxy: Proxy
) -> None:
    proxy.set("wire", Kind.CUT)
    assert client.say() == []
    proxy.set("wire", None)
    assert [client.heard.get(timeout=WAIT_S) for _ in range(COUNT)] == list(range(COUNT))
    assert client.lost.empty()


def test_a_torn_wire_loses_its_connections_and_takes_no_new_ones(client: Client, wire: Wire, proxy: Proxy) -> None:
    proxy.set("wire", Kind.RESET)
    client.lost.get(timeout=WAIT_S)
    time.sleep(0.3)
    assert not client.client.is_connected()


def test_packets_are_found_wherever_the_stream_is_cut() -> None:
    small, large = b"\x30\x03\x00\x01a", b"\x32\x80\x01" + bytes(128)
    stream = small + large + b"\xc0\x00"
    for size in range(1, 9):
        splitter = Splitter()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [packet for piece in pieces for packet in splitter.feed(piece)] == [small, large, b"\xc0\x00"]
    assert [is_message(packet) for packet in (small, large, b"\xc0\x00")] == [True, False, False]
    with pytest.raises(ValueError, match="no MQTT"):
        Splitter().feed(b"GET / HTTP/1.1\xff\xff\xff"[14:] + b"\xff\xff")
