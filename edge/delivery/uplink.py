"""The connection to the broker: kept up, never trusted. What it loses is sent again from the outbox.

MQTT 3.1.1 by paho, without its threads: one loop waits for the socket and the mailbox at once, so a record that is
appended is on the wire a moment later. Everything goes with QoS 0 but the retained state: the guarantee is the
acknowledgement of the database.
"""

import random
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contract import certificates
from contract.messages import NodeState
from contract.topics import Address, Channel
from contract.wire import encode
from edge.config import ConfigError
from edge.config import Uplink as UplinkConfig
from edge.delivery.client import Client
from edge.delivery.conversation import Conversation

KEEPALIVE_S: Final = 15
CONNECT_TIMEOUT_S: Final = 5.0
_PAUSE_S: Final = (0.5, 30.0)
_FAREWELLS: Final = 5
_FAREWELL_S: Final = 0.2
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}

_log = structlog.get_logger()


class Uplink:
    """One node's connection.

    Args:
        settings: the broker and who we are to it.
        address: whose topics these are.
        conversation: what is said on ``up`` and ``ack``.
        command: carries out what came on ``cmd``; its answer, if any, goes out on ``reply``.
        clock: wall clock, microseconds.
        software: what ``state`` names.
        chance: spreads the attempts of many nodes.

    Raises:
        ConfigError: the password file or the CA file cannot be used.
    """

    def __init__(
        self,
        settings: UplinkConfig,
        address: Address,
        conversation: Conversation,
        command: Callable[[bytes], bytes | None],
        clock: Callable[[], int],
        software: str = "",
        chance: random.Random | None = None,
    ) -> None:
        self.address = address
        self.connected = False
        self.reason = "not connected yet"
        """Why there is no connection; '' while there is one."""
        self._conversation = conversation
        self._command = command
        self._clock = clock
        self._software = software
        self._chance = chance or random.Random()  # noqa: S311
        self._due = 0.0
        self._pause = _PAUSE_S[0]
        self._now = 0.0
        self._replies: list[bytes] = []
        self._ack_mid: int | None = None
        self._ways = deque(settings.ways)
        self._client = self._make_client(settings, tls=urlsplit(settings.broker).scheme == "mqtts")

    @property
    def interface(self) -> str:
        """By which the connection goes, or will be tried next; '' where the system chooses."""
        return self._ways[0][1]

    @property
    def _broker(self) -> str:
        """The address that is in use, or will be tried next."""
        return self._ways[0][0]

    @property
    def _way(self) -> str:
        """In words."""
        return f"broker {self._broker}" + (f" by {self.interface}" if self.interface else "")

    def fileno(self) -> int | None:
        """The socket to wait for; None without a connection."""
        sock = self._client.socket()
        return None if sock is None else sock.fileno()

    def wants_write(self) -> bool:
        """Whether the socket's buffer was full."""
        return self._client.want_write()

    def turn(self, now: float, readable: bool, writable: bool) -> None:
        """Do what is to be done at the monotonic time ``now``: connect, read, write, send."""
        self._now = now
        if self._client.socket() is None:
            if now >= self._due:
                self._connect(now)
            return
        if writable:
            self._client.loop_write()
        if readable:
            self._read()
        self._client.loop_misc()
        if self.connected:
            self._send(now)

    def deadline(self, now: float) -> float | None:
        """When to call ``turn`` although nothing has happened."""
        return self._conversation.deadline(now) if self.connected else self._due

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> bool:
        """Hand a message to the connection; False where there is none."""
        if not self.connected:
            return False
        return self._client.publish(topic, payload, qos, retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def close(self) -> None:
        """Say that the node goes offline by intent, and disconnect."""
        if self.connected:
            self._state(online=False)
            self.connected = False
            self._client.disconnect()
        for _ in range(_FAREWELLS):
            if (sock := self._client.socket()) is None:
                return
            select.select([], [sock], [], _FAREWELL_S)
            self._client.loop_write()

    def _make_client(self, settings: UplinkConfig, tls: bool) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"vedette-{self.address.site}-{self.address.node}",
            clean_session=True,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if settings.username:
            client.username_pw_set(settings.username, settings.secret())
        if tls:
            try:
                client.tls_set(ca_certs=None if settings.ca_file is None else str(settings.ca_file))
            except (OSError, ssl.SSLError, ValueError) as error:
                raise ConfigError(f"uplink.ca_file: {settings.ca_file} cannot be used: {error}") from error
        will = NodeState(node=self.address.node, site=self.address.site, online=False, software=self._software)
        client.will_set(self.address.topic(Channel.STATE), encode(will), qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _connect(self, now: float) -> None:
        # Set before the attempt, which may block for CONNECT_TIMEOUT_S; half of it by chance, or a thousand nodes
        # come back in the same moment.
        self._due = now + self._pause * self._chance.uniform(0.5, 1.5)
        self._pause = min(self._pause * 2, _PAUSE_S[1])
        parts = urlsplit(self._broker)
        self._client.interface = self.interface
        try:
            self._client.connect(parts.hostname or "", parts.port or _PORTS[parts.scheme], KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self._fail(f"{self._way} cannot be reached: {_text(error)}")
            return
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or Nagle holds an alarm back for 40 ms
            # What nobody has received for so long ends the connection (tcp(7)): a link that is dead is left sooner
            # than MQTT's pings would find out.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, KEEPALIVE_S * 1000)

    def _read(self) -> None:
        self._client.loop_read()
        while (sock := self._client.socket()) is not None and isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._client.loop_read()  # what TLS has already decrypted makes no socket readable

    def _send(self, now: float) -> None:
        topic = self.address.topic(Channel.UP)
        for payload in self._conversation.outgoing(now):
            if not self.publish(topic, payload):
                return
        while self._replies and self.publish(self.address.topic(Channel.REPLY), self._replies[0]):
            del self._replies[0]

    def _state(self, online: bool) -> None:
        state = NodeState(
            node=self.address.node,
            site=self.address.site,
            online=online,
            time=self._clock(),
            software=self._software,
        )
        self.publish(self.address.topic(Channel.STATE), encode(state), qos=1, retain=True)

    def _on_connect(self, client: mqtt.Client, _: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        if reason.is_failure:
            self._fail(f"broker {self._broker} refused: {reason}; check uplink.username and uplink.password")
            return
        wanted = [(self.address.topic(channel), 0) for channel in (Channel.ACK, Channel.CMD)]
        _, self._ack_mid = client.subscribe(wanted)

    def _on_subscribe(
        self, client: mqtt.Client, _: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._fail(f"broker {self._broker} does not let us read {self.address.topic(Channel.ACK)}; check its ACL")
            client.disconnect()
            return
        self.connected = True
        self.reason = ""
        self._pause = _PAUSE_S[0]
        _log.info("uplink.connected", broker=self._broker, interface=self.interface)
        self._state(online=True)
        self._conversation.connected(self._now)

    def _on_disconnect(self, client: mqtt.Client, _: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        self._conversation.disconnected()
        if self.connected:
            self._due = self._now + self._pause * self._chance.uniform(0.5, 1.5)
            self._fail(f"connection to {self._way} lost: {reason}")
        self.connected = False

    def _on_message(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == self.address.topic(Channel.ACK):
            self._conversation.receive(bytes(message.payload), self._now)
        elif message.topic == self.address.topic(Channel.CMD):
            reply = self._command(bytes(message.payload))
            if reply is not None:
                self._replies.append(reply)

    def _fail(self, reason: str) -> None:
        if reason != self.reason:
            _log.warning("uplink.down", reason=reason)
        self.reason = reason
        self._ways.rotate(-1)


def _text(error: Exception) -> str:
    """What went wrong, and the way out where it is about the certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificates.explain(error, "this box", "uplink.ca_file")
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:.0f} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
