"""The outbox's file: its tables, how it is opened, and who may write to it at a time."""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SCHEMA_VERSION: Final = 1
QUEUES: Final = ("alarm", "live")
"""Tables of records that have no number yet, in the order they were appended."""

TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- Records without a number. 'uptime' is CLOCK_BOOTTIME in microseconds: ages survive a jump of the clock.
CREATE TABLE alarm (id INTEGER PRIMARY KEY, uptime INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE live (id INTEGER PRIMARY KEY, uptime INTEGER NOT NULL, body BLOB NOT NULL);

-- One row for each of the two. Rows up to the id 'aged' belong to the backlog: moving a million of them is one update.
CREATE TABLE queue (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL,
    aged INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    aged_waiting INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE lane (name TEXT PRIMARY KEY, last INTEGER NOT NULL, acked INTEGER NOT NULL) WITHOUT ROWID;

-- Numbered and not yet acknowledged; 'body' is a MessagePack array of the records, 'base' that of their clock.
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    body BLOB NOT NULL,
    base INTEGER,
    UNIQUE (lane, first)
);

-- The latest state of each event until its close has a number, and where in 'alarm' it lies while it has none itself.
-- 'known': the cloud has heard of it in the alarm lane, or will.
CREATE TABLE event (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    revision INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    known INTEGER NOT NULL DEFAULT 0,
    record INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;

-- Evidence whose file the cloud has not confirmed.
CREATE TABLE upload (
    sha256 TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    time INTEGER NOT NULL,
    refused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""

CLOCK_TABLE: Final = """
-- From its row 'first' on a queue's records were stamped by a clock 'base' microseconds ahead of the uptime.
CREATE TABLE IF NOT EXISTS clock (
    queue TEXT NOT NULL,
    first INTEGER NOT NULL,
    base INTEGER NOT NULL,
    PRIMARY KEY (queue, first)
) WITHOUT ROWID;
"""

_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BAD_READS: Final = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
_WAL_KEPT: Final = 4 << 20


class OutboxError(Exception):
    """The outbox cannot do what was asked; the text names the file and the way out."""


class OutboxFullError(OutboxError):
    """Neither the limit nor the disk leaves room, and nothing is left that may be thinned."""


def damaged(error: sqlite3.Error) -> bool:
    """Whether the error says that the file itself is broken, or the disk below it."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF in _DAMAGE or code in _BAD_READS)


def full(error: sqlite3.Error) -> bool:
    """Whether the error says that there is no room."""
    code = getattr(error, "sqlite_errorcode", None)
    # The second: no room for the shared memory of the write-ahead log, when the file is opened.
    return code is not None and (code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE)


def meta(connection: sqlite3.Connection, key: str) -> str | int | None:
    """One of the file's own words; None where it is not there."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def set_meta(connection: sqlite3.Connection, key: str, value: str | int) -> None:
    """Keep it, in the caller's transaction."""
    connection.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2 WHERE value <> ?2", (key, value)
    )


def uptime_micros() -> int:
    """Microseconds since the machine started, sleep included; runs evenly whatever the clock is set to."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def boot_id() -> str:
    """A name of this run of the machine; '' where the kernel gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for one process. Every commit is on the disk when it returns (WAL, ``synchronous=FULL``).

    Raises:
        OutboxError: the folder is missing or may not be written to.
        sqlite3.DatabaseError: the file is damaged.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    except sqlite3.OperationalError as error:
        raise OutboxError(f"outbox {path} cannot be opened: {error}; check storage.folder and its owner") from error
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT}")
    except sqlite3.OperationalError as error:
        connection.close()
        if damaged(error) or full(error):
            raise
        raise OutboxError(f"outbox {path} cannot be opened: {error}; check storage.folder and its owner") from error
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


class WriteLock:
    """One writer at a time, over all processes and threads that use the same outbox.

    SQLite's own lock is polled with growing sleeps, which costs an alarm up to 100 ms when three processes append; a
    waiter on ``flock`` is woken at once. It also keeps everyone out while a damaged file is replaced. The kernel
    releases it when its holder dies.
    """

    def __init__(self, path: Path) -> None:
        self._threads = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock, and hold it inside the ``with`` block."""
        with self._threads:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
