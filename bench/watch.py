"""How long an alarm takes until whoever shows it could show it."""

import queue
import threading
import time
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bench.cloud import Cloud
from cloud.store.feed import WAKE_TOPIC


class Watch(threading.Thread):
    """Sees warnings as the live feed's tailer does: woken over the broker, it asks the database."""

    def __init__(self, servers: Cloud, raised: dict[str, float], found: list[float]) -> None:
        super().__init__(name="bench-watch", daemon=True)
        self._servers = servers
        self._raised = raised
        self._found = found
        self._woken: queue.SimpleQueue[bool] = queue.SimpleQueue()
        settings = servers.settings
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self._client.username_pw_set(settings.broker_username, settings.broker_password.get_secret_value())
        self._client.on_message = lambda *_: self._woken.put(True)
        self._client.connect(settings.broker_host, settings.broker_port)
        self._client.subscribe(WAKE_TOPIC)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._woken.put(False)
        self.join()
        self._client.disconnect()
        self._client.loop_stop()

    def run(self) -> None:
        """Until the block ends."""
        seen: set[str] = set()
        with self._servers.connect() as connection:
            while self._woken.get():
                missing = [name for name in list(self._raised) if name not in seen]
                rows = connection.execute(
                    "SELECT unnest(events) FROM warning WHERE events && %s::text[]",
                    [missing],
                )
                now = time.monotonic()
                for name in {row[0] for row in rows} & set(missing):
                    seen.add(name)
                    self._found.append((now - self._raised[name]) * 1e3)
