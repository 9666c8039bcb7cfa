"""The tables' version: migrations go forward only, one transaction each, in the order of their numbers.

A migration is a file ``migrations/NNNN_name.sql``; once released it is never changed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from cloud.store.connection import StoreError, connect, describe

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x5645_4445_5454_4501
"""Key of the advisory lock: of several processes that start at once, one migrates and the others wait."""


class UnknownVersionError(StoreError):
    """The database was made by another release; nothing was changed in it."""


@dataclass(frozen=True)
class Migration:
    """One step of the tables' history."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def shipped(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations of this release, in order."""
    found = []
    for path in sorted(folder.glob("[0-9]*_*.sql")):
        number, name = path.stem.split("_", 1)
        found.append(Migration(int(number), name, path.read_text()))
    numbers = [migration.number for migration in found]
    if len(set(numbers)) != len(numbers):
        raise StoreError(f"two migrations in {folder} have the same number")
    return found


def migrate(conninfo: str, migrations: list[Migration] | None = None) -> list[str]:
    """Bring the database to this release's version; the names of what was applied.

    Raises:
        UnknownVersionError: the database is newer than this release, or of no release's making.
        StoreError: it cannot be reached, or a migration failed (and left nothing behind).
    """
    wanted = shipped() if migrations is None else migrations
    with connect(conninfo, "vedette-migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (number integer PRIMARY KEY, name text NOT NULL, "
            "checksum text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
        )
        pending = _pending(connection, describe(conninfo), wanted)
        for migration in pending:
            _apply(connection, migration)
        return [f"{migration.number:04}_{migration.name}" for migration in pending]


def check(connection: psycopg.Connection, migrations: list[Migration] | None = None) -> None:
    """Raises ``UnknownVersionError`` when the database's version is not exactly this release's."""
    wanted = shipped() if migrations is None else migrations
    where = describe(connection.info.dsn)
    row = connection.execute("SELECT to_regclass('schema_version') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        raise UnknownVersionError(f"database {where} has no tables yet; migrate it first: vedette cloud migrate")
    pending = _pending(connection, where, wanted)
    if pending:
        raise UnknownVersionError(
            f"database {where} lacks migration {pending[0].number:04}_{pending[0].name}; "
            "migrate it first: vedette cloud migrate"
        )


def _pending(connection: psycopg.Connection, where: str, wanted: list[Migration]) -> list[Migration]:
    applied = connection.execute("SELECT number, name, checksum FROM schema_version ORDER BY number").fetchall()
    known = {migration.number: migration for migration in wanted}
    for number, name, checksum in applied:
        if number not in known:
            raise UnknownVersionError(
                f"database {where} has version {number:04}_{name}; this release knows up to "
                f"{max(known, default=0):04}: use the newer release that made it, or name another database"
            )
        if known[number].checksum != checksum:
            raise UnknownVersionError(
                f"database {where}: its version {number:04}_{name} is not the one this release knows; "
                "use the release that made it, or name another database"
            )
    newest = applied[-1][0] if applied else 0
    pending = [migration for migration in wanted if migration.number not in {row[0] for row in applied}]
    if pending and pending[0].number < newest:
        raise UnknownVersionError(
            f"database {where} has version {newest:04} but lacks {pending[0].number:04}_{pending[0].name}; "
            "it is of no release's making: name another database"
        )
    return pending


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.text.encode())
            connection.execute(
                "INSERT INTO schema_version (number, name, checksum) VALUES (%s, %s, %s)",
                (migration.number, migration.name, migration.checksum),
            )
    except psycopg.Error as error:
        raise StoreError(f"migration {migration.number:04}_{migration.name} failed: {error}") from error
