"""What the rules read: the journal, entry by entry."""

import msgspec

from contract.records import Lane, Record


class RecordEntry(msgspec.Struct, frozen=True, gc=False):
    """A record as the journal holds it. ``time`` is the record's own where that was believable, else ``arrived``."""

    time: int
    arrived: int
    site: str
    node: str
    lane: Lane
    record: Record


class TickEntry(msgspec.Struct, frozen=True, gc=False):
    """Time passes: once a second for each partition with nodes, so that windows run out without any record."""

    time: int


Entry = RecordEntry | TickEntry
"""All times are microseconds since 1970-01-01 UTC."""
