"""The cloud's side of a benchmark: PostgreSQL with durable commits, the broker and an ingest worker, each a process."""

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from pydantic import SecretStr

from bench.frame import BenchError
from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.postgres import EmbeddedPostgres
from cloud.servers.server import running
from cloud.settings import CloudSettings
from cloud.store.schema import migrate
from contract.topics import Address
from vedette.demo.ports import free_ports

_READY_WITHIN_S: Final = 60.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_WORKER: Final = """
import os, sys, threading
import msgspec
from cloud.ingest.worker import run
from cloud.settings import CloudSettings
from vedette.commands.cloud import stop_on_signals
texts = msgspec.json.decode(open(sys.argv[1], "rb").read(), type=dict[str, str])
run(CloudSettings.from_environment(os.environ), stop_on_signals(), texts=texts)
"""
"""A worker under rules of the benchmark's choice; ``vedette ingest run`` has those of the release."""


@dataclass
class Cloud:
    """Servers that run, and a database that is fresh."""

    folder: Path
    settings: CloudSettings
    broker: subprocess.Popen[bytes]
    postgres: subprocess.Popen[bytes]
    ingest: subprocess.Popen[bytes] | None = None

    def enrol(self, addresses: Sequence[Address]) -> None:
        """Let the database know nodes; the benchmark speaks for all of them as the broker's one user."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO node (site, node, partition) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [(address.site, address.node, address.partition) for address in addresses],
            )

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the benchmark's own, committing each statement."""
        return psycopg.connect(self.settings.database, autocommit=True)

    @contextlib.contextmanager
    def worker(self, texts: Mapping[str, str]) -> Iterator[None]:
        """An ingest worker under these rules for as long as the block lasts; ready when it begins."""
        rules = self.folder / "rules.json"
        rules.write_bytes(msgspec.json.encode(texts))
        with (self.folder / "ingest.log").open("ab") as log:
            self.ingest = subprocess.Popen(
                [sys.executable, "-c", _WORKER, str(rules)],
                env={**os.environ, **self.settings.environment()}, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait_until_held(self.ingest)
            yield
        finally:
            self.ingest.terminate()
            self.ingest.wait(30)
            self.ingest = None

    def _wait_until_held(self, worker: subprocess.Popen[bytes]) -> None:
        """Return when the worker holds every partition."""
        deadline = time.monotonic() + _READY_WITHIN_S
        with self.connect() as connection:
            while True:
                row = connection.execute(
                    "SELECT count(*) FROM pg_locks "
                    "WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND mode = 'ExclusiveLock'"
                ).fetchone()
                assert row is not None
                if row[0] >= self.settings.partitions:
                    time.sleep(1.0)  # and has told the broker
                    return
                if time.monotonic() > deadline or worker.poll() is not None:
                    raise BenchError(f"the ingest worker did not start: {self.log()}")
                time.sleep(0.1)

    def log(self) -> str:
        """The end of what the worker said."""
        path = self.folder / "ingest.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far of ``worker``, ``postgres`` and ``broker``, each with its children, from proc(5)."""
        return {
            "worker": _cpu_s(self._pid),
            "postgres": _cpu_s(self.postgres.pid),
            "broker": _cpu_s(self.broker.pid),
        }

    def worker_bytes(self) -> int:
        """Resident memory of the worker."""
        return _resident(self._pid)

    def worker_peak_bytes(self) -> int:
        """The most it ever had."""
        return _peak(self._pid)

    @property
    def _pid(self) -> int:
        if self.ingest is None:
            raise BenchError("no ingest worker runs")
        return self.ingest.pid


@contextlib.contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """PostgreSQL and a broker with the settings that an installation has (each commit on the disk)."""
    user = BrokerUser("cloud", secrets.token_urlsafe(16))
    postgres = EmbeddedPostgres(folder / "postgres")
    (port,) = free_ports(1)
    broker = EmbeddedBroker(folder / "broker", port, [user])
    with (
        running(postgres, log=folder / "postgres.log") as postgres_child,
        running(broker, log=folder / "broker.log") as broker_child,
    ):
        settings = CloudSettings(
            database=postgres.conninfo, broker=broker.url, broker_username=user.name,
            broker_password=SecretStr(user.password), evidence=folder / "evidence", tuf=folder / "tuf",
            keys=folder / "keys",
        )  # fmt: skip
        migrate(settings.database)
        yield Cloud(folder, settings, broker_child, postgres_child)


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _cpu_s(pid: int) -> float:
    """User and system time of the family, those included that have ended and were waited for."""
    total = 0
    for one in _family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(int(value) for value in (fields[11:15] if one == pid else fields[11:13]))
    return total / _TICKS


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return _resident(pid)
