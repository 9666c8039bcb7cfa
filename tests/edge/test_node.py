"""A whole node, with its real processes: kill any of them, and the others do not notice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge import node
from edge.config import load_config
from edge.paths import NodePaths
from edge.sources.frames import FrameReader
from edge.supervisor.status import Status, read_all
from tests.edge.sources.conftest import draw

PROGRAM = """
import sys
from pathlib import Path
from edge import node
from edge.supervisor.supervisor import Limits
limits = Limits(stall_s=4.0, first_pause_s=0.2)
sys.exit(node.run(Path(sys.argv[1]), Path(sys.argv[2]), limits=limits))
"""


def write_config(folder: Path, **parts: Any) -> Path:
    log = folder / "log.csv"
    log.write_text("time,CO\n" + "".join(f"{number / 10},{number % 50}\n" for number in range(1000)))
    camera = {"url": "clip.mp4", "loop": True, "fps": 10, "detectors": []}
    base = {
        "node": "box-1",
        "site": "harbour",
        "uplink": {"broker": "mqtt://127.0.0.1:9", "cloud": "http://127.0.0.1:9", "password": "hunter2"},
        "storage": {"folder": "data"},
        "cameras": {"lobby": camera, "yard": camera},
        "sensors": {
            "gas": {"url": str(log), "loop": True, "channels": [{"quantity": "co", "column": "CO", "unit": "[ppm]"}]}
        },
    }
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(base | parts))
    return path


def until(condition: Callable[[], object], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.03)


class Node:
    """A running node, seen from outside."""

    def __init__(self, process: "subprocess.Popen[bytes]", run: Path) -> None:
        self.process = process
        self.run = run

    def statuses(self) -> dict[str, Status]:
        return read_all(self.run / "status")

    def pid(self, part: str) -> int:
        status = self.statuses().get(part)
        return status.pid if status is not None else 0

    def pids(self) -> dict[str, int]:
        return {part: status.pid for part, status in self.statuses().items() if part != "supervisor"}

    def part(self, name: str) -> dict[str, Any]:
        supervisor = self.statuses().get("supervisor")
        parts = supervisor.detail["parts"] if supervisor is not None else []
        return next((part for part in parts if part["part"] == name), {})

    def alive(self, part: str) -> bool:
        """Whether it runs and works: frames or readings within the last second or two."""
        status = self.statuses().get(part)
        if status is None or time.monotonic() - status.monotonic > 2.5:
            return False
        sources = status.detail.get("sources") or [status.detail.get("source")]
        return all(source is None or (source["state"] == "ok" and source["age_s"] < 2.5) for source in sources)

    def works(self) -> bool:
        return all(self.alive(part) for part in ("capture.lobby", "capture.yard", "sensing", "vision", "delivery"))

    def frame(self, camera: str) -> int:
        frame = FrameReader(self.run / "frames" / camera).latest()
        if frame is None:
            return 0
        frame.release()
        return frame.sequence


@contextmanager
def running(folder: Path, config: Path) -> Iterator[Node]:
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, config, folder / "run"], stderr=log)
        try:
            yield Node(process, folder / "run")
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# Why slow: each of these starts the five or so processes of a whole node, and waits for the interpreters.
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    draw(folder / "clip.mp4")
    with running(folder, write_config(folder)) as found:
        until(found.works)
        yield found


@slow
@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("capture.lobby", signal.SIGSEGV),
        ("sensing", signal.SIGKILL),
        ("vision", signal.SIGSEGV),
        ("delivery", signal.SIGSEGV),
    ],
)
def test_a_killed_part_comes_back_and_the_others_go_on(box: Node, part: str, number: signal.Signals) -> None:
    before = box.pids()
    frames = {camera: box.frame(camera) for camera in ("lobby", "yard")}
    os.kill(before[part], number)
    until(lambda: box.pid(part) not in (0, before[part]) and box.works())
    after = box.pids()
    assert {name for name in before if before[name] != after[name]} == {part}
    assert all(box.frame(camera) > sequence for camera, sequence in frames.items())
    until(lambda: box.part(part).get("restarts") == 1)
    assert number.name in box.part(part)["reason"] or part == "delivery"
    assert all(box.part(other).get("restarts", 0) <= 1 for other in before)


@slow
def test_a_stalled_part_is_killed_and_comes_back(box: Node) -> None:
    before = box.pids()
    os.kill(before["capture.yard"], signal.SIGSTOP)
    until(lambda: box.pid("capture.yard") not in (0, before["capture.yard"]) and box.works())
    assert {name for name in before if before[name] != box.pids()[name]} == {"capture.yard"}
    until(lambda: "no sign of life" in box.part("capture.yard").get("reason", ""))


@slow
def test_a_second_node_on_the_same_data_is_refused(box: Node) -> None:
    folder = box.run.parent
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder / "node.yaml", folder / "other-run"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"another node process already runs on {folder / 'data'}" in done.stderr
    assert box.works()


@slow
def test_pictures_are_for_this_user_alone(box: Node) -> None:
    assert box.run.stat().st_mode & 0o077 == 0


@slow
def test_a_camera_that_is_away_is_down_with_its_reason_while_the_rest_works(tmp_path: Path) -> None:
    draw(tmp_path / "clip.mp4")
    good = {"url": "clip.mp4", "loop": True, "fps": 10, "detectors": []}
    away = {"url": "rtsp://admin:hunter2@127.0.0.1:9/1", "detectors": [], "timeout_s": 1}
    config = write_config(tmp_path, cameras={"lobby": good, "away": away}, sensors={})
    with running(tmp_path, config) as found:
        until(lambda: found.alive("capture.lobby"))
        until(lambda: "capture.away" in found.statuses())
        until(lambda: found.statuses()["capture.away"].detail["source"]["state"] == "down")
        status = found.statuses()["capture.away"]
    assert status.state == "ok", "the part is well; its camera is not"
    assert "rtsp://***@127.0.0.1:9/1 refused the connection" in status.detail["source"]["reason"]
    assert found.process.returncode == 0
    assert "hunter2" not in (tmp_path / "node.log").read_text() + json.dumps(status.detail)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_all_parts_end_with_the_node(tmp_path: Path, number: signal.Signals) -> None:
    draw(tmp_path / "clip.mp4")
    camera = {"url": "clip.mp4", "loop": True, "detectors": []}
    with running(tmp_path, write_config(tmp_path, cameras={"lobby": camera})) as found:
        until(lambda: len(found.pids()) == 4)
        pids = list(found.pids().values())
        began = time.monotonic()
        found.process.send_signal(number)
        code = found.process.wait(15)
        until(lambda: not any(runs(pid) for pid in pids), seconds=5)
        assert time.monotonic() - began < 6
    assert code == (0 if number is signal.SIGTERM else -signal.SIGKILL)


def test_a_file_that_cannot_be_used_ends_with_two_and_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert node.run(write_config(tmp_path, camras={}), tmp_path / "run") == 2
    assert "camras: unknown key; did you mean 'cameras'?" in capsys.readouterr().err
    assert node.run(tmp_path / "absent.yaml") == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert node.run(write_config(tmp_path, storage={"folder": "file/data"}), tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert "storage.folder: " in said
    assert "Not a directory; give it to this user or name another" in said


def test_a_run_folder_too_deep_for_a_socket_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert node.run(write_config(tmp_path), tmp_path / ("deep" * 30)) == 2
    assert "too deep: a socket's path has 107 bytes at most" in capsys.readouterr().err


def test_a_run_folder_of_somebody_elses_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "theirs")
    assert node.run(write_config(tmp_path), tmp_path / "run") == 2
    assert "belongs to somebody else" in capsys.readouterr().err


def test_the_parts_follow_from_the_settings(tmp_path: Path) -> None:
    config_path = write_config(tmp_path)
    config = load_config(config_path)
    names = [part.name for part in node.parts(config, config_path, tmp_path)]
    assert names == ["capture.lobby", "capture.yard", "sensing", "vision", "delivery"]
    bare = load_config(write_config(tmp_path, cameras={}, sensors={}))
    assert [part.name for part in node.parts(bare, config_path, tmp_path)] == ["delivery"]


def test_two_nodes_of_one_name_have_run_folders_of_their_own(tmp_path: Path) -> None:
    one = load_config(write_config(tmp_path, storage={"folder": "one"}))
    two = load_config(write_config(tmp_path, storage={"folder": "two"}))
    assert node.default_run_dir(one) != node.default_run_dir(two)
    assert "box-1" in node.default_run_dir(one).name


@slow
def test_stopping_by_event_leaves_nothing_behind(tmp_path: Path) -> None:
    """In another thread than the main one, as a program that holds a node would."""
    draw(tmp_path / "clip.mp4")
    config = write_config(tmp_path, cameras={}, sensors={})
    stop, codes = threading.Event(), []
    thread = threading.Thread(target=lambda: codes.append(node.run(config, tmp_path / "run", stop)))
    thread.start()
    until(lambda: "delivery" in read_all(NodePaths(tmp_path / "data", tmp_path / "run").status))
    stop.set()
    thread.join(15)
    assert codes == [0]
    assert not (tmp_path / "run" / "frames").exists(), "frames are memory"
