"""Box and cloud on two ends of a cable that is pulled, plugged in again, and bad."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from cloud.servers.broker import BrokerUser
from cloud.servers.server import running
from cloud.settings import CloudSettings
from contract.records import Lane
from contract.topics import Address
from tests.chaos.flow import Flow, flowing
from tests.chaos.namespaces import CLOUD, Cable, FarBroker, joined, why_not
from tests.chaos.records import SITE, Numbered
from tests.chaos.system import PASSWORD, enrol, make_box, make_worker
from tests.conftest import free_port

PULLED_S = (0.5, 3.0, 36.0)
"""From less than a retransmission to longer than every keepalive, and than the 30 s after which history begins."""
WANTED = [Numbered("cable-1", 60, 19_000, 1000), Numbered("cable-2", 190, 19_000, 1000)]
_HINDRANCE = why_not()
BAD = ("delay", "80ms", "20ms", "loss", "5%")
pytestmark = [
    pytest.mark.slow,  # the cable is out for longer than a minute in all
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(_HINDRANCE), reason=_HINDRANCE or "-"),
]


@pytest.fixture
def cable() -> Iterator[Cable]:
    with joined() as cable:
        yield cable


@contextmanager
def over(cable: Cable, folder: Path, database: str, seconds: float) -> Iterator[Flow]:
    addresses = [Address(one.partition, SITE, one.node) for one in WANTED]
    enrol(database, addresses)
    users = [BrokerUser("cloud", PASSWORD), *(BrokerUser(f"{SITE}/{one.node}", PASSWORD, one) for one in addresses)]
    broker = FarBroker(folder / "broker", free_port(), users, cable)
    settings = CloudSettings(
        database=database, broker=f"mqtt://{CLOUD}:{broker.port}", broker_password=SecretStr(PASSWORD),
        evidence=folder, tuf=folder, keys=folder,
    )  # fmt: skip
    before = cable.before(cable.cloud)
    workers = [make_worker(f"worker-{number}", settings, folder, before) for number in (1, 2)]
    boxes = [make_box(folder / one.node, one, {"broker": broker.url}, cable.before(cable.box)) for one in addresses]
    with (
        running(broker, log=folder / "broker.log"),
        flowing(folder, boxes, workers, WANTED, seconds) as flow,
    ):
        yield flow


def test_the_cable_is_pulled_and_plugged_in_again(cable: Cable, tmp_path: Path, database: str) -> None:
    with over(cable, tmp_path, database, sum(PULLED_S) + 20) as flow:
        for seconds in PULLED_S:
            flow.moves_on(database)
            cable.pull()
            time.sleep(seconds)
            cable.plug()
        report = flow.finish(database)
    assert report.faults == []
    assert report.records.total() == sum(one.readings + one.events for one in WANTED)
    assert report.records[Lane.BACKLOG] > 0
    assert report.longest_gap_s > 30


def test_the_line_loses_packets_and_delays_them(cable: Cable, tmp_path: Path, database: str) -> None:
    if reason := cable.worsen(*BAD):
        pytest.skip(reason)
    with over(cable, tmp_path, database, 30.0) as flow:
        report = flow.finish(database)
    assert report.faults == []
    assert report.records.total() == sum(one.readings + one.events for one in WANTED)
