"""The processes of a run: boxes of which delivery runs, a broker, ingest workers, PostgreSQL, and the wires between."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from cloud.servers import server as servers
from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.postgres import DATABASE, USER, EmbeddedPostgres
from cloud.servers.server import PortTakenError, Server
from cloud.settings import CloudSettings
from cloud.store.schema import migrate
from contract.topics import Address
from edge.paths import NodePaths
from edge.supervisor.status import read_status
from tests.chaos.proxy import Proxy, Wire
from tests.chaos.records import SITE
from tests.conftest import free_port

REPOSITORY: Final = Path(__file__).parents[2]
NODES: Final = ("box-1", "box-2", "box-3", "box-4")
WORKERS: Final = ("worker-1", "worker-2", "worker-3")
PARTITIONS: Final = dict(zip(NODES, (10, 80, 150, 220), strict=True))
PASSWORD: Final = "chaos"
_ENDS_WITHIN_S: Final = 20.0


class Part(Protocol):
    """A process that can be hit."""

    name: str

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def stop(self) -> None: ...

    def freeze(self, frozen: bool) -> None: ...

    def died(self) -> str: ...


class Program:
    """A process of ours, run by its command line."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting for anything."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=REPOSITORY, env=self._environment, start_new_session=True
            )

    def kill(self) -> None:
        """``kill -9``."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end; it does so cleanly."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(_ENDS_WITHIN_S)
        assert code in (0, -signal.SIGTERM), f"{self.name} ended with {code}, see {self._log}"

    def freeze(self, frozen: bool) -> None:
        """SIGSTOP, SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def died(self) -> str:
        """Why it is not there, although nobody ended it; empty where it is."""
        code = None if self._process is None else self._process.poll()
        return "" if code is None else f"{self.name} ended by itself with {code}, see {self._log}"

    def wait(self, seconds: float) -> None:
        """Until it ends by itself, well."""
        assert self._process is not None
        code = self._process.wait(seconds)
        assert code == 0, f"{self.name} ended with {code}, see {self._log}"

    def end(self) -> None:
        """However it is."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()


class Kept:
    """A server that is started again after it was killed.

    Args:
        starter: its thread starts the child, and lives as long as it: the kernel ends what a thread has started and
            that asked for it when the *thread* ends (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self, server: Server, log: Path, starter: Executor) -> None:
        self.name = "database" if server.name == "postgres" else server.name
        self._server = server
        self._log = log
        self._starter = starter
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    def start(self) -> None:
        """Start it; returns when it answers."""
        until(f"the port of {self.name}", self._prepared, _ENDS_WITHIN_S)
        self._process = self._starter.submit(servers.start, self._server, log=self._log).result()
        servers.wait_ready(self._server, self._process, log=self._log)

    def _prepared(self) -> bool:
        try:
            self._server.prepare()
        except PortTakenError:  # somebody's connection has the port for a moment, while nobody listened on it
            return False
        return True

    def kill(self) -> None:
        """``kill -9`` of its first process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end."""
        assert self._process is not None
        servers.stop(self._server, self._process)

    def freeze(self, frozen: bool) -> None:
        """SIGSTOP to it and all below it; SIGCONT to the same."""
        assert self._process is not None
        if frozen:
            self._frozen = tree(self._process.pid)
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def died(self) -> str:
        """Why it is not there, although nobody ended it."""
        code = None if self._process is None else self._process.poll()
        return "" if code is None else f"{self.name} ended by itself with {code}, see {self._log}"

    def end(self) -> None:
        """However it is."""
        if self._process is not None and self._process.poll() is None:
            self.freeze(False)
            servers.stop(self._server, self._process)


def tree(pid: int) -> list[int]:
    """A process and all below it, parents first."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += tree(int(child))
    return found


@dataclass(frozen=True)
class Box:
    """A node: where its outbox lies, and its delivery process."""

    name: str
    paths: NodePaths
    delivery: Program

    def waiting(self) -> int:
        """Records that the box still holds, as its delivery said last."""
        status = read_status(self.paths.status / "delivery.json")
        return sum(status.detail.get("waiting", {}).values()) if status else 0


@dataclass(frozen=True)
class System:
    """All of it, running."""

    settings: CloudSettings
    """Whose database is reached past the wires."""
    proxy: Proxy
    boxes: dict[str, Box]
    workers: dict[str, Program]
    broker: Kept
    database: Kept

    def part(self, name: str) -> Part:
        """A process by the name that a plan uses."""
        if name in self.boxes:
            return self.boxes[name].delivery
        parts: dict[str, Part] = {**self.workers, "broker": self.broker, "database": self.database}
        return parts[name]

    def parts(self) -> list[Part]:
        """Every process but the writers."""
        return [self.database, self.broker, *self.workers.values(), *(box.delivery for box in self.boxes.values())]


@contextlib.contextmanager
def running(folder: Path, seed: int) -> Iterator[System]:
    """Start everything in ``folder``, and end it."""
    with contextlib.ExitStack() as stack:
        postgres = EmbeddedPostgres(folder / "postgres")
        addresses = {name: Address(PARTITIONS[name], SITE, name) for name in NODES}
        users = [
            BrokerUser("cloud", PASSWORD),
            *(BrokerUser(f"{SITE}/{n}", PASSWORD, a) for n, a in addresses.items()),
        ]
        broker = EmbeddedBroker(folder / "broker", free_port(), users)
        starter = stack.enter_context(ThreadPoolExecutor(1))
        kept = []
        for server in (postgres, broker):
            one = Kept(server, folder / f"{server.name}.log", starter)
            stack.callback(one.end)
            one.start()
            kept.append(one)
        migrate(postgres.conninfo)
        enrol(postgres.conninfo, addresses.values())
        proxy = stack.enter_context(Proxy().running())
        to_broker = ("127.0.0.1", broker.port)
        boxes: dict[str, Box] = {}
        for number, (name, address) in enumerate(addresses.items()):
            wire = proxy.add(Wire(f"{name}>broker", to_broker, True, random.Random(f"{seed}-{number}")))
            boxes[name] = make_box(folder / name, address, {"broker": f"mqtt://127.0.0.1:{wire.port}"})
            stack.callback(boxes[name].delivery.end)
        settings = CloudSettings(
            database=postgres.conninfo, broker=broker.url, broker_password=SecretStr(PASSWORD),
            evidence=folder, tuf=folder, keys=folder,
        )  # fmt: skip
        socket = f"{conninfo_to_dict(postgres.conninfo)['host']}/.s.PGSQL.5432"
        workers: dict[str, Program] = {}
        for name in WORKERS:
            mqtt = proxy.add(Wire(f"{name}>broker", to_broker, True, random.Random(f"{seed}-{name}")))
            sql = proxy.add(Wire(f"{name}>database", socket, False, random.Random(0)))
            theirs = settings.model_copy(
                update={
                    "broker": f"mqtt://127.0.0.1:{mqtt.port}",
                    "database": make_conninfo("", host="127.0.0.1", port=sql.port, user=USER, dbname=DATABASE),
                }
            )
            workers[name] = make_worker(name, theirs, folder)
            stack.callback(workers[name].end)
        system = System(settings, proxy, boxes, workers, kept[1], kept[0])
        for part in system.parts()[2:]:
            part.start()
        yield system


def enrol(conninfo: str, addresses: Iterable[Address]) -> None:
    """Let nodes in, at the database."""
    with psycopg.connect(conninfo) as connection:
        for address in addresses:
            connection.execute(
                "INSERT INTO node (site, node, partition) VALUES (%s, %s, %s)",
                [address.site, address.node, address.partition],
            )


def make_box(folder: Path, address: Address, uplink: Mapping[str, object], before: Sequence[str] = ()) -> Box:
    """A box whose outbox lies in ``folder``.

    Args:
        uplink: ``broker`` and what else ``node.yaml`` says below ``uplink``.
        before: put before its command line, such as ``ip netns exec …``.
    """
    paths = NodePaths(folder / "data", folder / "run")
    paths.make()
    config = folder / "node.yaml"
    who = {"cloud": "http://127.0.0.1:9", "username": f"{address.site}/{address.node}", "password": PASSWORD}
    settings = {
        "node": address.node,
        "site": address.site,
        "partition": address.partition,
        "uplink": {**who, **uplink},
        "storage": {"folder": str(folder / "data"), "outbox_bytes": 4_000_000_000},
    }
    config.write_text(json.dumps(settings))
    command = [*before, sys.executable, "-m", "edge.supervisor.part", "delivery", "--config", str(config)]
    delivery = Program(address.node, [*command, "--run-dir", str(paths.run)], folder / "delivery.log", {})
    return Box(address.node, paths, delivery)


def make_worker(name: str, settings: CloudSettings, folder: Path, before: Sequence[str] = ()) -> Program:
    """An ingest worker; ``before`` is put before its command line."""
    command = [*before, sys.executable, "-m", "vedette", "ingest", "run"]
    return Program(name, command, folder / f"{name}.log", settings.environment())


def writer(box: Box, readings: int, events: int, seconds: float, folder: Path) -> Program:
    """What writes a box's numbers; its progress stands in ``<name>.written``."""
    command = [sys.executable, "-m", "tests.chaos.writer", str(box.paths.outbox)]
    command += [str(readings), str(events), str(seconds)]
    return Program(f"writer of {box.name}", command, folder / f"{box.name}.written", {})


def written(box: Box, folder: Path) -> int:
    """Numbers written so far."""
    try:
        lines = (folder / f"{box.name}.written").read_text().split()
    except FileNotFoundError:
        return 0
    return int(lines[-1]) if lines and lines[-1].isdigit() else 0


def until(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Wait for ``condition``; an AssertionError names ``what`` where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.2)
