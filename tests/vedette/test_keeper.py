"""A dead part comes back, a hopeless one ends the whole by name, and nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vedette.up.keeper import Keeper, PartFailedError, State


@dataclass(frozen=True)
class Script:
    """A part that is a few lines of Python."""

    name: str
    text: str
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", textwrap.dedent(self.text)]

    def prepare(self) -> None:
        return None

    def ready(self) -> bool:
        return True


SLEEPER = "import time; time.sleep(600)"


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def keep_in_background(keeper: Keeper, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=keeper.keep, args=(stop,))
    thread.start()
    return thread


def wait_for(condition: object, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_killed_part_comes_back_and_the_others_stay(tmp_path: Path, stop: threading.Event) -> None:
    keeper = Keeper([Script("one", SLEEPER), Script("two", SLEEPER)], tmp_path)
    keeper.start("one", stop)
    keeper.start("two", stop)
    first, second = (kept.child for kept in keeper.kept)
    assert first is not None
    assert second is not None
    thread = keep_in_background(keeper, stop)
    try:
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: keeper.kept[0].restarts == 1 and keeper.kept[0].state is State.UP)
        assert keeper.kept[1].child is second
        assert second.poll() is None
    finally:
        stop.set()
        thread.join()
        keeper.stop()
    assert second.poll() == -signal.SIGTERM


def test_part_that_keeps_dying_ends_the_whole_by_name(tmp_path: Path, stop: threading.Event) -> None:
    keeper = Keeper([Script("broken", "print('the reason', flush=True); raise SystemExit(7)")], tmp_path)
    clock = iter(range(10_000))
    keeper._monotonic = lambda: float(next(clock)) / 20
    keeper._launch(keeper.kept[0])
    with pytest.raises(PartFailedError, match=r"(?s)broken died 5 times in 60 s, last with exit code 7.*the reason"):
        keeper.keep(stop)
    keeper.stop()


def test_part_that_ends_while_starting_says_why(tmp_path: Path, stop: threading.Event) -> None:
    class NeverReady(Script):
        def ready(self) -> bool:
            return False

    keeper = Keeper([NeverReady("shy", "print('no licence'); raise SystemExit(3)")], tmp_path)
    with pytest.raises(PartFailedError, match=r"(?s)shy ended with exit code 3 while starting.*no licence"):
        keeper.start("shy", stop)


def test_stalled_part_is_killed_and_comes_back(
    tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vedette.up.keeper.SILENT_S", 1.0)
    monkeypatch.setattr("vedette.up.keeper._ASK_S", 0.1)
    beat = tmp_path / "beat"

    class Beating(Script):
        def ready(self) -> bool:
            return beat.exists() and time.time() - beat.stat().st_mtime < 0.5

    text = f"import pathlib, time\nwhile True: pathlib.Path({str(beat)!r}).touch(); time.sleep(0.05)"
    keeper = Keeper([Beating("beating", text)], tmp_path)
    keeper.start("beating", stop)
    child = keeper.kept[0].child
    assert child is not None
    thread = keep_in_background(keeper, stop)
    try:
        os.kill(child.pid, signal.SIGSTOP)
        wait_for(lambda: keeper.kept[0].restarts == 1 and keeper.kept[0].state is State.UP)
        assert child.poll() == -signal.SIGKILL
    finally:
        stop.set()
        thread.join()
        keeper.stop()


def test_stop_kills_what_does_not_end(tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.up.keeper.STOP_WITHIN_S", 0.3)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    keeper = Keeper([Script("deaf", deaf)], tmp_path)
    keeper.start("deaf", stop)
    child = keeper.kept[0].child
    assert child is not None
    wait_for(lambda: "deaf" in keeper.kept[0].tail())
    keeper.stop()
    assert child.poll() == -signal.SIGKILL


def test_children_do_not_outlive_a_killed_keeper(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import threading, pathlib
                from tests.vedette.test_keeper import Script, SLEEPER
                from vedette.up.keeper import Keeper
                keeper = Keeper([Script("one", SLEEPER)], pathlib.Path({str(tmp_path)!r}))
                stop = threading.Event()
                keeper.start("one", stop)
                print(keeper.kept[0].child.pid, flush=True)
                keeper.keep(stop)
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_for(lambda: b"time.sleep" in Path(f"/proc/{child}/cmdline").read_bytes())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
