"""The supervisor, with real processes: whatever happens to one of them happens to that one alone."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.records import PartHealth
from edge.supervisor.status import read_all, read_status
from edge.supervisor.supervisor import Limits, Part, Supervisor

QUICK = Limits(stall_s=2.5, warm_up_s=20, stop_s=2, first_pause_s=0.1, longest_pause_s=0.4, calm_s=30, tick_s=0.05)

WORKER = """
import sys, time, signal, threading
from pathlib import Path
from edge.supervisor.status import PartStatus
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
status = PartStatus(Path(sys.argv[1]), sys.argv[2])
while not stop.wait(0.1):
    status.beat({"turns": 1})
"""


def worker(folder: Path, name: str) -> Part:
    return Part(name, (sys.executable, "-c", WORKER, str(folder), name))


def script(name: str, text: str) -> Part:
    return Part(name, (sys.executable, "-c", text))


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Running:
    """A supervisor at work in this process."""

    def __init__(self, supervisor: Supervisor, folder: Path) -> None:
        self.supervisor = supervisor
        self.folder = folder

    def pid(self, part: str) -> int:
        status = read_status(self.folder / f"{part}.json")
        return status.pid if status is not None else 0

    def part(self, name: str) -> PartHealth:
        return next(part for part in self.supervisor.parts() if part.part == name)

    def all_ok(self) -> bool:
        return all(part.state == "ok" for part in self.supervisor.parts())


@contextmanager
def supervised(folder: Path, parts: list[Part], limits: Limits = QUICK) -> Iterator[Running]:
    stop = threading.Event()
    supervisor = Supervisor(parts, folder, limits)
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    try:
        yield Running(supervisor, folder)
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_part_that_is_killed_comes_back_and_the_others_go_on(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path, [worker(tmp_path, "one"), worker(tmp_path, "two")]) as node:
        until(node.all_ok)
        first, other = node.pid("one"), node.pid("two")
        os.kill(first, number)
        until(lambda: node.pid("one") not in (0, first) and node.all_ok())
        assert node.pid("two") == other
        assert node.part("two").restarts == 0
        assert node.part("one").restarts == 1


def test_a_part_that_stalls_is_killed_and_comes_back(tmp_path: Path) -> None:
    with supervised(tmp_path, [worker(tmp_path, "one"), worker(tmp_path, "two")]) as node:
        until(node.all_ok)
        first, other = node.pid("one"), node.pid("two")
        os.kill(first, signal.SIGSTOP)
        until(lambda: node.pid("one") not in (0, first) and node.all_ok())
        assert "no sign of life" in node.part("one").reason
        assert node.pid("two") == other


def test_a_part_that_never_gives_a_first_sign_is_killed_after_its_warm_up(tmp_path: Path) -> None:
    limits = Limits(stall_s=30, warm_up_s=0.5, first_pause_s=0.1, longest_pause_s=0.2, stop_s=2, tick_s=0.05)
    with supervised(tmp_path, [script("mute", "import time; time.sleep(60)")], limits) as node:
        until(lambda: node.part("mute").restarts >= 2)


def test_the_beat_of_a_predecessor_is_nobodys_sign_of_life(tmp_path: Path) -> None:
    """A status file left by a process that is gone must not pass for the new one's."""
    with supervised(tmp_path, [worker(tmp_path, "one")]) as node:
        until(node.all_ok)
    with supervised(tmp_path, [script("one", "import time; time.sleep(60)")]) as node:
        until(lambda: node.part("one").state == "starting")


def test_a_part_that_keeps_dying_is_degraded_and_still_started(tmp_path: Path) -> None:
    with supervised(tmp_path, [script("broken", "raise SystemExit(3)"), worker(tmp_path, "two")]) as node:
        until(lambda: node.part("broken").restarts >= 7)
        assert node.part("broken").state == "degraded"
        assert "exit code 3" in node.part("broken").reason
        until(lambda: node.part("two").state == "ok")
        assert node.part("two").restarts == 0


def test_a_command_that_cannot_be_started_is_reported_and_tried_again(tmp_path: Path) -> None:
    with supervised(tmp_path, [Part("absent", ("/nowhere/program",)), worker(tmp_path, "two")]) as node:
        until(lambda: node.part("two").state == "ok")
        assert node.part("absent").state == "down"
        assert "No such file" in node.part("absent").reason


def test_stopping_ends_every_part_and_kills_those_that_will_not(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    limits = Limits(stop_s=0.5, tick_s=0.05)
    with supervised(tmp_path, [worker(tmp_path, "one"), script("deaf", deaf)], limits) as node:
        until(lambda: node.part("one").state == "ok")
        pids = [node.pid("one")]
        before = time.monotonic()
    assert time.monotonic() - before < 4
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_a_part_has_started_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "helper"
    text = f"""
import os, subprocess, sys
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(note)!r}, "w").write(str(helper.pid))
os._exit(1)
"""
    limits = Limits(first_pause_s=30, tick_s=0.05)
    with supervised(tmp_path, [script("parent", text)], limits) as node:
        until(lambda: node.part("parent").restarts == 1)
        pid = int(note.read_text())
        until(lambda: not running(pid))


def test_the_supervisor_says_how_each_part_is(tmp_path: Path) -> None:
    with supervised(tmp_path, [worker(tmp_path, "one")]) as node:
        until(node.all_ok)
        until(lambda: "supervisor" in read_all(tmp_path))
        until(lambda: read_all(tmp_path)["supervisor"].detail["parts"][0]["state"] == "ok")
        assert read_all(tmp_path)["supervisor"].detail["parts"] == [
            {"part": "one", "state": "ok", "restarts": 0, "reason": ""}
        ]


def test_what_a_part_says_reaches_the_log_with_its_name_and_without_a_password(tmp_path: Path) -> None:
    text = """
import sys
sys.stderr.write('{"event":"camera.down","level":"error","camera":"lobby"}\\n')
sys.stdout.write("rtsp://admin:secret@10.0.0.9/1: method DESCRIBE failed\\n")
"""
    program = f"""
import sys, threading
from pathlib import Path
from edge.supervisor import logs
from edge.supervisor.supervisor import Limits, Part, Supervisor
logs.configure("supervisor")
stop = threading.Event()
threading.Timer(2.0, stop.set).start()
Supervisor([Part("capture.lobby", (sys.executable, "-c", {text!r}))], Path({str(tmp_path)!r}),
    Limits(first_pause_s=30, tick_s=0.05)).run(stop)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert '"camera": "lobby", "part": "capture.lobby"' in done.stderr
    assert "rtsp://***@10.0.0.9/1: method DESCRIBE failed" in done.stderr
    assert "secret" not in done.stderr


def running(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_parts_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    part = f"""
import os, sys, time
from pathlib import Path
from edge.supervisor.part import die_with_parent
die_with_parent(int(sys.argv[1]))
Path({str(note)!r}).write_text(str(os.getpid()))
time.sleep(60)
"""
    program = f"""
import os, sys, threading
from pathlib import Path
from edge.supervisor.supervisor import Part, Supervisor
part = Part("one", (sys.executable, "-c", {part!r}, str(os.getpid())))
Supervisor([part], Path({str(tmp_path)!r})).run(threading.Event())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as boss:
        until(lambda: note.exists() and note.read_text() != "")
        boss.kill()
        until(lambda: not running(int(note.read_text())))


def test_a_part_whose_supervisor_is_gone_already_ends_at_once(tmp_path: Path) -> None:
    text = "from edge.supervisor.part import die_with_parent; die_with_parent(999999999); print('still here')"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == ""
