"""``python -m edge.supervisor.part NAME --config node.yaml --run-dir RUN``: one part of a node, as a process."""

import argparse
import ctypes
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import TracebackType

import structlog

from edge.config import ConfigError, NodeConfig, load_config
from edge.paths import NodePaths
from edge.supervisor import logs
from edge.supervisor.status import PartStatus

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_log = structlog.get_logger()

PARTS = {
    "capture": "edge.sources.capture",
    "vision": "edge.vision.process",
    "sensing": "edge.sources.sensing",
    "delivery": "edge.delivery.process",
}
"""The module of each kind of part; it has a ``run``."""


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends, however it ends; prctl(2).

    Args:
        parent: its pid. It may have ended before the kernel was asked: then this process has another parent by now.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str] | None = None) -> int:
    """Run one part until SIGTERM. Exit codes: 0 stopped, 1 failed, 2 the configuration cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m edge.supervisor.part", description=__doc__)
    parser.add_argument("part", help="capture.CAMERA, vision, sensing or delivery")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--parent", type=int, help="pid of the supervisor: end when it ends")
    options = parser.parse_args(arguments)
    if options.parent is not None:
        die_with_parent(options.parent)
    # The name that ps and top show.
    ctypes.CDLL(None).prctl(_PR_SET_NAME, options.part[:15].encode(), 0, 0, 0)
    logs.configure(options.part)
    sys.excepthook = _tell
    threading.excepthook = lambda error: _tell(error.exc_type, error.exc_value, error.exc_traceback)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    try:
        config = load_config(options.config)
        paths = NodePaths(config.storage.folder, options.run_dir)
        _run(options.part, config, paths, stop, PartStatus(paths.status, options.part))
    except ConfigError as error:
        _log.error("part.config", reason=str(error))
        return 2
    return 0


def _tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody caught, as one event instead of a line for each frame of the stack."""
    if error is not None:
        _log.error("part.failed", reason=str(error) or kind.__name__, exc_info=(kind, error, trace))


def _run(part: str, config: NodeConfig, paths: NodePaths, stop: threading.Event, status: PartStatus) -> None:
    """Only what the part needs is imported: a camera's process carries no detector, and a broken library stops only
    the parts that use it."""
    kind, _, camera = part.partition(".")
    if kind not in PARTS:
        raise ConfigError(f"{part!r} is no part of a node; known: capture.CAMERA, vision, sensing, delivery")
    run = import_module(PARTS[kind]).run
    if kind != "capture":
        run(config, paths, stop, status)
    elif camera in config.cameras:
        run(config, camera, paths, stop, status)
    else:
        raise ConfigError(f"cameras.{camera}: no such camera any more; restart the node")


if __name__ == "__main__":
    _code = main()
    if threading.active_count() > 1:
        # A library's call that does not come back must not keep the process from ending.
        os._exit(_code)
    sys.exit(_code)
