"""Whatever happens in the broker's thread, the worker goes on hearing."""

import time
from collections.abc import Callable

import pytest

from cloud.ingest import arrival
from cloud.settings import CloudSettings
from contract.records import Reading
from tests.cloud.ingest.conftest import Node, working


def test_a_callback_that_throws_does_not_leave_the_worker_deaf(
    settings: CloudSettings, nodes: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = arrival.read
    throwing = [True]

    def read(topic: str, payload: bytes, arrived: int) -> object:
        if throwing and topic.endswith("/up"):
            throwing.clear()
            raise BrokenPipeError("nobody reads the log")
        return whole(topic, payload, arrived)

    monkeypatch.setattr("cloud.ingest.link.read", read)
    node = nodes()
    reading = Reading(time=time.time_ns() // 1000, source="gas-1", quantity="co", value=1)
    with working(settings):
        node.send(1, [reading])
        node.send(1, [reading])
        node.acked(1)
    assert not throwing


def test_a_worker_whose_broker_is_away_can_be_stopped(settings: CloudSettings) -> None:
    away = settings.model_copy(update={"broker": "mqtt://127.0.0.1:1"})
    began = time.monotonic()
    with working(away, wait=False):
        pass
    assert time.monotonic() - began < 5
