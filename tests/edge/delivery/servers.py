"""What a delivery process talks to: a cloud behind a real broker, and a real HTTP server for evidence."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from contract.evidence import LENGTH_HEADER, OFFSET_HEADER, upload_path
from contract.topics import Address, Channel
from tests.edge.delivery.model import Cloud


class CloudClient:
    """The model cloud, reached over MQTT. ``deaf`` makes it hear nothing, as a stopped ingest worker."""

    def __init__(
        self, port: int, address: Address, username: str = "", password: str = "", *, wait: bool = True
    ) -> None:
        self.cloud = Cloud()
        self.deaf = False
        self.messages: list[tuple[str, bytes, bool]] = []
        self.arrivals: list[float] = []
        self._address = address
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        if username:
            self._client.username_pw_set(username, password)
        self._listening = False
        self._client.on_connect = lambda *_: self._client.subscribe("vedette/v1/#")
        self._client.on_subscribe = lambda *_: self._listen(True)
        self._client.on_disconnect = lambda *_: self._listen(False)
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(0.1, 0.5)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        if wait:
            self.wait(self.connected)

    def wait(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        """Until ``condition``; it is looked at whenever a message came, and often enough for what the box does."""
        end = time.monotonic() + seconds
        with self._changed:
            while not condition():
                assert time.monotonic() < end, "the cloud waited in vain"
                self._changed.wait(0.02)

    def connected(self) -> bool:
        return self._listening

    def seen(self, channel: Channel) -> list[tuple[bytes, bool]]:
        topic = self._address.topic(channel)
        return [(payload, retained) for where, payload, retained in self.messages if where == topic]

    def say(self, channel: Channel, payload: bytes) -> None:
        self._client.publish(self._address.topic(channel), payload)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _listen(self, listening: bool) -> None:
        with self._changed:
            self._listening = listening
            self._changed.notify_all()

    def _on_message(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            if message.topic == self._address.topic(Channel.UP) and not self.deaf:
                self.arrivals.append(time.monotonic())
                answer = self.cloud.hear(bytes(message.payload))
                self._client.publish(self._address.topic(Channel.ACK), answer)
            self.messages.append((message.topic, bytes(message.payload), message.retain))
            self._changed.notify_all()


class EvidenceServer(ThreadingHTTPServer):
    """``HEAD`` and ``PATCH`` as ``contract.evidence`` has them. ``answers`` are given instead, while there are any."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.partial: dict[str, bytes] = {}
        self.kept: dict[str, bytes] = {}
        self.order: list[str] = []
        self.answers: list[int] = []
        self.cut_after: int | None = None
        """The connection breaks after so many more pieces."""
        self.authorization: set[str] = set()
        self.requests = 0
        self.changed = threading.Condition()

    def wait(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the evidence server waited in vain"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: EvidenceServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        if not self._refused():
            name = self._name()
            kept = self.server.kept.get(name)
            if kept is not None:
                self._answer(200, len(kept), len(kept))
            else:
                self._answer(200, len(self.server.partial.get(name, b"")))

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refused():
            return
        server, name = self.server, self._name()
        if server.cut_after is not None:
            server.cut_after -= 1
            if server.cut_after < 0:
                self.close_connection = True
                return
        had = server.partial.get(name, b"")
        if int(self.headers[OFFSET_HEADER]) != len(had):
            self._answer(409, len(had))
            return
        server.partial[name] = had + body
        if len(server.partial[name]) == int(self.headers[LENGTH_HEADER]):
            whole = server.partial.pop(name)
            if hashlib.sha256(whole).hexdigest() != name:
                self._answer(422, 0)
                return
            with server.changed:
                server.kept[name] = whole
                server.order.append(name)
                server.changed.notify_all()
        self._answer(204, len(had) + len(body))

    def log_message(self, *_: object) -> None:
        pass

    def _refused(self) -> bool:
        self.server.requests += 1
        self.server.authorization.add(self.headers.get("Authorization", ""))
        if self.server.answers:
            self._answer(self.server.answers.pop(0), 0)
            return True
        return False

    def _name(self) -> str:
        name = self.path.rsplit("/", 1)[1]
        assert self.path == upload_path(name)
        return name

    def _answer(self, status: int, offset: int, length: int | None = None) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header(LENGTH_HEADER, str(length))
        self.send_header(OFFSET_HEADER, str(offset))
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def evidence_server() -> Iterator[EvidenceServer]:
    with EvidenceServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
