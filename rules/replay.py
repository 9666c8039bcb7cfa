"""Replay: the same entries give the same signals."""

from collections.abc import Iterable, Iterator

from rules.durations import SECOND
from rules.engine import Engine
from rules.entry import Entry, RecordEntry, TickEntry
from rules.language import RuleSet
from rules.signal import Signal


def replay(entries: Iterable[Entry], rules: RuleSet, state: bytes | None = None) -> Iterator[Signal]:
    """What ``rules`` say to ``entries``, one after another.

    Raises:
        SnapshotError: ``state`` cannot be read.
    """
    engine = Engine(rules, state)
    for entry in entries:
        yield from engine.apply(entry)


def with_ticks(entries: Iterable[RecordEntry], until: int = 0, every: int = SECOND) -> Iterator[Entry]:
    """``entries`` with a tick each ``every`` microseconds between them, and on to ``until``: what the journal of a
    running cloud would hold. Entries come in the order of their arrival."""
    last = 0
    for entry in entries:
        if not last:
            last = entry.arrived
        while entry.arrived - last >= every:
            last += every
            yield TickEntry(last)
        yield entry
    while last and last + every <= until:
        last += every
        yield TickEntry(last)
