"""The primary is lost and its standby takes over: what was acknowledged is there, and the rest comes again."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cloud.servers.postgres import DATABASE, USER, EmbeddedPostgres
from cloud.servers.server import make_private_folder, running
from cloud.settings import CloudSettings
from cloud.store.connection import StoreError, connect
from cloud.store.schema import migrate
from contract.topics import Address
from tests.chaos.flow import flowing
from tests.chaos.plan import Kind
from tests.chaos.proxy import Proxy, Wire
from tests.chaos.records import SITE, Numbered
from tests.chaos.system import enrol, make_box, make_worker, until
from tests.cloud.ingest.conftest import settings  # noqa: F401
from tests.conftest import RunningBroker

WANTED = [Numbered("fail-1", 30, 14_000, 600), Numbered("fail-2", 200, 14_000, 600)]
SECONDS = 20.0


class Standby(EmbeddedPostgres):
    """A copy of another server, which it reaches at ``port`` and follows until it is promoted."""

    def __init__(self, folder: Path, primary: EmbeddedPostgres, port: int) -> None:
        super().__init__(folder)
        self._primary = primary
        self._port = port

    def prepare(self) -> None:
        make_private_folder(Path(socket_of(self)).parent, "standby")
        source = ["-h", "127.0.0.1", "-p", str(self._port), "-U", USER]
        command = self._as_user("pg_basebackup", "-D", str(self.folder), *source, "-R", "-X", "stream", "-c", "fast")
        subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C"})

    def ready(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self._primary.conninfo) as connection:
            states = connection.execute("SELECT state FROM pg_stat_replication").fetchall()
            return states == [("streaming",)]
        return False

    def promote(self) -> None:
        """As ``pg_ctl promote`` does."""
        (self.folder / "promote").touch()
        os.kill(int((self.folder / "postmaster.pid").read_text().split()[0]), signal.SIGUSR1)


def socket_of(server: EmbeddedPostgres) -> str:
    return f"{conninfo_to_dict(server.conninfo)['host']}/.s.PGSQL.5432"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy().running() as proxy:
        yield proxy


@pytest.fixture
def pair(tmp_path: Path, proxy: Proxy) -> Iterator[tuple[EmbeddedPostgres, Standby, int]]:
    """A primary that acknowledges nothing before its standby has it, the standby, and the primary's first process.

    The wires ``a`` and ``b`` lead to the two, ``replication`` from the standby to the primary.
    """
    primary = EmbeddedPostgres(tmp_path / "a" / "postgres")
    primary.folder.parent.mkdir()
    with running(primary, log=tmp_path / "primary.log") as process:
        for name in ("a", "replication"):
            proxy.add(Wire(name, socket_of(primary), False, random.Random(0)))
        standby = Standby(tmp_path / "b" / "postgres", primary, proxy.wires["replication"].port)
        standby.folder.parent.mkdir()
        proxy.add(Wire("b", socket_of(standby), False, random.Random(0)))
        with running(standby, log=tmp_path / "standby.log"):
            with psycopg.connect(primary.conninfo, autocommit=True) as admin:
                admin.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format("*"))
                admin.execute("SELECT pg_reload_conf()")
                query = "SELECT sync_state FROM pg_stat_replication"
                until("the standby", lambda: admin.execute(query).fetchall() == [("sync",)], 30.0)
            migrate(primary.conninfo)
            yield primary, standby, process.pid


def taking_writes(conninfo: str) -> int:
    """The port of the host that takes writes; 0 where none does."""
    with contextlib.suppress(StoreError), connect(conninfo, "test") as connection:
        return connection.info.port
    return 0


@pytest.mark.slow  # two databases, a failover, and the time that everybody needs to notice
def test_nothing_acknowledged_is_lost_with_the_primary(
    tmp_path: Path,
    proxy: Proxy,
    pair: tuple[EmbeddedPostgres, Standby, int],
    settings: CloudSettings,  # noqa: F811
    broker: RunningBroker,
) -> None:
    primary, standby, pid = pair
    addresses = [Address(one.partition, SITE, one.node) for one in WANTED]
    enrol(primary.conninfo, addresses)
    boxes = []
    for address in addresses:
        username, password = broker.add_node(address)
        uplink = {"broker": broker.url, "username": username, "password": password}
        boxes.append(make_box(tmp_path / address.node, address, uplink))
    ports = f"{proxy.wires['a'].port},{proxy.wires['b'].port}"
    both = make_conninfo("", host="127.0.0.1,127.0.0.1", port=ports, user=USER, dbname=DATABASE)
    theirs = settings.model_copy(update={"database": both})
    workers = [make_worker(f"worker-{number}", theirs, tmp_path) for number in (1, 2)]
    with flowing(tmp_path, boxes, workers, WANTED, SECONDS) as flow:
        flow.moves_on(primary.conninfo, 4000)
        proxy.set("replication", Kind.CUT)
        time.sleep(2.0)  # what the primary takes in now has no standby, and gets no acknowledgement
        os.kill(pid, signal.SIGKILL)
        proxy.set("replication", Kind.RESET)
        standby.promote()
        until("the standby to take writes", lambda: taking_writes(both) == proxy.wires["b"].port, 30.0)
        report = flow.finish(standby.conninfo)
    assert report.faults == []
    assert report.records.total() == sum(one.readings + one.events for one in WANTED)
