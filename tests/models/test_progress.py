"""A long step says how far it is: in a bar, or in lines that a log can keep."""

import io
import os
import pty
import sys
from contextlib import suppress

import pytest

from models.workshop.progress import EVERY, bar, track


class Clock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_now_and_then_and_the_last() -> None:
    out, clock = io.StringIO(), Clock()
    for _ in track(range(100), "hashing", stream=out, clock=clock):
        clock.now += 1.0
    lines = out.getvalue().splitlines()
    # The item after which the clock stands at EVERY is the tenth.
    assert lines[0] == "hashing: 10/100  2 min left"
    assert lines[-1] == "hashing: 100/100"
    assert len(lines) == 100 / EVERY


def test_time_left_counts_only_what_was_done_now() -> None:
    out, clock = io.StringIO(), Clock()
    with bar("train", total=1000, start=900, stream=out, clock=clock) as shown:
        clock.now = 20.0
        shown.advance(10, "loss 1.5")
    assert out.getvalue() == "train: 910/1000  3 min left  loss 1.5\n"


def test_a_broken_step_still_says_how_far_it_came() -> None:
    out = io.StringIO()

    def broken() -> None:
        with bar("drawing", stream=out) as shown:
            shown.advance(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert out.getvalue() == "drawing: 3\n"


def test_a_terminal_gets_a_bar_and_lines_stand_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with bar("sets [all]", total=4) as shown:
            shown.advance(4, "loss 0.5")
            print("a word", file=sys.stderr)
    text = b""
    with suppress(OSError):  # the other end is closed: there is no more
        while part := os.read(ours, 65536):
            text += part
    os.close(ours)
    assert b"sets [all]" in text
    assert b"4/4" in text
    assert b"loss 0.5" in text
    assert b"a word" in text
