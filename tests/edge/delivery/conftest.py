"""A box of which only delivery runs, and what it talks to."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.records import Record
from contract.topics import Address
from edge.delivery.outbox import Outbox
from edge.notices import Notices, RecordsWaiting
from edge.paths import NodePaths
from tests.conftest import RunningBroker
from tests.edge.delivery.samples import PLENTY, Clock, make
from tests.edge.delivery.servers import CloudClient, EvidenceServer, evidence_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uptime() -> Clock:
    return Clock(1_000_000_000)


@pytest.fixture
def outbox(tmp_path: Path, clock: Clock, uptime: Clock) -> Iterator[Outbox]:
    box = make(tmp_path, clock=clock, uptime=uptime)
    yield box
    box.close()


def now() -> int:
    return time.time_ns() // 1000


@dataclass
class Box:
    """A node of which only delivery runs."""

    address: Address
    config: Path
    paths: NodePaths
    outbox: Outbox
    notices: Notices

    def append(self, *records: Record) -> None:
        self.outbox.append(list(records))
        self.notices.send("delivery", RecordsWaiting())

    @contextmanager
    def delivery(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "edge.supervisor.part", "delivery"]
        with subprocess.Popen([*command, "--config", self.config, "--run-dir", self.paths.run]) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                # By SIGTERM, where it had not come so far as to hear it.
                assert process.wait(10) in (0, -signal.SIGTERM, -signal.SIGKILL, -signal.SIGSEGV)


@pytest.fixture
def web() -> Iterator[EvidenceServer]:
    with evidence_server() as server:
        yield server


@pytest.fixture
def box(tmp_path: Path, broker: RunningBroker, web: EvidenceServer, request: pytest.FixtureRequest) -> Iterator[Box]:
    address = Address(7, "square", f"box-{abs(hash(request.node.name)) % 10**8}")
    username, password = broker.add_node(address)
    config = tmp_path / "node.yaml"
    settings = {
        "node": address.node,
        "site": address.site,
        "partition": address.partition,
        "uplink": {
            "broker": broker.url,
            "cloud": web.url,
            "username": username,
            "password": password,
            "publish_json": True,
        },
        "storage": {"folder": str(tmp_path / "data")},
    }
    config.write_text(json.dumps(settings))
    paths = NodePaths(tmp_path / "data", tmp_path / "run")
    paths.make()
    outbox = Outbox(paths.outbox, PLENTY, now)
    notices = Notices(paths.run, "test")
    yield Box(address, config, paths, outbox, notices)
    notices.close()
    outbox.close()


@pytest.fixture
def cloud(box: Box, broker: RunningBroker) -> Iterator[CloudClient]:
    client = CloudClient(broker.port, box.address, broker.username, broker.password)
    yield client
    client.close()
