"""Records and outboxes for the tests of delivery."""

from collections.abc import Sequence
from pathlib import Path

from contract.records import Event, Evidence, Lane, Phase, Reading, Record
from contract.wire import decode_record
from edge.delivery.lanes import NumberedBatch
from edge.delivery.outbox import Outbox

START = 1_790_000_000_000_000
"""A moment in 2026, in microseconds."""
PLENTY = 1_000_000_000


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * 1e6)


def reading(value: float, source: str = "gas", time: int | None = None, quantity: str = "co") -> Reading:
    return Reading(
        time=START + int(value * 1e6) if time is None else time, source=source, quantity=quantity, value=value
    )


def event(name: str, revision: int = 1, phase: Phase = Phase.OPEN, source: str = "gate") -> Event:
    return Event(
        id=name, kind="fire", phase=phase, revision=revision, time=START + revision, started=START, source=source
    )


def evidence(sha256: str, time: int = START, size: int = 10, name: str = "e") -> Evidence:
    return Evidence(
        event=name, sha256=sha256, bytes=size, media_type="image/jpeg", role="snapshot", source="gate", time=time
    )


def make(folder: Path, **options: object) -> Outbox:
    """An outbox in ``folder`` whose clock stands still unless one is given."""
    settings: dict[str, object] = {"max_bytes": PLENTY, "clock": Clock()} | options
    return Outbox(folder / "outbox.sqlite", **settings)  # type: ignore[arg-type]


def records_of(batches: Sequence[NumberedBatch | None]) -> list[Record]:
    return [decode_record(bytes(raw)) for batch in batches if batch for raw in batch.records]


def drain(outbox: Outbox, lane: Lane) -> list[Record]:
    """Number and acknowledge everything that waits in a lane."""
    found: list[Record] = records_of(outbox.unacked(lane))
    while batch := outbox.number(lane, 1000):
        found += records_of([batch])
    outbox.ack(outbox.epoch, lane, outbox.last()[lane])
    return found
