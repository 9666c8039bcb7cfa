"""What a window is: samples go in, one value comes out."""

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any

import msgspec

Value = float | int | str | bool | timedelta
"""A window's value; durations are ``timedelta``."""


class Sample(msgspec.Struct, gc=False):
    """What a window sees of a record."""

    time: int
    source: str
    """``site/node/source``."""
    value: Value | None = None
    """The field the window asks for; None where the record has none or one of another type."""
    matches: bool = True
    """Whether the window's ``where`` holds for it."""
    event: str = ""
    """An event's id."""
    open: bool = False
    """Whether that event is still open after this revision."""
    stage: int = 0
    """For a sequence: which of its steps the record could be."""


class Window(ABC):
    """One named value of one key. Samples later than the window's far edge change nothing."""

    __slots__ = ()

    @abstractmethod
    def update(self, sample: Sample, now: int) -> bool:
        """Take a sample at engine time ``now``; False where it is late or not wanted, and nothing changed."""

    @abstractmethod
    def value(self, now: int, listening: int) -> Value | None:
        """The value at ``now``; None where there is no data for one. ``listening`` is since when records have been
        heard without a break."""

    @abstractmethod
    def due(self, now: int, listening: int) -> int | None:
        """When the value can next change without a sample; None where it is empty and never will."""

    @abstractmethod
    def dump(self) -> list[Any]:
        """All it holds, as plain lists, numbers and texts."""

    @abstractmethod
    def load(self, raw: list[Any]) -> None:
        """Take back what ``dump`` gave."""


class Order:
    """Tells late samples: older than the far edge, or than the newest of their own source."""

    __slots__ = ("newest", "span")

    def __init__(self, span: int) -> None:
        self.span = span
        self.newest: dict[str, int] = {}

    def late(self, sample: Sample, now: int) -> bool:
        """Whether the sample comes too late; if not, it becomes its source's newest. Events have revisions instead of
        an order among them, so only the far edge counts for them."""
        edge = now - self.span
        if sample.time <= edge:
            return True
        if sample.event:
            return False
        if sample.time < self.newest.get(sample.source, 0):
            return True
        if len(self.newest) >= 64 and sample.source not in self.newest:
            self.newest = {source: time for source, time in self.newest.items() if time > edge}
        self.newest[sample.source] = sample.time
        return False
