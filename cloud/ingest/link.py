"""The worker's connection to the broker: hears the nodes of its partitions, answers them, wakes the feed's readers."""

import logging
import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
import structlog

from cloud.broker import BrokerClient
from cloud.ingest.arrival import Waiting, read
from cloud.settings import CloudSettings
from contract.ids import PARTITIONS
from contract.topics import Channel, every

_HEARD: Final = (Channel.UP, Channel.STATE)
_KEEP_ALIVE_S: Final = 15
_log = structlog.get_logger("cloud.ingest")


def _send_at_once(_client: mqtt.Client, _data: Any, link: Any) -> None:
    """Nagle's algorithm would hold an acknowledgement back for the peer's delayed one: 40 ms on Linux (tcp(7))."""
    if isinstance(link, socket.socket):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Link:
    """A connection that comes back by itself. What is heard goes to ``waiting``, in the client's own thread.

    Acknowledgements are sent with QoS 0 and lost while there is no connection: the node asks again.
    """

    def __init__(self, settings: CloudSettings, waiting: Waiting, clock: Callable[[], int]) -> None:
        self._waiting = waiting
        self._clock = clock
        self._topics: frozenset[str] = frozenset()
        self._partitions = 0
        self.heard = 0
        """Partitions whose nodes are heard just now, as the broker has confirmed."""
        self._broker = BrokerClient(settings, _log, self._subscribe, self._lost, keepalive_s=_KEEP_ALIVE_S)
        self._client = self._broker.client
        # What a callback throws would end the client's thread, and leave the worker deaf: it is logged instead.
        self._client.suppress_exceptions = True
        self._client.enable_logger(logging.getLogger("cloud.ingest.link"))
        self._client.on_socket_open = _send_at_once
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._broker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broker.stop()

    def listen(self, partitions: Iterable[int]) -> None:
        """Hear the nodes of these partitions and of no others, from now on and after every reconnection."""
        wanted = set(partitions)
        topics = (
            frozenset(every(channel) for channel in _HEARD)
            if len(wanted) == PARTITIONS
            else frozenset(every(channel, partition) for channel in _HEARD for partition in wanted)
        )
        new, old = sorted(topics - self._topics), sorted(self._topics - topics)
        self._topics, self._partitions = topics, len(wanted)
        if not wanted:
            self.heard = 0
        if self._client.is_connected():
            if old:
                self._client.unsubscribe(old)
            if new:
                self._client.subscribe([(topic, 0) for topic in new])

    def publish(self, topic: str, payload: bytes = b"") -> None:
        """Send at QoS 0."""
        self._client.publish(topic, payload)

    def _subscribe(self, client: mqtt.Client) -> None:
        if self._topics:
            client.subscribe([(topic, 0) for topic in sorted(self._topics)])

    def _lost(self) -> None:
        self.heard = 0

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, _mid: int, _codes: Any, _properties: Any) -> None:
        self.heard = self._partitions

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._waiting.put(read(message.topic, bytes(message.payload), self._clock()))
