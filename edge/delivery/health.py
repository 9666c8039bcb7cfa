"""How the node is, out of what its parts say of themselves."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from contract.records import Health, ModelHealth, PartHealth, SourceHealth
from edge.supervisor.status import Status

STALE_S: Final = 15.0
"""A part that has been silent for longer does not speak for its sources any more."""

T = TypeVar("T")


def compose(
    statuses: Mapping[str, Status],
    *,
    monotonic: float,
    time: int,
    software: str,
    uptime_s: float,
    waiting: int,
    outbox_bytes: int,
    clock_ahead_s: float | None = None,
    counters: Mapping[str, int] | None = None,
) -> Health:
    """The node's health.

    Args:
        statuses: the last beat of each part, by name.
        monotonic: now, in seconds of the clock the beats are stamped with.
        time: now, microseconds.
        uptime_s: since the node started.
        waiting: records not yet acknowledged.
        outbox_bytes: what they take.
        clock_ahead_s: how far our clock is ahead of the cloud's, if known.
        counters: the outbox's.
    """
    counted = counters or {}
    return Health(
        time=time,
        software=software,
        uptime_s=uptime_s,
        sources=tuple(_sources(statuses, monotonic)),
        parts=tuple(_parts(statuses, monotonic)),
        models=tuple(m for s in statuses.values() for m in _items(s.detail.get("models"), ModelHealth)),
        outbox_waiting=waiting,
        outbox_bytes=outbox_bytes,
        clock_ahead_s=clock_ahead_s,
        readings_thinned=counted.get("thinned", 0) + sum(_thinned(status) for status in statuses.values()),
        uploads_lost=counted.get("uploads_refused", 0) + counted.get("uploads_vanished", 0),
    )


def _sources(statuses: Mapping[str, Status], now: float) -> list[SourceHealth]:
    found = []
    for status in statuses.values():
        one = status.detail.get("source")
        several = status.detail.get("sources")
        age = now - status.monotonic
        for source in _items([one] if one else several, SourceHealth):
            silent = f"{status.part} has been silent for {age:.0f} s"
            found.append(msgspec.structs.replace(source, state="down", reason=silent) if age > STALE_S else source)
    return found


def _parts(statuses: Mapping[str, Status], now: float) -> list[PartHealth]:
    """The supervisor's view; without one, what each part says of itself."""
    supervisor = statuses.get("supervisor")
    if supervisor is not None:
        return _items(supervisor.detail.get("parts"), PartHealth)
    return [
        PartHealth(
            part=status.part, state="down" if now - status.monotonic > STALE_S else status.state, reason=status.reason
        )
        for status in statuses.values()
    ]


def _thinned(status: Status) -> int:
    """Readings that gave way in the part's memory, while the outbox had no room for them."""
    count = status.detail.get("readings_thinned", 0)
    return count if isinstance(count, int) else 0


def _items(raw: Any, type_: type[T]) -> list[T]:
    """Those that can be read; what a part of another release says otherwise is left out."""
    found = []
    for item in raw if isinstance(raw, list) else []:
        try:
            found.append(msgspec.convert(item, type_))
        except msgspec.ValidationError:
            continue
    return found
