"""NATS with what a broker of one's own has besides: TLS, and two more that it works together with."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.servers.broker import BrokerUser, EmbeddedBroker
from tests.brokers.authority import Certificate
from tests.conftest import free_port


@dataclass(frozen=True)
class Cluster:
    """Which member this is of a JetStream cluster, and the ports on which the members find one another."""

    number: int
    ports: tuple[int, ...]


class Nats(EmbeddedBroker):
    """A broker that speaks TLS where it has a certificate, alone or as a member of a cluster."""

    def __init__(
        self,
        folder: Path,
        users: Sequence[BrokerUser],
        certificate: Certificate | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        super().__init__(folder, free_port(), users)
        self._certificate = certificate
        self._cluster = cluster

    @property
    def url(self) -> str:
        scheme, host = ("mqtts", "localhost") if self._certificate else ("mqtt", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    def ready(self) -> bool:
        if self._certificate is None:
            return super().ready()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _settings(self) -> dict[str, object]:
        settings: dict[str, Any] = super()._settings()
        if self._certificate is not None:
            settings["mqtt"]["tls"] = {
                "cert_file": str(self._certificate.certificate),
                "key_file": str(self._certificate.key),
            }
        if self._cluster is not None:
            own = self._cluster.ports[self._cluster.number]
            # Or as many as there are when the first client comes: two of three, and then one may not die.
            settings["mqtt"]["stream_replicas"] = len(self._cluster.ports)
            settings["server_name"] = f"member-{self._cluster.number}"
            settings["cluster"] = {
                "name": "vedette",
                "host": "127.0.0.1",
                "port": own,
                "routes": [f"nats://127.0.0.1:{port}" for port in self._cluster.ports if port != own],
            }
        return settings
