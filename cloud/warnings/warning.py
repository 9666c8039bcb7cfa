"""A warning: what the rules have said of one episode, and what the officers made of it. Pure.

The rules' part is a join: signals may come in any order and any number of times, and the same warning stands at the
end. The officers' part follows the alarm states of ISA-18.2: a condition that ends stays on the list until somebody
has acknowledged it, and one that was acknowledged leaves by itself when it ends. When it grows worse than what an
officer has answered, it opens again: whoever acknowledged (or resolved, or cancelled) saw the lesser one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from contract.detections import Detection
from contract.ids import digest
from contract.records import ModelRef
from rules.signal import Action, Severity, Signal, Text

Value = float | int | str | bool | None


class State(StrEnum):
    """Where a warning stands. ``resolved`` and ``cancelled`` (a false alarm) are off the list."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"


ON_THE_LIST: Final = (State.OPEN, State.ACKNOWLEDGED)


class StepKind(StrEnum):
    """What happened to a warning at one revision: the first five by a rule, the rest by a person."""

    RAISED = "raised"
    CHANGED = "changed"
    ESCALATED = "escalated"
    CLEARED = "cleared"
    REMEMBERED = "remembered"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"
    NOTED = "noted"


@dataclass(frozen=True)
class Seen:
    """What the detector saw, from the events that a signal names: the picture that decided."""

    detections: tuple[Detection, ...] = ()
    model: ModelRef | None = None
    captured: int | None = None
    """Capture time of the frame, microseconds."""
    detected: int | None = None
    """When the detector or sensor gave the result, microseconds."""


NOTHING_SEEN: Final = Seen()


@dataclass(frozen=True, kw_only=True)
class Warned:
    """One warning. (``Warning`` is Python's own.) Times are microseconds since 1970 UTC.

    ``said`` is the place of the signal whose words these are, in the order that decides between signals: its time, a
    change before a raise, its digest. ``answered`` is the severity an officer last answered.
    """

    id: str
    rule: str
    rule_version: str
    key: str
    episode: int
    kind: str
    severity: Severity
    title: Text
    text: Text
    playbook: Text
    cap: dict[str, str]
    condition: str
    values: dict[str, Value]
    sources: tuple[str, ...]
    events: tuple[str, ...]
    seen: Seen
    said: tuple[int, bool, str]
    raised: int
    changed: int
    cleared: int | None = None
    state: State = State.OPEN
    answered: Severity | None = None
    acknowledged_by: str = ""
    assigned_to: str = ""
    past: bool = False
    revision: int = 1

    @property
    def site(self) -> str:
        """The one site it is about; empty where there are several."""
        return _common(self.sources or (self.key,), 0)

    @property
    def node(self) -> str:
        """The one node it is about; empty where there are several."""
        return _common(self.sources or (self.key,), 1) if self.site else ""


_RANK: Final = {
    Severity.UNKNOWN: 0,
    Severity.MINOR: 1,
    Severity.MODERATE: 2,
    Severity.SEVERE: 3,
    Severity.EXTREME: 4,
}


def worse(one: Severity, other: Severity) -> bool:
    """Whether ``one`` is graver than ``other``."""
    return _RANK[one] > _RANK[other]


def fingerprint(signal: Signal) -> str:
    """Tells a repeated signal from a new one: 32 hexadecimal digits over all of it."""
    return digest(msgspec.json.encode(signal, order="deterministic").decode())


def begin(signal: Signal, seen: Seen, now: int) -> Warned:
    """The warning as its first signal makes it (a clear too: then it has ended before it was known)."""
    return Warned(
        id=signal.warning,
        rule=signal.rule,
        rule_version=signal.rule_version,
        key=signal.key,
        episode=signal.episode,
        kind=signal.kind,
        severity=signal.severity,
        title=signal.title,
        text=signal.text,
        playbook=signal.playbook,
        cap=signal.cap,
        condition=signal.condition,
        values=signal.values,
        sources=tuple(sorted(set(signal.sources))),
        events=tuple(sorted(set(signal.events))),
        seen=seen,
        said=_place(signal),
        raised=signal.time,
        changed=now,
        cleared=signal.time if signal.action is Action.CLEAR else None,
    )


def join(warned: Warned, signal: Signal, seen: Seen, now: int) -> tuple[Warned, StepKind]:
    """The warning with one more signal, at the next revision, and what to call the step.

    The words are those of the latest raise or change; sources and events add up; the first clear ends the episode for
    good (a new one has another start, hence another warning).
    """
    first = begin(signal, seen, now)
    newer = _place(signal) > warned.said
    joined = replace(
        _with_words(warned, first) if newer else warned,
        sources=_union(warned.sources, first.sources),
        events=_union(warned.events, first.events),
        seen=max(warned.seen, seen, key=_freshness),
        raised=min(warned.raised, signal.time),
        cleared=min((time for time in (warned.cleared, first.cleared) if time is not None), default=None),
        changed=now,
        revision=warned.revision + 1,
    )
    if joined.cleared is not None:
        ended = warned.cleared is None
        state = State.RESOLVED if joined.state is State.ACKNOWLEDGED else joined.state
        return replace(joined, state=state), StepKind.CLEARED if ended else StepKind.CHANGED
    if newer and worse(joined.severity, warned.severity):
        reopened = warned.answered is None or worse(joined.severity, warned.answered)
        if reopened:
            joined = replace(joined, state=State.OPEN, acknowledged_by="")
        return joined, StepKind.ESCALATED
    return joined, StepKind.CHANGED


def public_content(warned: Warned) -> tuple[object, ...]:
    """What a CAP message is sent again for. Not the text: it carries numbers that move with every reading."""
    return warned.severity, warned.title, warned.kind, warned.sources, sorted(warned.cap.items())


def _place(signal: Signal) -> tuple[int, bool, str]:
    # A clear speaks of the end; its words never replace those that say what had happened.
    time = -1 if signal.action is Action.CLEAR else signal.time
    return time, signal.action is Action.CHANGE, fingerprint(signal)


def _with_words(warned: Warned, first: Warned) -> Warned:
    return replace(
        warned,
        rule_version=first.rule_version,
        kind=first.kind,
        severity=first.severity,
        title=first.title,
        text=first.text,
        playbook=first.playbook,
        cap=first.cap,
        condition=first.condition,
        values=first.values,
        said=first.said,
    )


def _freshness(seen: Seen) -> tuple[int, int, bytes]:
    return seen.captured or 0, seen.detected or 0, msgspec.json.encode((seen.detections, seen.model))


def _union(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*known, *more}))


def _common(sources: Iterable[str], level: int) -> str:
    names = {[*source.split("/"), "", ""][level] for source in sources}
    return names.pop() if len(names) == 1 else ""
