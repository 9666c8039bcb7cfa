"""What the tests of the fleet share."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from cloud.api.serve import run
from cloud.fleet.fleet import Fleet
from cloud.fleet.nodes import Enrolment, enrol
from cloud.settings import CloudSettings
from tests.conftest import RunningBroker, free_port
from tests.edge.updates.releases import write_release


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs to outlive the machine; what a cut of its power does is tried with ``tests.cutting``."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def wall() -> int:
    """Now."""
    return time.time_ns() // 1000


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a fresh database."""
    with psycopg.connect(database) as found:
        yield found


@pytest.fixture
def settings(database: str, broker: RunningBroker, tmp_path: Path) -> CloudSettings:
    """The installation."""
    return CloudSettings.model_validate(
        {
            "database": database,
            "broker": broker.url,
            "broker_username": broker.username,
            "broker_password": broker.password,
            "evidence": tmp_path / "evidence",
            "tuf": tmp_path / "tuf",
            "keys": tmp_path / "keys",
        }
    )


@pytest.fixture
def fleet(settings: CloudSettings, tmp_path: Path) -> Fleet:
    """A fleet with two releases of fire."""
    fleet = Fleet.of(settings, wall)
    for version in ("1.0.0", "1.1.0"):
        write_release(tmp_path / version, version)
        fleet.releases.publish("fire", tmp_path / version)
    return fleet


@pytest.fixture
def gate(connection: psycopg.Connection[Any]) -> Enrolment:
    """An enrolled node."""
    found = enrol(connection, "mill", "gate")
    connection.commit()
    return found


@pytest.fixture
def api(settings: CloudSettings) -> Iterator[httpx.Client]:
    """The API, running, and a client."""
    settings = settings.model_copy(update={"listen": f"127.0.0.1:{free_port()}"})
    with serving(settings) as url, httpx.Client(base_url=url) as client:
        yield client


@contextmanager
def serving(settings: CloudSettings) -> Iterator[str]:
    """The API on its port; its address."""
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop))
    thread.start()
    url = f"http://{settings.listen}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/healthz")
            break
    try:
        yield url
    finally:
        stop.set()
        thread.join()
