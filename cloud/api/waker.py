"""Wakes the reader of the feed: a word on the broker after each commit, from whichever process made it."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cloud.settings import CloudSettings
from cloud.store.feed import WAKE_TOPIC

_MOST_QUEUED: Final = 1000
"""Messages kept for a broker that is away."""


class Waker:
    """Listens to the broker in paho's own thread and sets an event of the loop; without a broker there are polls."""

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"vedette-api-{secrets.token_hex(6)}")
        self._client.username_pw_set(settings.broker_username, settings.broker_password.get_secret_value())
        if settings.broker_tls:
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 10)
        self._client.max_queued_messages_set(_MOST_QUEUED)
        self._client.on_connect = self._subscribe
        self._client.on_message = lambda *_: self.wake()

    @property
    def connected(self) -> bool:
        """Whether the broker answers."""
        return self._client.is_connected()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the ``with`` block lasts, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(self._settings.broker_host, self._settings.broker_port, keepalive=30)
        self._client.loop_start()
        try:
            yield
        finally:
            self._loop = None
            self._client.disconnect()
            self._client.loop_stop()

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

    def _subscribe(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(WAKE_TOPIC, qos=0)
        self.wake()
