"""Wakes the reader of the feed: a word on the broker after each commit, from whichever process made it."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from typing import Final

import paho.mqtt.client as mqtt
import structlog

from cloud.broker import BrokerClient
from cloud.settings import CloudSettings
from cloud.store.feed import WAKE_TOPIC

_MOST_QUEUED: Final = 1000
"""Messages kept for a broker that is away."""
_log = structlog.get_logger("cloud.api")


class Waker:
    """Listens to the broker in paho's own thread and sets an event of the loop; without a broker there are polls."""

    def __init__(self, settings: CloudSettings) -> None:
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        name = f"vedette-api-{secrets.token_hex(6)}"
        self._broker = BrokerClient(
            settings, _log, self._subscribe, lambda: None, client_id=name, keepalive_s=30, pause_s=(1, 10)
        )
        self._client = self._broker.client
        self._client.max_queued_messages_set(_MOST_QUEUED)
        self._client.on_message = lambda *_: self.wake()

    @property
    def connected(self) -> bool:
        """Whether the broker answers."""
        return self._client.is_connected()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the ``with`` block lasts, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._broker.start()
        try:
            yield
        finally:
            self._loop = None
            self._broker.stop()

    async def wait(self, timeout_s: float) -> None:
        """Return when something may have been committed, or after ``timeout_s`` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout_s)
        self._event.clear()

    def wake(self) -> None:
        """Let ``wait`` return. From any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed a moment ago
                loop.call_soon_threadsafe(self._event.set)

    def announce(self) -> None:
        """Wake every reader, here and in other processes. From any thread."""
        self.wake()
        self._client.publish(WAKE_TOPIC, b"", qos=0)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send something to a topic with QoS 1; where the broker is away it goes out when it is back."""
        self._client.publish(topic, payload, qos=1)

    def _subscribe(self, client: mqtt.Client) -> None:
        client.subscribe(WAKE_TOPIC, qos=0)
        self.wake()
