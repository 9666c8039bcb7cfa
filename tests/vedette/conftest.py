"""The whole system as a visitor starts it: ``vedette up``, as a process, on a folder and ports of its own."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vedette.client import Client
from vedette.demo.data import data_folder
from vedette.demo.ports import free_ports
from vedette.demo.site import cameras, has_clips

REPOSITORY = Path(__file__).parents[2]
VEDETTE = [sys.executable, "-m", "vedette"]


def vedette(*arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command of the command line to its end."""
    done = subprocess.run(
        [*VEDETTE, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=REPOSITORY,
        timeout=120,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


@dataclass
class System:
    """A running ``vedette up``."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]
    output: Path
    ports: list[int]

    def json(self, *arguments: str) -> Any:
        """What a command prints with ``--json``."""
        return json.loads(vedette(*arguments, "--json", "--data-dir", str(self.home)).stdout)

    def client(self) -> Client:
        """Its API."""
        return Client(self.url)

    def parts(self) -> dict[str, int]:
        """Its children by name, with their pids: what ``vedette up`` itself wrote down."""
        return {str(name): int(pid) for name, pid in json.loads((self.home / "parts.json").read_text()).items()}

    def tail(self) -> str:
        """The end of everything it and its parts said."""
        logs = [self.output, *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs if log.exists())

    def wait(self, what: str, condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
        """The first true value of ``condition``; fails with the logs where there is none in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = condition()
            if found:
                return found
            if self.process.poll() is not None:
                pytest.fail(f"vedette up ended while waiting for {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {timeout_s:.0f} s\n{self.tail()}")
            time.sleep(0.1)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def start_system(folder: Path, *arguments: str, **environment: str) -> System:
    """``vedette up`` below ``folder``; returns when its page answers."""
    home = folder / "home"
    if not has_clips(data_folder()):
        shutil.copytree(drawn_clips(), home / "demo" / "clips")
    ports = free_ports(3)
    output = folder / "up.log"
    with output.open("ab") as log:
        process = subprocess.Popen(
            [
                *VEDETTE, "up", "--data-dir", str(home), "--listen", f"127.0.0.1:{ports[0]}",
                "--mqtt-port", str(ports[1]), "--modbus-port", str(ports[2]), *arguments,
            ],
            stdout=log, stderr=subprocess.STDOUT, cwd=REPOSITORY, env={**os.environ, **environment},
        )  # fmt: skip
    system = System(home, f"http://127.0.0.1:{ports[0]}", process, output, ports)
    try:
        system.wait("the page", (home / "server.json").exists, 120.0)
    except BaseException:
        system.stop()
        raise
    return system


@cache
def drawn_clips() -> Path:
    """The clips that stand for real ones, drawn once for all systems of this run."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-clips-"))
    atexit.register(shutil.rmtree, folder)
    cameras(None, folder)
    return folder


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The demonstration, shared by the tests that only look."""
    running = start_system(tmp_path_factory.mktemp("up"))
    yield running
    assert running.stop() == 0, running.tail()
