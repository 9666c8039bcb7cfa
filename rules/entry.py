"""What the rules read: the journal, entry by entry."""

from dataclasses import dataclass

from contract.records import Lane, Record


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """A record as the journal holds it. ``time`` is the record's own where that was believable, else ``arrived``."""

    time: int
    arrived: int
    site: str
    node: str
    lane: Lane
    record: Record


@dataclass(frozen=True, slots=True)
class TickEntry:
    """Time passes: once a second for each partition with nodes, so that windows run out without any record."""

    time: int


Entry = RecordEntry | TickEntry
"""All times are microseconds since 1970-01-01 UTC."""
