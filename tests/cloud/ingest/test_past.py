"""What began and ended while a node was offline becomes a past warning: seen, never heard."""

import time
from collections.abc import Callable

from cloud.settings import CloudSettings
from contract.records import Event, Lane, Phase
from tests.cloud.ingest.conftest import Node, rows, working

NOW = time.time_ns() // 1000
HOUR = 3_600_000_000


def event(name: str, phase: Phase) -> Event:
    return Event(
        id=name, kind="fire", phase=phase, revision=2, time=NOW - HOUR, started=NOW - 2 * HOUR, source="cam", score=0.9
    )


def test_the_backlog_is_remembered_and_alarms_nobody(settings: CloudSettings, nodes: Callable[..., Node]) -> None:
    node = nodes()
    with working(settings):
        node.send(1, [event("a", Phase.OPEN), event("a", Phase.CLOSE), event("b", Phase.OPEN)], Lane.BACKLOG)
        node.acked(3, Lane.BACKLOG)
        node.send(1, [event("a", Phase.CLOSE), event("b", Phase.OPEN)], Lane.BACKLOG)
        node.acked(3, Lane.BACKLOG)
    found = rows(settings.database, "SELECT key, state, past, events FROM warning")
    assert found == [(f"mill/{node.address.node}/cam", "resolved", True, ["a"])]
    assert rows(settings.database, "SELECT count(*) FROM warning_step WHERE cap IS NOT NULL") == [(0,)]
