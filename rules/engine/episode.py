"""One episode: from the first moment a rule's condition holds to the moment it is over.

``hold`` and ``clear_after`` make it patient, ``update_every`` makes it quiet. An unknown condition (data is missing)
neither raises nor clears.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from rules.rule import Case, Rule
from rules.signal import Action, Severity, Signal

MOST_NAMED: Final = 64
"""So many sources, and so many events, a signal names; the newest."""
_RANK: Final = {
    Severity.UNKNOWN: 0,
    Severity.MINOR: 1,
    Severity.MODERATE: 2,
    Severity.SEVERE: 3,
    Severity.EXTREME: 4,
}


class Row(msgspec.Struct):
    """What is remembered of one key of one rule, besides its windows. Times are 0 where there is none."""

    site: str
    node: str
    source: str
    zone: str
    quantity: str = ""
    pending: int = 0
    """Since when the condition holds without a break."""
    clearing: int = 0
    """Since when the episode has been seen to be over."""
    raised: bool = False
    episode: int = 0
    """Start of the present episode, or of the last one."""
    said: Signal | None = None
    said_at: int = 0
    later: int = 0
    """When to look whether there is more to say."""
    due: int = 0
    """When to look at this key though nothing came."""
    fault: Signal | None = None
    fault_until: int = 0
    """Until when the rule is left alone here."""
    fault_over: int = 0
    """When the fault is over, if there is no further one."""
    sources: dict[str, int] = {}
    events: dict[str, int] = {}
    blocked_by: tuple[int, ...] = ()
    """Which of the rule's blockers kept the condition false when it was last looked at, with nothing going on."""

    def named(self, source: str, event: str, time: int, *, is_open: bool) -> None:
        """Note who took part."""
        self.sources.pop(source, None)
        self.sources[source] = time
        if len(self.sources) > MOST_NAMED:
            del self.sources[next(iter(self.sources))]
        if event:
            self.events.pop(event, None)
            if is_open or self.raised or self.pending:
                self.events[event] = time
            if len(self.events) > MOST_NAMED:
                del self.events[next(iter(self.events))]

    def wake(self, rule: Rule, now: int) -> int:
        """When the episode has to be looked at again; 0 for never."""
        if not (self.raised or self.pending or self.later or self.fault_over):
            return 0  # nothing is going on: what most keys say most of the time
        times = [self.later, self.fault_until, self.fault_over]
        if self.raised:
            times.append(self.clearing and self.clearing + rule.clear_after)
        else:
            times.append(self.pending and self.pending + rule.hold)
        return min((time for time in times if time > now), default=0)


def step(rule: Rule, row: Row, values: Mapping[str, Any], now: int, at: int) -> Signal | None:
    """Look at the condition and say what is to be said.

    Args:
        values: the windows' values by name; those without one are left out.
        now: the engine's time.
        at: time of the entry that made us look; an episode begins at one.

    Raises:
        ExpressionFaultError: a condition failed on these values.
    """
    met = rule.when.evaluate(values)
    if not row.raised:
        if met is False:
            row.pending = 0
        if met is not True:
            return None
        row.pending = row.pending or at
        if now - row.pending < rule.hold:
            return None
        # Two episodes of one key never begin at the same microsecond: their identity is made of it.
        row.episode = max(row.pending, row.episode + 1)
        row.raised, row.pending, row.clearing = True, 0, 0
        _forget(row, now - max(let.span for let in rule.lets))
        return _note(row, _signal(rule, row, Action.RAISE, _case(rule, values), values, now))
    if _over(rule, met, values):
        row.clearing = row.clearing or now
        if now - row.clearing >= rule.clear_after:
            row.raised, row.clearing, row.later = False, 0, 0
            return _end(rule, row, values, now)
    else:
        row.clearing = 0
    return _change(rule, row, values, now) if met is True else None


def _over(rule: Rule, met: bool | None, values: Mapping[str, Any]) -> bool:
    if met is True:
        return False
    if rule.clear is None:
        return met is False
    return rule.clear.evaluate(values) is True


def _change(rule: Rule, row: Row, values: Mapping[str, Any], now: int) -> Signal | None:
    case, said = _case(rule, values), row.said
    if said is not None:
        worse = _RANK[case.severity] > _RANK[said.severity]
        if not worse and now - row.said_at < rule.update_every:
            row.later = row.said_at + rule.update_every
            return None
    row.later = 0
    new = _signal(rule, row, Action.CHANGE, case, values, now)
    return None if said is not None and _content(new) == _content(said) else _note(row, new)


def _content(signal: Signal) -> tuple[object, ...]:
    return signal.severity, signal.title, signal.text, signal.cap, signal.sources, signal.events


def _end(rule: Rule, row: Row, values: Mapping[str, Any], now: int) -> Signal:
    """The last word keeps the words of the one before: what was open has no values any more to make new ones of."""
    end = _signal(rule, row, Action.CLEAR, _case(rule, values), values, now)
    said = row.said
    if said is not None:
        end = msgspec.structs.replace(
            end, severity=said.severity, title=said.title, text=said.text, playbook=said.playbook, cap=said.cap
        )
    row.said, row.said_at, row.sources, row.events = None, now, {}, {}
    return end


def _note(row: Row, signal: Signal) -> Signal:
    row.said, row.said_at = signal, signal.time
    return signal


def _signal(rule: Rule, row: Row, action: Action, case: Case, values: Mapping[str, Any], now: int) -> Signal:
    words: dict[str, Any] = {name: getattr(row, name) for name in ("site", "node", "source", "zone", "quantity")}
    words["key"] = key_of(rule, row)
    words.update(values)
    decided = rule.clear if action is Action.CLEAR and rule.clear is not None else rule.when
    return Signal(
        rule=rule.name,
        rule_version=rule.wording,
        key=words["key"],
        episode=row.episode,
        action=action,
        time=now,
        kind=rule.kind,
        severity=case.severity,
        title=case.title.fill(words),
        text=case.text.fill(words),
        playbook=case.playbook.fill(words),
        cap=dict(case.cap),
        condition=decided.text,
        values={let.name: _plain(values.get(let.name)) for let in rule.lets},
        sources=tuple(sorted(row.sources)),
        events=tuple(sorted(row.events)),
    )


def key_of(rule: Rule, row: Row) -> str:
    """The key the row stands under."""
    parts = {
        "source": (row.site, row.node, row.source),
        "zone": (row.site, row.node, row.source, row.zone),
        "series": (row.site, row.node, row.source, row.quantity),
        "node": (row.site, row.node),
        "site": (row.site,),
        "city": (),
    }[rule.key.value]
    return "/".join(part for part in parts if part)


def _case(rule: Rule, values: Mapping[str, Any]) -> Case:
    """The first case that holds; one that hangs on missing data does not, the last always does."""
    for case in rule.cases:
        if case.when is None or case.when.evaluate(values) is True:
            return case
    return rule.cases[-1]


def _forget(row: Row, edge: int) -> None:
    row.sources = {source: time for source, time in row.sources.items() if time > edge}
    row.events = {event: time for event, time in row.events.items() if time > edge}


def _plain(value: Any) -> float | int | str | bool | None:
    """Durations as seconds."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value if isinstance(value, float | int | str | bool) else None
