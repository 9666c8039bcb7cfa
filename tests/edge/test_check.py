"""``vedette node check`` against real things: what works, what does not, and why. Never a password."""

import http.server
import io
import json
import shutil
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from edge.check import as_dicts, check, exit_code, render, run_probes
from edge.probes.finding import Finding, Probe
from tests.edge.sources.conftest import draw
from tests.edge.sources.modbus_device import ModbusDevice


def settings(folder: Path, **parts: Any) -> Path:
    base = {
        "node": "box-1",
        "site": "harbour",
        "uplink": {"broker": "mqtt://127.0.0.1:9", "cloud": "http://127.0.0.1:9"},
        "storage": {"folder": "data"},
    }
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(base | parts))
    return path


def found(findings: list[Finding], kind: str, name: str | None = None) -> Finding:
    text = json.dumps(as_dicts(findings))
    assert "hunter2" not in text
    return next(f for f in findings if f.kind == kind and name in (None, f.name))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real broker that asks for a password."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("needs Debian's mosquitto")
    folder = tmp_path_factory.mktemp("broker")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "harbour/box-1", "hunter2"], check=True)
    passwords.chmod(0o644)
    folder.chmod(0o755)
    (folder / "broker.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
    )
    with subprocess.Popen(
        [program, "-c", folder / "broker.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until(lambda: _listens(port))
        yield port
        process.terminate()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class _Cloud(http.server.BaseHTTPRequestHandler):
    """As much of the cloud as the check asks for: the password, and the time."""

    ahead_s = 0

    def do_HEAD(self) -> None:
        known = self.headers.get("Authorization") == "Basic " + b64encode(b"harbour/box-1:hunter2").decode()
        self.send_response_only(200 if known or self.path == "/healthz" else 401)
        self.send_header("Date", formatdate(time.time() + self.ahead_s, usegmt=True))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def cloud() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Cloud)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
    _Cloud.ahead_s = 0


def uplink(broker: int, cloud: str, password: str = "hunter2") -> dict[str, str]:
    return {
        "broker": f"mqtt://127.0.0.1:{broker}",
        "cloud": cloud,
        "username": "harbour/box-1",
        "password": password,
    }


def test_where_everything_works_it_says_what_it_found(tmp_path: Path, broker: int, cloud: str) -> None:
    draw(tmp_path / "lobby.mp4", seconds=1)
    (tmp_path / "log.csv").write_text("time,CO\n0,1.5\n5,2\n")
    with ModbusDevice({1: [35]}) as device:
        findings = check(
            settings(
                tmp_path,
                uplink=uplink(broker, cloud),
                cameras={"lobby": {"url": "lobby.mp4", "detectors": []}},
                sensors={
                    "gas": {
                        "url": f"modbus://127.0.0.1:{device.port}/1",
                        "channels": [{"quantity": "co", "unit": "[ppm]", "register": 0}],
                    },
                    "log": {"url": "log.csv", "channels": [{"quantity": "co", "column": "CO"}]},
                },
            )
        )
    assert exit_code(findings) == 0, findings
    assert "h264 320x240, 10 frames a second; first picture after" in found(findings, "camera", "lobby").detail
    assert found(findings, "sensor", "gas").detail == "co 35 [ppm]"
    assert found(findings, "sensor", "log").detail == "co 1.5 at first; 2 rows, 5 s apart"
    assert found(findings, "broker").detail == "connected, not encrypted"
    assert found(findings, "cloud").detail == "takes evidence from this node"
    assert found(findings, "clock").detail.endswith("as the cloud's")
    assert "free" in found(findings, "storage").detail


def test_each_thing_that_does_not_work_is_told_with_the_way_out(tmp_path: Path, broker: int, cloud: str) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    _Cloud.ahead_s = 60
    with ModbusDevice({1: [35]}) as device:
        findings = check(
            settings(
                tmp_path,
                uplink=uplink(broker, cloud, password="hunter2-wrong"),
                cameras={
                    "gone": {"url": "gone.mp4", "detectors": ["no-such-model"]},
                    "text": {"url": "text.mp4", "detectors": []},
                    "away": {"url": "rtsp://u:hunter2@127.0.0.1:9/1", "detectors": [], "timeout_s": 1},
                },
                sensors={
                    "gas": {
                        "url": f"modbus://127.0.0.1:{device.port}/1",
                        "channels": [
                            {"quantity": "co", "register": 0, "range": [0, 10]},
                            {"quantity": "o2", "register": 50},
                        ],
                    }
                },
            )
        )
    assert exit_code(findings) == 2
    assert found(findings, "camera", "gone").detail == f"{tmp_path}/gone.mp4 is not there"
    assert "relative ones count from node.yaml's folder (cameras.gone.url)" in found(findings, "camera", "gone").way_out
    assert found(findings, "camera", "text").detail == f"{tmp_path}/text.mp4 is not a video that can be read"
    assert "rtsp://***@127.0.0.1:9/1 refused the connection" in found(findings, "camera", "away").detail
    assert found(findings, "sensor", "gas").detail == "co 35 (out of range), o2 cannot be read"
    assert "of co, o2 (sensors.gas.channels)" in found(findings, "sensor", "gas").way_out
    assert "no model 'no-such-model'" in found(findings, "model").detail
    assert "refused the node's name or password" in found(findings, "broker").detail
    assert "refused the node's name or password (401)" in found(findings, "cloud").detail
    assert "s behind the cloud's" in found(findings, "clock").detail


def test_a_wrong_password_is_told_from_refused_and_from_something_else_there(tmp_path: Path, cloud: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = int(server.getsockname()[1])
    findings = check(settings(tmp_path, uplink=uplink(closed, cloud)))
    assert "nothing listens" in found(findings, "broker").detail
    assert found(findings, "cloud").ok
    port = int(cloud.rsplit(":", 1)[1])
    secure = {"broker": f"mqtts://127.0.0.1:{port}", "cloud": "https://127.0.0.1:9"}
    findings = check(settings(tmp_path, uplink=secure))
    assert "TLS" in found(findings, "broker").detail
    assert "nothing listens" in found(findings, "cloud").detail


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = check(settings(tmp_path, storage={"folder": "file/data"}))
    storage = found(findings, "storage")
    assert (storage.ok, storage.detail) == (False, "cannot be written to: Not a directory")


def test_faults_in_the_file_itself_are_findings(tmp_path: Path) -> None:
    findings = check(settings(tmp_path, camras={}, threads=0))
    assert [finding.kind for finding in findings] == ["config", "config"]
    assert any("camras: unknown key; did you mean 'cameras'?" in finding.detail for finding in findings)
    assert exit_code(findings) == 2
    assert found(check(tmp_path / "absent.yaml"), "config").detail.endswith("name another with -c")


def test_what_hangs_holds_up_nothing_else() -> None:
    release = threading.Event()

    def hang() -> Finding:
        release.wait(30)
        return Finding("camera", "stuck", ok=True, detail="")

    def fail() -> Finding:
        raise KeyError("nobody thought of this")

    quick = [Probe("model", str(n), lambda: Finding("model", "x", ok=True, detail="fine"), 5.0) for n in range(20)]
    probes = [Probe("camera", str(n), hang, 0.3) for n in range(7)] + [Probe("sensor", "broken", fail, 5.0)] + quick
    began = time.monotonic()
    findings = run_probes(probes)
    assert time.monotonic() - began < 5
    assert all("did not come back within 0.3 s" in finding.detail for finding in findings[:7])
    assert "KeyError" in findings[7].detail
    assert all(finding.ok for finding in findings[8:])
    release.set()


def test_when_every_turn_hangs_it_still_comes_to_an_end() -> None:
    release = threading.Event()

    def hang() -> Finding:
        release.wait(30)
        return Finding("camera", "stuck", ok=True, detail="")

    findings = run_probes([Probe("camera", str(n), hang, 0.2) for n in range(12)])
    assert not any(finding.ok for finding in findings)
    release.set()


def test_the_table_says_it_all() -> None:
    out = io.StringIO()
    findings = [
        Finding("camera", "lobby", ok=True, detail="h264 640x360"),
        Finding("camera", "gate", ok=False, detail="answered 401", way_out="check user and password"),
    ]
    render(findings, Console(file=out, width=100))
    text = out.getvalue()
    assert "FAILS camera gate" in " ".join(text.split())
    assert "camera gate: answered 401; check user and password" in text
    assert text.rstrip().endswith("1 of 2 work")
