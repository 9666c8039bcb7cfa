"""What every embedded server is to whoever runs it: a command line, an environment, a ready check, a signal to stop."""

import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol


class ServerError(RuntimeError):
    """A server cannot be started; the text names the thing, the value and the way out."""


class PortTakenError(ServerError):
    """Something else listens on the address."""


class Server(Protocol):
    """A server that is run as a child process."""

    @property
    def name(self) -> str:
        """For messages and logs."""

    @property
    def command(self) -> list[str]:
        """The child's command line."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables to set in the child, over the parent's."""

    @property
    def stop_signal(self) -> signal.Signals:
        """The signal for a clean and quick end."""

    def prepare(self) -> None:
        """Make what the child needs; called before every start. Raises ``ServerError``."""

    def ready(self) -> bool:
        """Whether the server answers."""


def check_port_free(name: str, host: str, port: int, way_out: str) -> None:
    """Raises ``PortTakenError``, or ``ServerError`` where the address is none of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            kind = PortTakenError if error.errno == errno.EADDRINUSE else ServerError
            raise kind(f"{name}: cannot listen on {host}:{port}: {error.strerror}; {way_out}") from error


def make_private_folder(folder: Path, what: str) -> None:
    """Create ``folder``, readable by nobody else.

    Raises:
        ServerError: that is refused, or somebody else made it before us.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ServerError(f"{what}: folder {folder} is not this user's own; remove it or name another")
        folder.chmod(0o700)
    except OSError as error:
        raise ServerError(
            f"{what}: folder {folder} cannot be used: {error.strerror}; give it to this user or name another"
        ) from error


@contextlib.contextmanager
def running(server: Server, *, log: Path, timeout_s: float = 60.0) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server as a child for as long as the ``with`` block lasts; its output goes to ``log``.

    Raises:
        ServerError: it could not be prepared, ended, or did not answer in time; with the end of its output.
    """
    server.prepare()
    child = start(server, log=log)
    try:
        wait_ready(server, child, log=log, timeout_s=timeout_s)
        yield child
    finally:
        stop(server, child)


def start(server: Server, *, log: Path) -> subprocess.Popen[bytes]:
    """Start the child, without waiting for its answer. Call ``server.prepare()`` before."""
    with log.open("ab") as output:
        return subprocess.Popen(
            server.command,
            env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_ready(server: Server, child: subprocess.Popen[bytes], *, log: Path, timeout_s: float = 60.0) -> None:
    """Return when the server answers. Raises ``ServerError`` when it ended or does not answer in time."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not server.ready():
        if child.poll() is not None:
            raise ServerError(f"{server.name} ended with {child.returncode}: {_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerError(f"{server.name} did not answer within {timeout_s:.0f} s: {_tail(log)}")
        pause.wait(0.05)


def stop(server: Server, child: subprocess.Popen[bytes], timeout_s: float = 20.0) -> None:
    """Ask the child to end; kill it when it does not within ``timeout_s``."""
    if child.poll() is None:
        child.send_signal(server.stop_signal)
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _tail(log: Path, lines: int = 8) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
