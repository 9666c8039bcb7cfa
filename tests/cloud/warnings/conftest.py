"""A connection to a fresh database, inside a transaction like the ingest worker's."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database) as open_connection:
        yield open_connection
