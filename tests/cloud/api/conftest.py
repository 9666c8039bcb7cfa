"""A real API on a real database and broker, in a thread of the tests' process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from cloud.api.serve import run
from cloud.identity.nodes import hash_secret
from cloud.servers.postgres import EmbeddedPostgres
from cloud.settings import CloudSettings
from cloud.store.times import moment
from tests.cloud.warnings.samples import EPISODE
from tests.conftest import RunningBroker, free_port

SECRET = "correct-horse"
SECRET_HASH = hash_secret(SECRET)


@dataclass(frozen=True)
class Api:
    """A running API."""

    url: str
    settings: CloudSettings
    http: httpx.Client
    database: psycopg.Connection[Any]

    @property
    def live(self) -> str:
        return self.url.replace("http", "ws", 1) + "/api/v1/live"


def make_settings(database: str, broker: RunningBroker, folder: Path) -> CloudSettings:
    """Settings of an API with everything in one folder."""
    return CloudSettings(
        database=database,
        broker=broker.url,
        broker_username=broker.username,
        broker_password=SecretStr(broker.password),
        evidence=folder / "evidence",
        tuf=folder / "tuf",
        keys=folder / "keys",
        listen=f"127.0.0.1:{free_port()}",
        console=folder / "console",
        demo_note="a test",
    )


@contextmanager
def serving(settings: CloudSettings) -> Iterator[Api]:
    """A running API."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            run(settings, stop)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    thread = threading.Thread(target=serve, name="api")
    thread.start()
    url = f"http://{settings.listen}"
    try:
        with (
            httpx.Client(base_url=url, timeout=10, transport=httpx.HTTPTransport(retries=8)) as http,
            psycopg.connect(settings.database, autocommit=True) as connection,
        ):
            while not failures and http.get("/healthz").status_code == 503:
                pass
            assert not failures, failures
            yield Api(url, settings, http, connection)
    finally:
        stop.set()
        thread.join()
    assert not failures, failures


@pytest.fixture
def settings(database: str, broker: RunningBroker, tmp_path: Path) -> CloudSettings:
    return make_settings(database, broker, tmp_path)


@pytest.fixture(scope="package")
def _served(
    postgres: EmbeddedPostgres, _template: str, broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE api_tests TEMPLATE {_template}")
        with serving(make_settings(postgres.conninfo_of("api_tests"), broker, tmp_path_factory.mktemp("api"))) as api:
            yield api
        connection.execute("DROP DATABASE api_tests WITH (FORCE)")


@pytest.fixture
def api(_served: Api) -> Api:
    """The running API, with one node and nothing else in its tables and folders."""
    _served.database.execute(
        "TRUNCATE node, event, evidence, evidence_file, series, reading, latest, feed, warning CASCADE"
    )
    for path in _served.settings.evidence.rglob("*"):
        if path.is_file():
            path.unlink()
    _served.database.execute(
        "INSERT INTO node (site, node, partition, secret_hash) VALUES ('demo', 'gate', 3, %s)", [SECRET_HASH]
    )
    return _served


def add_event(connection: psycopg.Connection[Any], event: str = "fire-1", captured: int = EPISODE) -> None:
    """An event as ingest writes it."""
    connection.execute(
        "INSERT INTO event (site, node, id, source, kind, phase, revision, time, started, zone, score, model, "
        "detections, attrs, detected, lane, arrived) VALUES ('demo', 'gate', %s, 'lobby', 'fire', 'open', 1, %s, %s, "
        "'', 0.8, %s, %s, '{}', %s, 0, now())",
        [
            event,
            moment(captured),
            moment(captured),
            Jsonb({"name": "fire", "version": "1.0", "sha256": "ab"}),
            Jsonb([{"label": "fire", "score": 0.8, "box": [0.1, 0.2, 0.3, 0.4], "track": 3}]),
            moment(captured + 40_000),
        ],
    )


def add_evidence(
    connection: psycopg.Connection[Any], sha256: str, size: int, event: str = "fire-1", kind: str = "image/jpeg"
) -> None:
    """A record of evidence as ingest writes it."""
    connection.execute(
        "INSERT INTO evidence (site, node, event, sha256, bytes, media_type, role, source, time, duration_s, arrived) "
        "VALUES ('demo', 'gate', %s, %s, %s, %s, 'snapshot', 'lobby', %s, 0, now())",
        [event, sha256, size, kind, moment(EPISODE)],
    )


def add_readings(connection: psycopg.Connection[Any], values: list[float], quantity: str = "co") -> int:
    """Readings of one series, a second apart, as ingest writes them; the series' number."""
    row = connection.execute(
        "INSERT INTO series (site, node, source, quantity, unit) VALUES ('demo', 'gate', 'gas', %s, '[ppm]') "
        "RETURNING id",
        [quantity],
    ).fetchone()
    assert row is not None
    for second, value in enumerate(values):
        connection.execute(
            "INSERT INTO reading (time, series_id, value, quality, lane, arrived) VALUES (%s, %s, %s, 0, 1, now())",
            [moment(EPISODE + second * 1_000_000), row[0], value],
        )
    connection.execute(
        "INSERT INTO latest (series_id, time, value, quality, lane, arrived) VALUES (%s, %s, %s, 0, 1, now())",
        [row[0], moment(EPISODE + (len(values) - 1) * 1_000_000), values[-1]],
    )
    return int(row[0])
