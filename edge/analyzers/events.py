"""The life of an event, as every analyzer writes it: opened, changed, closed; each revision one higher."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from contract.ids import Micros
from contract.records import Event, Phase

EventIds = Callable[[], str]
"""Gives a name to a new event, unique for ever; tests pass in a counter."""

SECOND = 1_000_000
"""Microseconds."""


def random_id() -> str:
    """128 random bits as 32 hexadecimal digits: two nodes never give the same name."""
    return secrets.token_hex(16)


def revise(event: Event, phase: Phase, time: Micros, **changes: Any) -> Event:
    """The next revision of ``event``; ``changes`` are its fields by name."""
    changed: Event = msgspec.structs.replace(event, phase=phase, revision=event.revision + 1, time=time, **changes)
    return changed


def may_change(event: Event, now: Micros, change_s: float) -> bool:
    """Whether the last revision lies so long ago that another may follow. Where the clock was set back nobody knows,
    and it may."""
    return not 0 <= now - event.time < change_s * SECOND


def close_orphan(event: Event, now: Micros, why: str) -> Event:
    """Close an event that nobody watches any more, such as that of a camera taken out of the settings."""
    return revise(event, Phase.CLOSE, now, attrs=event.attrs | {"reason": why})


def left_open(events: Iterable[Event], kind: str, source: str, zone: str = "") -> Event | None:
    """The event of this kind and place that an earlier run of the process left open; None where there is none."""
    found = [
        event
        for event in events
        if (event.kind, event.source, event.zone) == (kind, source, zone) and event.phase is not Phase.CLOSE
    ]
    return max(found, key=lambda event: event.started) if found else None
