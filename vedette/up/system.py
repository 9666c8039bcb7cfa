"""What ``vedette up`` is made of, in the order in which it starts; reads top to bottom.

postgres ── broker ── ingest ── api ── gas (the demonstration's detector) ── node (the demonstration's box)
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from cloud.fleet.fleet import Fleet
from cloud.fleet.nodes import Enrolment, broker_users, enrol, export_trust
from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.postgres import EmbeddedPostgres
from cloud.servers.server import Server, check_port_free
from cloud.settings import CloudSettings
from cloud.store.connection import StoreError, connect
from cloud.store.schema import migrate
from edge.config import load_config
from edge.node import default_run_dir
from edge.schema import FILE_NAME, schema
from edge.supervisor.status import read_status
from vedette.demo import site as demo
from vedette.demo.data import data_folder
from vedette.demo.gas import load_curve
from vedette.demo.ports import free_ports
from vedette.up.home import Home, write_private
from vedette.up.keeper import Keeper, Kept
from vedette.up.part import Program

HOST: Final = "127.0.0.1"
CLOUD_USER: Final = "cloud"
_NODE_SILENT_S: Final = 10.0
_ANSWER_WITHIN_S: Final = 2.0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the visitor asks for."""

    home: Home
    listen: str
    mqtt_host: str
    mqtt_port: int
    modbus_port: int
    database: str | None
    demonstration: bool
    cameras: tuple[str, ...]


class FleetBroker(EmbeddedBroker):
    """The embedded broker; every time it starts it admits the nodes that the database knows by then."""

    def __init__(self, folder: Path, port: int, cloud: BrokerUser, database: str, host: str = HOST) -> None:
        super().__init__(folder, port, [cloud], host)
        self._cloud = cloud
        self._database = database

    def prepare(self) -> None:
        """Write the configuration; where the database is away, with the users of the last start."""
        with contextlib.suppress(StoreError):
            self.admit()
        super().prepare()

    def admit(self) -> None:
        """Take the enrolled nodes into the configuration. Raises ``StoreError``."""
        with connect(self._database, "vedette-broker-users") as connection:
            users = broker_users(connection)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.write_users([self._cloud, *users])


class System:
    """The whole, on one machine.

    Args:
        options: what the visitor asks for.
        tell: called with one line for each step.
    """

    def __init__(self, options: Options, tell: Tell) -> None:
        self._options = options
        self._tell = tell
        self._home = options.home
        self._metrics = f"{HOST}:{free_ports(1)[0]}"
        self.postgres = None if options.database else EmbeddedPostgres(self._home.database)
        database = options.database or (self.postgres.conninfo if self.postgres else "")
        password = self._home.broker_password()
        self.settings = CloudSettings.model_validate(
            {
                "database": database,
                "broker": f"mqtt://{HOST}:{options.mqtt_port}",
                "broker_username": CLOUD_USER,
                "broker_password": password,
                "evidence": self._home.evidence,
                "tuf": self._home.repositories,
                "keys": self._home.keys,
                "listen": options.listen,
                "demo_note": demo.NOTE if options.demonstration else "",
                "metrics_listen": self._metrics,
            }
        )
        user = BrokerUser(CLOUD_USER, password)
        self.broker = FleetBroker(self._home.broker, options.mqtt_port, user, database, options.mqtt_host)
        self._cameras: list[demo.DemoCamera] = []
        self._enrolled: Enrolment | None = None
        self.keeper = Keeper(self._parts(), self._home.logs, changed=self._note)

    @property
    def url(self) -> str:
        """Where the page answers."""
        host, port = self._options.listen.rsplit(":", 1)
        return f"http://{ {'0.0.0.0': HOST, '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104 - only compared

    def run(self, stop: threading.Event) -> None:
        """Start everything and keep it until ``stop`` is set.

        Raises:
            ServerError, StoreError, PartFailedError: what cannot be started, and why.
        """
        host, port = self._options.listen.rsplit(":", 1)
        check_port_free("page", host.strip("[]"), int(port), "stop what listens there, or choose another with --listen")
        check_port_free(
            "broker",
            self._options.mqtt_host,
            self._options.mqtt_port,
            "stop what listens there, or choose another --mqtt-port",
        )
        try:
            if self._options.demonstration:
                self._prepare_cameras()
            for kept in self.keeper.kept:
                if not stop.is_set():
                    self._start(kept.part.name, stop)
            if not stop.is_set():
                self._home.write_server(self.url)
                self._tell(f"ready: {self.url}")
            self.keeper.keep(stop)
        finally:
            self._home.forget_server()
            self.keeper.stop()

    def _start(self, name: str, stop: threading.Event) -> None:
        self._tell(_DOING[name])
        if name == "broker":
            self._open_database()
        if name == "node":
            self._write_node()
        self.keeper.start(name, stop)

    def _prepare_cameras(self) -> None:
        """Before anything runs, so that the page is not there long before there is something to see."""
        data = data_folder()
        if not demo.has_clips(data):
            self._tell(
                "no real clips here (VEDETTE_DATA names their folder): drawing some, which takes half a minute once"
            )
        self._cameras = demo.cameras(data, self._home.demo / "clips")

    def _open_database(self) -> None:
        """The tables, and the demonstration's node among those that may connect."""
        self._home.write_settings(self.settings)
        for migration in migrate(self.settings.database):
            self._tell(f"  database: {migration}")
        if self._options.demonstration:
            password_file = self._home.demo / "password"
            known = password_file.read_text() if password_file.exists() else None
            with connect(self.settings.database, "vedette-up") as connection:
                enrolled = enrol(connection, demo.SITE, demo.NODE, known)
            self._home.demo.mkdir(exist_ok=True)
            write_private(password_file, enrolled.secret)
            self._enrolled = enrolled

    def _write_node(self) -> None:
        """The demonstration's ``node.yaml``, its clips and its roots of trust."""
        assert self._enrolled is not None
        folder = self._home.demo
        fleet = Fleet.of(self.settings, lambda: time.time_ns() // 1000)
        export_trust(fleet, demo.SITE, demo.NODE, folder / "trust")
        (folder / FILE_NAME).write_text(json.dumps(schema(), indent=1))
        write_private(
            self._node_yaml,
            demo.node_yaml(
                partition=self._enrolled.partition,
                broker=self.settings.broker,
                cloud=self.url,
                password_file=folder / "password",
                storage=folder / demo.NODE,
                trust=folder / "trust",
                cameras=[*self._cameras, *demo.visitors(self._options.cameras)],
                modbus_port=self._options.modbus_port,
                gas_note="drawn, not measured"
                if load_curve(data_folder()).drawn
                else "a measured fire (NIST), replayed",
            ),
        )

    @property
    def _node_yaml(self) -> Path:
        return (self._home.demo / "node.yaml").absolute()

    def _parts(self) -> list[Server]:
        environment = self.settings.environment()
        parts: list[Server] = [] if self.postgres is None else [self.postgres]
        parts += [
            self.broker,
            Program(
                "ingest", ("ingest", "run"), environment, answers=lambda: _answers(f"http://{self._metrics}/metrics")
            ),
            Program("api", ("cloud", "serve"), environment, answers=lambda: _answers(f"{self.url}/healthz")),
        ]
        if self._options.demonstration:
            port = self._options.modbus_port
            parts += [
                Program(
                    "gas",
                    ("cloud", "play-gas", "--port", str(port)),
                    before=lambda: check_port_free("gas detector", HOST, port, "choose another --modbus-port"),
                    answers=lambda: _connects(port),
                ),
                Program("node", ("node", "run", "-c", str(self._node_yaml)), answers=self._node_answers),
            ]
        return parts

    def _node_answers(self) -> bool:
        config = load_config(self._node_yaml)
        status = read_status(default_run_dir(config) / "status" / "supervisor.json")
        return status is not None and time.monotonic() - status.monotonic < _NODE_SILENT_S

    def _note(self, _: Kept) -> None:
        """For whoever wants to know which process is which."""
        pids = {kept.part.name: kept.child.pid for kept in self.keeper.kept if kept.child is not None}
        write_private(self._home.folder / "parts.json", json.dumps(pids, indent=1))


_DOING: Final = {
    "postgres": "starting the database",
    "broker": "starting the broker",
    "ingest": "starting ingest and rules",
    "api": "starting the API and the page",
    "gas": "starting the demonstration's gas detector",
    "node": "starting the demonstration's box: cameras, detectors, sensor",
}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=_ANSWER_WITHIN_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _connects(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=_ANSWER_WITHIN_S):
            return True
    except OSError:
        return False
