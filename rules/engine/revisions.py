"""Which revision of each event has been seen, so that an older one changes nothing."""

from typing import Any, Final

from rules.durations import DAY, HOUR

KEEP_OPEN: Final = DAY
KEEP_CLOSED: Final = HOUR
"""After so long without a word the event is forgotten; a straggler of it would count as new."""


class Revisions:
    """The newest revision of every event heard of lately."""

    __slots__ = ("closed", "open")

    def __init__(self) -> None:
        # Each in order of the last word, so that what is to be forgotten stands in front.
        self.open: dict[str, tuple[int, int]] = {}
        self.closed: dict[str, tuple[int, int]] = {}

    def known(self, event: str) -> bool:
        """Whether any revision of it was heard of."""
        return event in self.open or event in self.closed

    def newer(self, event: str, revision: int, now: int, *, closes: bool) -> bool:
        """Whether this revision is higher than every one before it; it is noted."""
        known = self.open.pop(event, None)
        if known is None:
            known = self.closed.pop(event, None)
            was_closed = known is not None
        else:
            was_closed = False
        fresh = known is None or revision > known[0]
        noted = revision if known is None or fresh else known[0]
        closed = closes if fresh else was_closed
        (self.closed if closed else self.open)[event] = (noted, now)
        _forget(self.open, now - KEEP_OPEN)
        _forget(self.closed, now - KEEP_CLOSED)
        return fresh

    def dump(self) -> list[Any]:
        """All it holds, as plain lists."""
        return [[[event, *held] for event, held in table.items()] for table in (self.open, self.closed)]

    def load(self, raw: list[Any]) -> None:
        """Take back what ``dump`` gave."""
        self.open, self.closed = ({event: (rev, time) for event, rev, time in table} for table in raw)


def _forget(table: dict[str, tuple[int, int]], edge: int) -> None:
    while table:
        event, (_, heard) = next(iter(table.items()))
        if heard > edge:
            return
        del table[event]
