"""The same tables on TimescaleDB: readings lie in a hypertable, and come and go as they do without it."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cloud.store.connection import connect
from cloud.store.schema import migrate
from cloud.store.times import DAY, moment
from cloud.store.upkeep import Retention, ensure_days, maintain

NOW = 1_764_000_000_000_000
URL = os.environ.get("VEDETTE_TEST_TIMESCALE_URL", "")
pytestmark = [
    pytest.mark.timescale,
    pytest.mark.skipif(not URL, reason="VEDETTE_TEST_TIMESCALE_URL names no PostgreSQL with TimescaleDB"),
]


@pytest.fixture
def timescale() -> Iterator[str]:
    """A fresh database there, gone after the test."""
    name = f"vedette_test_{os.getpid()}"
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield make_conninfo(URL, dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_readings_lie_in_a_hypertable(timescale: str) -> None:
    migrate(timescale)
    with connect(timescale, "test") as connection:
        ensure_days(connection, NOW)
        for days in (-400, 0):
            connection.execute(
                "INSERT INTO reading (time, series_id, value, quality, lane, arrived) VALUES (%s, 1, 1, 0, 1, now())",
                [moment(NOW + days * DAY)],
            )
        chunks = connection.execute("SELECT count(*) FROM timescaledb_information.chunks").fetchone()
        assert chunks == (2,)
        assert maintain(connection, NOW, Retention(readings_days=10))
        assert connection.execute("SELECT min(time) FROM reading").fetchone() == (moment(NOW),)
