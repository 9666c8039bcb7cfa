"""How far a long step has come: a bar on stderr where that is a terminal, and a plain line now and then elsewhere.

    for picture in track(pictures, "hashing"):
        ...
    with bar("train fire, part 1", total=700, start=200) as shown:
        shown.advance(1, "loss 1.31  22.4 pictures/s")

A bar leaves stdout alone: results go there. What is written to `sys.stderr` while a bar is up appears above it. Show
one bar at a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
Log = Callable[[str], None]
EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


class Bar(Protocol):
    """What is told of a step on its way."""

    def advance(self, done: int = 1, note: str = "") -> None:
        """So many more are done; `note` is shown behind the bar until the next one."""


def track(
    items: Iterable[T],
    title: str,
    total: int | None = None,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """The items one by one, counted in a bar. `total` is their number, needed where they have no length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(title, total, stream=stream, clock=clock) as shown:
        for item in items:
            yield item
            shown.advance()


@contextmanager
def bar(
    title: str,
    total: int | None = None,
    start: int = 0,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Bar]:
    """A bar of `total` (None: unknown), of which `start` were done before; on `stream` (None: stderr)."""
    out = stream or sys.stderr
    if not out.isatty():
        lines = Lines(title, total, start, out, clock)
        try:
            yield lines
        finally:
            lines.close()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(file=out), redirect_stdout=False) as progress:
        yield _Drawn(progress, title, total, start)


class _Drawn:
    """A bar that `rich` draws."""

    def __init__(self, progress: Progress, title: str, total: int | None, start: int) -> None:
        self._progress = progress
        # Square brackets in a title are letters, not markup.
        self._task = progress.add_task(title.replace("[", r"\["), total=total, completed=start, note="")

    def advance(self, done: int = 1, note: str = "") -> None:
        self._progress.update(self._task, advance=done, **({"note": note.replace("[", r"\[")} if note else {}))  # type: ignore[arg-type]


class Lines:
    """A bar told in lines, one every `EVERY` seconds and one at the end: for a log file."""

    def __init__(self, title: str, total: int | None, start: int, out: TextIO, clock: Callable[[], float]) -> None:
        self._title, self._total, self._out, self._clock = title, total, out, clock
        self._start = self._done = start
        self._began = self._told = clock()
        self._told_at = -1
        self._note = ""

    def advance(self, done: int = 1, note: str = "") -> None:
        self._done += done
        self._note = note or self._note
        if self._clock() - self._told >= EVERY:
            self._tell()

    def close(self) -> None:
        """The last line, unless it was just told."""
        if self._told_at != self._done:
            self._tell()

    def _tell(self) -> None:
        self._told, self._told_at = self._clock(), self._done
        of = f"{self._done}" if self._total is None else f"{self._done}/{self._total}"
        parts = [f"{self._title}: {of}", _left(self._left())]
        self._out.write("  ".join(p for p in (*parts, self._note) if p) + "\n")
        self._out.flush()

    def _left(self) -> float | None:
        now = self._done - self._start
        if self._total is None or now <= 0 or self._done >= self._total:
            return None
        return (self._clock() - self._began) / now * (self._total - self._done)


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min left"
    return f"{minutes} min left" if minutes else f"{round(seconds)} s left"
