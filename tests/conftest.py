"""Servers for the tests: real ones, started once a session; each test gets a fresh database."""

import itertools
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.postgres import EmbeddedPostgres
from cloud.servers.server import running
from cloud.store.schema import migrate
from contract.topics import Address

_TEMPLATE = "vedette_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL; not for tests that kill it."""
    folder = tmp_path_factory.mktemp("postgres")
    server = EmbeddedPostgres(folder / "data", settings={"fsync": "off", "full_page_writes": "off"})
    with running(server, log=folder / "postgres.log"):
        yield server


@pytest.fixture(scope="session")
def _template(postgres: EmbeddedPostgres) -> str:
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    migrate(postgres.conninfo_of(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """How to connect to a database without any table, gone after the test."""
    with _database(postgres, "template1") as conninfo:
        yield conninfo


@pytest.fixture
def database(postgres: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """How to connect to a fresh database with all tables, gone after the test."""
    with _database(postgres, _template) as conninfo:
        yield conninfo


@dataclass
class RunningBroker:
    """A broker, with one user for the cloud and one for each node that a test adds."""

    server: EmbeddedBroker
    process: subprocess.Popen[bytes]
    username: str
    password: str = field(repr=False)
    users: list[BrokerUser] = field(default_factory=list)

    @property
    def url(self) -> str:
        """``mqtt://127.0.0.1:port``."""
        return self.server.url

    @property
    def port(self) -> int:
        """Port of the MQTT listener."""
        return self.server.port

    def add_node(self, address: Address) -> tuple[str, str]:
        """Let a node in; its user name and password. Two tests' nodes need two names."""
        user = BrokerUser(f"{address.site}/{address.node}", secrets.token_urlsafe(16), address)
        self.users = [other for other in self.users if other.name != user.name] + [user]
        self.server.write_users(self.users)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while not self.server.admits(user):
            assert time.monotonic() < deadline, "the broker did not take up its new user"
        return user.name, user.password


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """A running broker; not for tests that kill it."""
    folder: Path = tmp_path_factory.mktemp("broker")
    cloud = BrokerUser("cloud", secrets.token_urlsafe(16))
    server = EmbeddedBroker(folder / "data", free_port(), [cloud])
    with running(server, log=folder / "broker.log") as process:
        yield RunningBroker(server, process, cloud.name, cloud.password, [cloud])


def free_port() -> int:
    """A port of the loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _database:  # noqa: N801
    def __init__(self, postgres: EmbeddedPostgres, template: str) -> None:
        self._postgres = postgres
        self._template = template
        self._name = f"test_{next(_numbers)}"

    def __enter__(self) -> str:
        self._run(f"CREATE DATABASE {self._name} TEMPLATE {self._template}")
        return self._postgres.conninfo_of(self._name)

    def __exit__(self, *_: object) -> None:
        self._run(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._postgres.conninfo, autocommit=True) as connection:
            connection.execute(statement)
