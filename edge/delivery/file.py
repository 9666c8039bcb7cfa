"""The outbox's file in the hands of one process: transactions, damage, replacement."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog

from edge.delivery.salvage import salvage, set_aside
from edge.delivery.schema import (
    CLOCK_TABLE,
    QUEUES,
    SCHEMA_VERSION,
    TABLES,
    OutboxError,
    WriteLock,
    connect,
    damaged,
    full,
)

_PATIENCE_S: Final = 60.0
"""So long a transaction is tried while others hold SQLite's own lock; it is held for milliseconds."""
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

T = TypeVar("T")
_log = structlog.get_logger()


class OutboxFile:
    """Runs transactions on the file at ``path``, which is made when missing and replaced when damaged.

    Args:
        path: the SQLite file.
        clock: wall clock, microseconds.
        entropy: a random number of 63 bits.
        boot: name of this run of the machine.
        disk_pages: the file may not grow beyond so many pages of 4 KiB, as if the disk ended there.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], int],
        entropy: Callable[[], int],
        boot: str,
        disk_pages: int | None = None,
    ) -> None:
        self.path = path
        self._clock = clock
        self._entropy = entropy
        self._boot = boot
        self._disk_pages = disk_pages
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        if not path.parent.is_dir():
            raise OutboxError(f"outbox {path} cannot be opened: its folder is missing; make it or set storage.folder")
        try:
            self._lock = WriteLock(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise OutboxError(f"outbox {path} cannot be opened: {error.strerror}; check the folder's owner") from error

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` in one transaction, on the disk when this returns. A damaged file is set aside and the work done
        on its successor; ``work`` may therefore be called more than once.

        Raises:
            OutboxError: it cannot be done; nothing has changed.
            sqlite3.OperationalError: there is no room (``schema.full`` tells).
        """
        with self._lock.held():
            try:
                return self._patiently(work)
            except sqlite3.DatabaseError as error:
                if not damaged(error):
                    raise self._explain(error) from error
                self._replace(str(error))
            try:
                return self._patiently(work)
            except sqlite3.DatabaseError as error:
                raise self._explain(error) from error

    def check(self) -> None:
        """Read the whole file (``quick_check``); one that is found damaged is set aside.

        Raises:
            OutboxError: it cannot be read at all, for a reason other than damage.
        """
        with self._lock.held():
            try:
                verdict = self._current().execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.DatabaseError as error:
                if not damaged(error):
                    raise self._explain(error) from error
                verdict = str(error)
            if verdict != "ok":
                self._replace(verdict)

    @property
    def life(self) -> str:
        """Names this run of the machine together with the file as it lies here: a copy has another, wherever it is made
        and however alike the machines are. To be asked inside of ``run``."""
        return f"{self._boot}:{self.path.stat().st_ino}"

    def close(self) -> None:
        """Close the file; waits for a transaction in another thread."""
        with self._lock.held():
            self._drop()
        self._lock.close()

    def _patiently(self, work: Callable[[sqlite3.Connection], T]) -> T:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._transact(work)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _LOCKED or time.monotonic() > deadline:
                    raise

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._current()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _current(self) -> sqlite3.Connection:
        """The connection to the file that lies at ``path`` now: another process may have replaced it."""
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = 0
        if self._connection is None or inode != self._inode or not inode:
            self._drop()
            self._connection = self._open()
            self._inode = self.path.stat().st_ino
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = connect(self.path)
        try:
            if self._disk_pages is not None:
                connection.execute(f"PRAGMA max_page_count={self._disk_pages}")
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                self._create(connection)
            self._check_schema(connection)
            _add_clocks(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.executescript(f"BEGIN IMMEDIATE; {TABLES} {CLOCK_TABLE}")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("schema", SCHEMA_VERSION),
                ("epoch", self._entropy()),
                ("boot", self._boot),
                ("owner", ""),
                ("life", self.life),
            ],
        )
        connection.executemany("INSERT INTO queue VALUES (?, 1, 0, 0, 0)", [(name,) for name in QUEUES])
        connection.executemany("INSERT INTO lane VALUES (?, 0, 0)", [(name,) for name in ("alarm", "live", "backlog")])
        connection.execute("COMMIT")
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if version != SCHEMA_VERSION:
            raise OutboxError(
                f"outbox {self.path} has schema {version}; this release knows {SCHEMA_VERSION}: "
                "install the release that wrote it, or move the file away"
            )

    def _replace(self, reason: str) -> None:
        self._drop()
        aside = set_aside(self.path, self._clock())
        self._connection = self._open()
        self._inode = self.path.stat().st_ino
        saved = salvage(aside, self._connection)
        _log.error("outbox.damaged", file=str(self.path), reason=reason, kept_as=str(aside), salvaged=saved)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _explain(self, error: sqlite3.DatabaseError) -> Exception:
        if full(error):
            return error
        return OutboxError(f"outbox {self.path}: {error}; check the disk and the file's owner")


def _add_clocks(connection: sqlite3.Connection) -> None:
    """A file of a release that did not note which clock stamped a record learns to; that release can still use it."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'clock'").fetchone():
        connection.executescript(f"BEGIN IMMEDIATE; {CLOCK_TABLE} ALTER TABLE batch ADD COLUMN base INTEGER; COMMIT;")
