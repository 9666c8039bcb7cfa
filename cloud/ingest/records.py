"""Which records of a batch count: the same at arrival and whenever the journal is read."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from cloud.ingest.clocks import shifted
from contract.messages import Batch
from contract.records import Event, Evidence, Health, Heartbeat, Reading, Record, Summary
from contract.wire import Bad, decode_records

LONGEST_NAME: Final = 128
"""Characters of a quantity, unit, kind, zone or id: they stand in indexes, whose rows PostgreSQL limits."""
MOST_SUMMED: Final = 1_000_000_000
"""Readings that one summary may stand for: those of a day, eleven thousand a second. Counts are added up for years."""
_LARGEST: Final = 2**63 - 1
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def sift(batch: Batch, behind: int = 0) -> tuple[list[Record], list[Bad]]:
    """The records that count, in order, and those that no table can hold, with the reasons.

    ``behind`` is how far the clock that stamped them is behind ours (``cloud.ingest.clocks``); it is taken out.
    """
    good, bad = decode_records(batch.records)
    kept: list[Record] = []
    for index, record in good:
        if reason := unfit(record):
            bad.append(Bad(index, bytes(batch.records[index]), reason))
        else:
            kept.append(shifted(record, behind) if behind else record)
    return kept, sorted(bad, key=lambda one: one.index)


def only(batch: Batch, bad: Sequence[Bad]) -> Batch:
    """A batch of the bad records alone: what lies in quarantine is what was not taken in. Its numbers are its own."""
    raws = tuple(batch.records[one.index] for one in bad)
    return msgspec.structs.replace(batch, last=batch.first + len(raws) - 1, records=raws)


def unfit(record: Record) -> str:
    """Why no row can hold the record; empty where one can."""
    if isinstance(record, Reading):
        return _too_long("quantity", record.quantity) or _too_long("unit", record.unit)
    if isinstance(record, Event):
        if not record.id:
            return "id is empty"
        texts = {"id": record.id, "kind": record.kind, "zone": record.zone}
        return _first_too_long(texts) or _too_large("revision", record.revision)
    if isinstance(record, Evidence):
        if not _SHA256.fullmatch(record.sha256):
            return f"sha256 {record.sha256[:80]!r} is not 64 hexadecimal digits"
        texts = {"event": record.event, "media_type": record.media_type, "role": record.role}
        return _first_too_long(texts) or _too_large("bytes", record.bytes)
    if isinstance(record, Health | Heartbeat):
        return ""
    return _too_long("quantity", record.quantity) or _too_long("unit", record.unit) or _no_summary(record)


def _no_summary(record: Summary) -> str:
    if not 1 <= record.count <= MOST_SUMMED:
        return f"count is {record.count}; a summary stands for 1 to {MOST_SUMMED} readings"
    if record.min > record.max:
        return f"min {record.min} is above max {record.max}"
    return "until is before time" if record.until < record.time else ""


def _first_too_long(texts: dict[str, str]) -> str:
    return next((fault for name, text in texts.items() if (fault := _too_long(name, text))), "")


def _too_long(name: str, text: str) -> str:
    if len(text) <= LONGEST_NAME:
        return ""
    return f"{name} has {len(text)} characters; at most {LONGEST_NAME} are allowed"


def _too_large(name: str, number: int) -> str:
    return "" if abs(number) <= _LARGEST else f"{name} is {number}; at most 2**63 - 1 is allowed"
