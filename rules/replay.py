"""Replay: the same entries give the same signals. Entries travel in files as JSON, one a line."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from contract.ids import Id, Micros
from contract.records import Lane, Record
from rules.durations import SECOND
from rules.engine import Engine
from rules.entry import Entry, Notice, RecordEntry, TickEntry
from rules.rule import RuleSet
from rules.signal import Signal


class EntryError(ValueError):
    """A line that is no entry; the text says why."""


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    time: Micros
    arrived: Micros = 0
    site: Id = "site"
    node: Id = "node"
    lane: Lane = Lane.LIVE
    record: Record | None = None
    notices: tuple[Notice, ...] = ()


_decoder: Final = msgspec.json.Decoder(_Line)


def replay(entries: Iterable[Entry], rules: RuleSet, state: bytes | None = None) -> Iterator[Signal]:
    """What ``rules`` say to ``entries``, one after another.

    Raises:
        SnapshotError: ``state`` cannot be read.
    """
    engine = Engine(rules, state)
    for entry in entries:
        yield from engine.apply(entry)


def with_ticks(entries: Iterable[Entry], until: int = 0, every: int = SECOND) -> Iterator[Entry]:
    """``entries`` with a tick each ``every`` microseconds between them, and on to ``until``: what the journal of a
    running cloud would hold. Entries come in the order of their arrival."""
    last = 0
    for entry in entries:
        now = arrival(entry)
        last = last or now
        while now - last >= every:
            last += every
            yield TickEntry(last)
        yield entry
    while last and last + every <= until:
        last += every
        yield TickEntry(last)


def arrival(entry: Entry) -> int:
    """When the journal got it."""
    return entry.time if isinstance(entry, TickEntry) else entry.arrived


def encode_entry(entry: Entry) -> bytes:
    """An entry as a line of JSON, without the line's end: ``{"time", "arrived", "site", "node", "lane", "record"}``, a
    tick as ``{"time"}`` alone, or with ``"notices"``."""
    if isinstance(entry, TickEntry):
        return msgspec.json.encode(_Line(entry.time, notices=entry.notices))
    line = _Line(entry.time, entry.arrived, entry.site, entry.node, entry.lane, entry.record)
    return msgspec.json.encode(line)


def decode_entry(line: bytes | str) -> Entry:
    """An entry back. Without ``arrived`` a record arrived when it was made; site, node and lane have defaults.

    Raises:
        EntryError: not JSON, or not an entry.
    """
    try:
        read = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EntryError(f"no entry: {error}") from error
    if read.record is None:
        return TickEntry(read.time, read.notices)
    return RecordEntry(read.time, read.arrived or read.time, read.site, read.node, read.lane, read.record)
