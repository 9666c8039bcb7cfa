"""The numbered records of a run: each number once, and in each the number can be read again."""

from dataclasses import dataclass
from typing import Final

from contract.records import Event, Phase, Reading, Record

SITE: Final = "chaos"
SOURCE: Final = "numbers"
QUANTITY: Final = "number"
_GATES: Final = 40
"""Sources of events; with so many a fire's warning ends before the next fire of the same source."""
_FIRE_EVERY: Final = 10


@dataclass(frozen=True)
class Numbered:
    """What one node writes: readings ``0`` to ``readings - 1``, and events likewise."""

    node: str
    partition: int
    readings: int
    events: int


def reading(number: int, time: int) -> Reading:
    """The reading of that number; ``time`` in microseconds."""
    return Reading(time=time, source=SOURCE, quantity=QUANTITY, value=float(number))


def event(number: int, time: int) -> Event:
    """The event record of that number: an even one opens an event, and the next closes it. Each tenth is a fire."""
    pair = number // 2
    closes = number % 2 == 1
    return Event(
        id=f"e{pair}",
        kind="note" if pair % _FIRE_EVERY else "fire",
        phase=Phase.CLOSE if closes else Phase.OPEN,
        revision=2 if closes else 1,
        time=time,
        started=time,
        source=f"gate-{pair % _GATES}",
    )


def number_of(record: Record) -> tuple[str, int] | None:
    """``("reading", number)`` or ``("event", number)``; None of a record that is none of ours."""
    if isinstance(record, Reading) and record.source == SOURCE and record.quantity == QUANTITY:
        return "reading", int(record.value)
    if isinstance(record, Event) and record.source.startswith("gate-"):
        return "event", 2 * int(record.id[1:]) + record.revision - 1
    return None
