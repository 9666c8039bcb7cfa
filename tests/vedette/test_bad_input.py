"""What is wrong is named, with the way out, and exit code 2; a password is never told."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vedette.conftest import REPOSITORY, System, vedette
from vedette.demo.ports import free_ports

HEAD = """
node: box-9
site: yard
uplink: {{broker: "mqtt://127.0.0.1:{port}", cloud: "http://127.0.0.1:{port}", username: a, password: s3cret}}
storage: {{folder: "{folder}"}}
"""


@pytest.fixture
def node_yaml(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "node.yaml"
    path.write_text(HEAD.format(port=free_ports(1)[0], folder=tmp_path / "data"))
    return path


def complaint(*arguments: str, **environment: str) -> str:
    """What a command that must be refused prints."""
    done = vedette(*arguments, check=False, **environment)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "Traceback" not in said
    assert "s3cret" not in said
    return said


def check_camera(node_yaml: Path, url: str, more: str = "") -> str:
    node_yaml.write_text(node_yaml.read_text() + f'cameras: {{gate: {{url: "{url}", timeout_s: 2{more}}}}}\n')
    return " ".join(complaint("node", "check", "-c", str(node_yaml)).split())


def test_unknown_key_with_the_nearest_known_one(node_yaml: Path) -> None:
    node_yaml.write_text(node_yaml.read_text() + "cameras: {gate: {url: a.mp4, detecters: [fire]}}\n")
    for command in ("check", "run"):
        said = complaint("node", command, "-c", str(node_yaml))
        assert "cameras.gate.detecters" in said
        assert "did you mean 'detectors'" in said


def test_configuration_that_is_not_there(tmp_path: Path) -> None:
    assert "nowhere.yaml" in complaint("node", "run", "-c", str(tmp_path / "nowhere.yaml"))


def test_camera_refused(node_yaml: Path) -> None:
    said = check_camera(node_yaml, f"rtsp://admin:s3cret@127.0.0.1:{free_ports(1)[0]}/live")
    assert "gate" in said
    assert "refused" in said


def test_camera_unreachable(node_yaml: Path) -> None:
    """A listener that never answers stands for a camera behind a firewall."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        said = check_camera(node_yaml, f"rtsp://admin:s3cret@127.0.0.1:{silent.getsockname()[1]}/live")
    assert "gate" in said
    assert "2 s" in said or "time" in said


def test_camera_wrong_password(node_yaml: Path, tmp_path: Path) -> None:
    """Every RTSP request is answered 401, as a camera does whose password was changed."""
    server = subprocess.Popen(
        ["python3", "-c", _ANSWERS_401], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )  # fmt: skip
    assert server.stdout is not None
    try:
        said = check_camera(node_yaml, f"rtsp://admin:s3cret@127.0.0.1:{int(server.stdout.readline())}/live")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    assert "401" in said
    assert "password" in said


_ANSWERS_401 = """
import socketserver
class Camera(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            lines = []
            while (line := self.rfile.readline().decode().strip()):
                lines.append(line)
            if not lines:
                return
            sequence = next((line for line in lines if line.lower().startswith("cseq")), "CSeq: 1")
            self.wfile.write(("RTSP/1.0 401 Unauthorized\\r\\n" + sequence +
                '\\r\\nWWW-Authenticate: Basic realm="camera"\\r\\n\\r\\n').encode())
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
with Server(("127.0.0.1", 0), Camera) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


def test_camera_that_is_no_video(node_yaml: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear camera, " * 100)
    assert "not a video" in check_camera(node_yaml, str(tmp_path / "letter.mp4"))


def test_missing_model(node_yaml: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    said = check_camera(node_yaml, str(tmp_path / "a.mp4"), ", detectors: [fyre]")
    assert "fyre" in said
    assert "fire" in said


def test_model_with_another_input_shape(node_yaml: Path, tmp_path: Path) -> None:
    """A manifest that promises another size than its graph has."""
    zoo = tmp_path / "zoo"
    shutil.copytree(REPOSITORY / "models" / "zoo" / "fire", zoo / "fire")
    manifest = zoo / "fire" / "manifest.json"
    promised = json.loads(manifest.read_text())
    width = promised["input"]["width"]
    promised["input"]["width"] = width + 32
    manifest.write_text(json.dumps(promised))
    node_yaml.write_text(node_yaml.read_text() + f'models: "{zoo}"\n')
    said = check_camera(node_yaml, str(tmp_path / "a.mp4"), ", detectors: [fire]")
    assert str(width + 32) in said
    assert str(width) in said


def test_port_taken(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        said = complaint("up", "--data-dir", str(tmp_path / "home"), "--listen", f"127.0.0.1:{taken}")
        assert str(taken) in said
        said = complaint("up", "--data-dir", str(tmp_path / "home"), "--listen", f"127.0.0.1:{free_ports(1)[0]}",
                         "--mqtt-port", str(taken))  # fmt: skip
        assert str(taken) in said


def test_two_on_one_folder(system: System) -> None:
    said = complaint("up", "--data-dir", str(system.home))
    assert str(system.home) in said
    assert str(system.process.pid) in said


def test_data_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its place: root may read any folder, but nobody can make one below a file."""
    (tmp_path / "home").write_text("")
    assert str(tmp_path / "home") in complaint("up", "--data-dir", str(tmp_path / "home"))
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o000)
        assert "closed" in complaint("up", "--data-dir", str(tmp_path / "closed"))


def test_database_of_an_unknown_version(system: System, tmp_path: Path) -> None:
    """The running system's own server lends a database that a later release has marked."""
    import psycopg

    from vedette.up.home import Home

    conninfo = Home(system.home).settings().database
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE DATABASE later")
    later = psycopg.conninfo.make_conninfo(conninfo, dbname="later")
    with psycopg.connect(later, autocommit=True) as connection:
        connection.execute("CREATE TABLE schema_version (number integer PRIMARY KEY, name text, checksum text, "
                           "applied timestamptz DEFAULT now())")  # fmt: skip
        connection.execute("INSERT INTO schema_version VALUES (9999, 'telepathy', 'x')")
    web, broker = free_ports(2)
    said = complaint("up", "--data-dir", str(tmp_path / "home"), "--listen", f"127.0.0.1:{web}",
                     "--mqtt-port", str(broker), "--database", later)  # fmt: skip
    assert "9999_telepathy" in said


def test_database_that_does_not_answer(tmp_path: Path) -> None:
    web, broker, nobody = free_ports(3)
    said = complaint("up", "--data-dir", str(tmp_path / "home"), "--listen", f"127.0.0.1:{web}",
                     "--mqtt-port", str(broker), "--database",
                     f"postgresql://vedette:s3cret@127.0.0.1:{nobody}/vedette")  # fmt: skip
    assert str(nobody) in said


def test_no_server_to_ask(tmp_path: Path) -> None:
    assert "vedette up" in complaint("warnings", "list", "--data-dir", str(tmp_path))
    said = complaint("status", "--server", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert "does not answer" in said


def test_unknown_command_and_unknown_warning(system: System) -> None:
    assert "No such command" in complaint("wornings")
    assert "no warning" in complaint("warnings", "show", "f" * 32, "--data-dir", str(system.home))
