"""What a box is made of; reads top to bottom.

    supervisor ─┬─ capture.<camera>  one a camera: stream -> frames in shared memory, packets in the evidence ring
                ├─ vision            all models, all cameras: frames -> detections -> events
                ├─ sensing           all buses: readings -> events
                └─ delivery          outbox -> broker; evidence and updates over HTTPS

Each is a process of its own. Any of them may die; the others do not notice, and it comes back.
"""

import hashlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from edge.config import ConfigError, NodeConfig, load_config
from edge.paths import NodePaths
from edge.supervisor import logs
from edge.supervisor.lock import only_one
from edge.supervisor.supervisor import Limits, Part, Supervisor

_log = structlog.get_logger()
_SOCKET_PATH = 107
"""Bytes of a Unix socket's path, without the NUL; unix(7)."""


def parts(config: NodeConfig, config_path: Path, run: Path) -> list[Part]:
    """The parts of this box. Sources come first: what happens while the models load is not missed."""
    names = [f"capture.{camera}" for camera in config.cameras]
    if config.sensors:
        names.append("sensing")
    if config.cameras:
        # Even where no detector is wanted: it also tells of a camera that has gone blind.
        names.append("vision")
    names.append("delivery")
    return [Part(name, _command(name, config_path, run)) for name in names]


def run(
    config_path: Path, run_dir: Path | None = None, stop: threading.Event | None = None, limits: Limits | None = None
) -> int:
    """Be a node until SIGTERM or SIGINT (or ``stop``). Call it in the main thread.

    Args:
        config_path: ``node.yaml``.
        run_dir: for sockets, frames and status files; on a memory file system. Made up from the node's name when
            left out.

    Returns:
        The exit code: 0 stopped; 2 the configuration cannot be used, with the reason on standard error.
    """
    stop = stop or threading.Event()
    try:
        config = load_config(config_path)
        paths = NodePaths(config.storage.folder, run_dir or default_run_dir(config))
        make_folders(config, paths)
        with only_one(paths.data), _signals(stop), logs.configured("supervisor", text=sys.stderr.isatty()):
            for old in paths.status.glob("*.json"):
                old.unlink()
            _log.info("node.started", node=config.node, site=config.site, run=str(paths.run))
            Supervisor(parts(config, config_path.absolute(), paths.run), paths.status, limits).run(stop)
            # Frames are memory: a node that has stopped keeps none. One that was killed finds and reuses its own.
            shutil.rmtree(paths.frames if run_dir else paths.run, ignore_errors=True)
            _log.info("node.stopped", node=config.node)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def default_run_dir(config: NodeConfig) -> Path:
    """In memory, one a data directory: two nodes of the same name on one machine do not meet."""
    memory = Path("/dev/shm")  # noqa: S108 - made with mode 0700, and refused where it is somebody else's
    base = memory if memory.is_dir() else config.storage.folder
    folder = hashlib.sha256(str(config.storage.folder.absolute()).encode()).hexdigest()[:8]
    return base / f"vedette-{config.node}-{folder}"


def make_folders(config: NodeConfig, paths: NodePaths) -> None:
    """Create the node's folders; pictures lie in ``run``, so only this user may look.

    Raises:
        ConfigError: a folder cannot be made, is another user's, or is too deep for a socket's path.
    """
    longest = max((f"capture.{camera}.sock" for camera in config.cameras), key=len, default="delivery.sock")
    if len(os.fsencode(paths.run.absolute() / longest)) > _SOCKET_PATH:
        raise ConfigError(f"run folder {paths.run} is too deep: a socket's path has {_SOCKET_PATH} bytes at most")
    try:
        paths.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = paths.run.lstat().st_uid
        if paths.run.is_symlink() or owner != os.geteuid():
            raise ConfigError(f"run folder {paths.run} belongs to somebody else; name another with --run-dir")
        paths.run.chmod(0o700)
        paths.make()
    except OSError as error:
        raise ConfigError(
            f"storage.folder: {error.filename} cannot be made: {error.strerror}; give it to this user or name another"
        ) from error


def _command(part: str, config_path: Path, run: Path) -> tuple[str, ...]:
    module = (sys.executable, "-m", "edge.supervisor.part", part)
    return (*module, "--config", str(config_path), "--run-dir", str(run), "--parent", str(os.getpid()))


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``; as before afterwards. Elsewhere than in the main thread Python forbids it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
