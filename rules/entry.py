"""What the rules read: the journal, entry by entry."""

from enum import StrEnum

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


class NoticeKind(StrEnum):
    """What the cloud itself has noticed."""

    DEAF = "deaf"
    """It has no connection to the broker: nobody can be heard, and silence proves nothing."""
    SILENT = "silent"
    """The node is enrolled, and has not been heard of for long, or never."""
    TWICE = "twice"
    """Two boxes speak in the node's name, in turns."""


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """Told with a tick; ``site`` and ``node`` are empty where all are meant."""

    kind: NoticeKind
    site: str = ""
    node: str = ""


class TickEntry(msgspec.Struct, frozen=True, gc=False):
    """Time passes: once a second for each partition with nodes, so that windows run out without any record."""

    time: int
    notices: tuple[Notice, ...] = ()


Entry = RecordEntry | TickEntry
"""All times are microseconds since 1970-01-01 UTC."""
