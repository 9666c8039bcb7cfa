"""What holds for the events of every analyzer, whatever it was fed."""

from collections.abc import Callable, Iterable
from itertools import count, pairwise

from contract.records import Event, Phase

START = 1_800_000_000_000_000


def at(seconds: float) -> int:
    """Microseconds since 1970."""
    return START + round(seconds * 1_000_000)


def names() -> Callable[[], str]:
    """Ids that count up."""
    numbers = count(1)
    return lambda: f"{next(numbers):032x}"


def check_lives(events: Iterable[Event], monotonic: bool = True) -> list[list[Event]]:
    """Each event opens once, has revisions 1, 2, 3 …, and says nothing after it has closed; of one source, kind and
    zone only one is open at a time. Returns the revisions by event."""
    lives: dict[str, list[Event]] = {}
    open_now: dict[tuple[str, str, str], str] = {}
    for event in events:
        key = (event.source, event.kind, event.zone)
        if event.phase is Phase.OPEN:
            assert event.id not in lives
            assert key not in open_now
            open_now[key] = event.id
        else:
            assert open_now[key] == event.id
        if event.phase is Phase.CLOSE:
            del open_now[key]
        lives.setdefault(event.id, []).append(event)
    for life in lives.values():
        assert [event.revision for event in life] == list(range(1, len(life) + 1))
        assert all(event.started == life[0].started for event in life)
        if monotonic:
            assert life[0].started <= life[0].time
            assert all(a.time <= b.time for a, b in pairwise(life))
    return list(lives.values())
