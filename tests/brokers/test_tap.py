"""``vedette tap`` over TLS."""

import subprocess
import sys
from pathlib import Path

from cloud.servers.broker import BrokerUser
from cloud.servers.server import running
from tests.brokers.authority import Authority
from tests.brokers.nats import Nats
from tests.chaos.system import REPOSITORY


def test_tap_trusts_the_named_certificates_and_no_others(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    broker = Nats(tmp_path / "broker", [BrokerUser("cloud", "word")], ours.issue("broker"))
    (tmp_path / "word").write_text("word\n")

    def tap(trusted: Path) -> subprocess.CompletedProcess[str]:
        options = ["--broker", broker.url, "--username", "cloud", "--password-file", str(tmp_path / "word")]
        command = [sys.executable, "-m", "vedette", "tap", *options, "--ca-file", str(trusted), "--seconds", "1"]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)

    with running(broker, log=tmp_path / "log"):
        assert tap(ours.file).returncode == 0
        refused = tap(other.file)
        assert refused.returncode != 0
        assert "certificate verify failed" in refused.stderr
        nowhere = tap(tmp_path / "nowhere")
        assert "name a PEM file with --ca-file" in nowhere.stderr
