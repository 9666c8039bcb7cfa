from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.delivery.outbox import Outbox
from tests.edge.delivery.samples import Clock, make


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
