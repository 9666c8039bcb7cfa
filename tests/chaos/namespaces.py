"""Two network namespaces joined by a veth pair: a cable that can be pulled. Needs root and ip(8)."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloud.servers.broker import EmbeddedBroker

_NETWORK: Final = "10.213.7"
CLOUD: Final = f"{_NETWORK}.1"
"""The cloud's address on the cable."""
_BOX: Final = f"{_NETWORK}.2"


def why_not() -> str:
    """Why there can be no namespaces here; empty where there can."""
    if shutil.which("ip") is None:
        return "no ip(8): apt-get install iproute2"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    name = f"vedette-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"no network namespaces here: {done.stderr.strip()}"
    _ip("netns", "del", name)
    return ""


@dataclass(frozen=True)
class Cable:
    """Between the namespaces ``cloud`` and ``box``."""

    cloud: str
    box: str

    def before(self, namespace: str) -> list[str]:
        """What a command line begins with that runs in a namespace."""
        return ["ip", "netns", "exec", namespace]

    def pull(self) -> None:
        """Nothing passes from now on, and neither end is told."""
        _ip("-n", self.cloud, "link", "set", "cable", "down")

    def plug(self) -> None:
        """It passes again."""
        _ip("-n", self.cloud, "link", "set", "cable", "up")

    def worsen(self, *netem: str) -> str:
        """Loss and delay, as ``tc netem`` takes them; why that cannot be, or empty."""
        for namespace in (self.cloud, self.box):
            command = ["tc", "-n", namespace, "qdisc", "replace", "dev", "cable", "root", "netem", *netem]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                return "no tc(8): apt-get install iproute2"
            if done.returncode != 0:
                return f"this kernel has no netem: {done.stderr.strip()}"
        return ""


@contextlib.contextmanager
def joined() -> Iterator[Cable]:
    """Two namespaces, gone after the ``with`` block."""
    cable = Cable(f"vedette-cloud-{os.getpid()}", f"vedette-box-{os.getpid()}")
    with contextlib.ExitStack() as stack:
        for name in (cable.cloud, cable.box):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", cable.cloud, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", cable.box)
        for name, address in ((cable.cloud, CLOUD), (cable.box, _BOX)):
            _ip("-n", name, "address", "add", f"{address}/30", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
        yield cable


class FarBroker(EmbeddedBroker):
    """A broker in a namespace."""

    def __init__(self, folder: Path, port: int, users: object, cable: Cable) -> None:
        super().__init__(folder, port, users, host="0.0.0.0")  # type: ignore[arg-type]
        self._cable = cable

    @property
    def url(self) -> str:
        return f"mqtt://{CLOUD}:{self.port}"

    @property
    def command(self) -> list[str]:
        return [*self._cable.before(self._cable.cloud), *super().command]

    def ready(self) -> bool:
        probe = f"import socket; socket.create_connection(('{CLOUD}', {self.port}), 1)"
        command = [*self._cable.before(self._cable.cloud), sys.executable, "-c", probe]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}"
