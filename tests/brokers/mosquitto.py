"""Eclipse Mosquitto with the very files of ``firmware-configs/brokers``, but for paths and port."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.brokers.authority import Certificate
from tests.chaos.system import REPOSITORY
from tests.conftest import free_port

FILES: Final = REPOSITORY / "firmware-configs" / "brokers"
PROGRAM: Final = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Mosquitto:
    """A broker with users and their passwords, over TLS."""

    name = "mosquitto"
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, users: Mapping[str, str], certificate: Certificate) -> None:
        self.port = free_port()
        self._folder = folder
        self._users = users
        self._certificate = certificate

    @property
    def url(self) -> str:
        return f"mqtts://localhost:{self.port}"

    @property
    def command(self) -> list[str]:
        assert PROGRAM is not None
        return [PROGRAM, "-c", str(self._folder / "mosquitto.conf")]

    @property
    def environment(self) -> Mapping[str, str]:
        return {}

    def prepare(self) -> None:
        self._folder.mkdir(exist_ok=True)
        passwords = self._folder / "vedette.passwd"
        passwords.write_text("")
        for name, password in self._users.items():
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, password], check=True, capture_output=True)
        shutil.copy(FILES / "mosquitto.acl", self._folder / "vedette.acl")
        text = (FILES / "mosquitto.conf").read_text()
        for shipped, ours in {
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "/etc/mosquitto/certs/broker.crt": str(self._certificate.certificate),
            "/etc/mosquitto/certs/broker.key": str(self._certificate.key),
            "/etc/mosquitto/vedette": f"{self._folder}/vedette",
            "persistence true": f"persistence true\npersistence_location {self._folder}/\nuser root",
        }.items():
            assert shipped in text, f"mosquitto.conf says nothing of {shipped}"
            text = text.replace(shipped, ours)
        (self._folder / "mosquitto.conf").write_text(text)

    def ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
