"""The same tests on both kinds of server: PostgreSQL alone, and one with TimescaleDB where there is one."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cloud.store.schema import migrate

_URL = os.environ.get("VEDETTE_TEST_TIMESCALE_URL", "")
_SERVERS = (
    "plain",
    pytest.param(
        "timescale",
        marks=[
            pytest.mark.timescale,
            pytest.mark.skipif(not _URL, reason="VEDETTE_TEST_TIMESCALE_URL names no PostgreSQL with TimescaleDB"),
        ],
    ),
)
_numbers = itertools.count(1)


@pytest.fixture(params=_SERVERS)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """How to connect to a fresh database with all tables, gone after the test."""
    if request.param == "plain":
        yield request.getfixturevalue("database")
        return
    with _timescale() as conninfo:
        migrate(conninfo)
        yield conninfo


@pytest.fixture(params=_SERVERS)
def empty_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """How to connect to a database without any table, gone after the test."""
    if request.param == "plain":
        yield request.getfixturevalue("empty_database")
        return
    with _timescale() as conninfo:
        yield conninfo


@contextmanager
def _timescale() -> Iterator[str]:
    name = f"vedette_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(_URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield make_conninfo(_URL, dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
