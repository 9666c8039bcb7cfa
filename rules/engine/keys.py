"""The keys of every rule: what each remembers, and when it has to be looked at."""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final

from msgspec.structs import replace as _replace

from contract.records import Reading
from rules.durations import MINUTE
from rules.engine.episode import Row, step
from rules.engine.fault import cleared, fault_raised
from rules.engine.index import Feed
from rules.engine.snapshot import RuleState
from rules.rule import Rule, RuleSet
from rules.signal import Signal
from rules.signals.occurrences import Absent
from rules.signals.window import Sample, Window
from rules.streams import Item

RETRY: Final = MINUTE
"""So long a rule that threw is left alone for that key before it is tried again."""
CALM: Final = 10 * MINUTE
"""After so long without another fault, the fault is over."""
MOST_KEYS: Final = 100_000
"""So many keys one rule remembers; more are refused, with a rule-fault."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an item is about; ``quantity`` is that of a reading."""

    site: str
    node: str
    source: str = ""
    zone: str = ""
    quantity: str = ""


class State:
    """One key of one rule."""

    __slots__ = ("queued", "row", "windows")

    def __init__(self, row: Row, windows: list[Window]) -> None:
        self.row = row
        self.windows = windows
        self.queued = 0
        """Time of the key's entry in the queue that comes first; 0 where it has none."""


class Keys:
    """The state of a rule set's keys. Time, and since when records have been heard without a break, are the engine's to
    set."""

    def __init__(self, rules: RuleSet) -> None:
        self.now = 0
        self.listening = 0
        self._rules = rules.rules
        self._of: list[dict[str, State]] = [{} for _ in rules]
        self._queue: list[tuple[int, int, str]] = []

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._of)

    @property
    def planned(self) -> int:
        """Entries of the queue of moments to come."""
        return len(self._queue)

    def look_at_due(self, signals: list[Signal]) -> None:
        """Look at every key whose moment has come."""
        queue = self._queue
        while queue and queue[0][0] <= self.now:
            queued, number, key = heappop(queue)
            state = self._of[number].get(key)
            if state is None or state.queued != queued:
                continue
            state.queued = 0
            if 0 < state.row.due <= queued:
                self._look(number, key, state, self.now, signals)
            else:
                self._enqueue(number, key, state)

    def expect(self, feed: Feed, place: Place, whole: str, signals: list[Signal]) -> None:
        """Something that nobody has heard of: where a rule waits for it, its silence counts from now on."""
        keys = self._of[feed.number]
        key = feed.key(place.site, place.node, place.source, place.zone)
        if key in keys or len(keys) >= MOST_KEYS:
            return
        state = _fresh(feed.rule, place)
        waits = [window for window in state.windows if isinstance(window, Absent)]
        if not waits:
            return
        for window in waits:
            window.update(Sample(self.now, whole, matches=False), self.now)
        state.row.named(whole, "", self.now, is_open=False)
        keys[key] = state
        self._look(feed.number, key, state, self.now, signals)

    def offer(
        self, feed: Feed, key: str, place: Place, item: Item, sample: Sample, signals: list[Signal], at: int
    ) -> None:
        """Show an item to one rule's windows, and look at the condition where it can have changed.

        ``sample`` is what a window sees of the item that has no wishes of its own. A condition that becomes true has
        been so since ``at``.
        """
        keys = self._of[feed.number]
        state = keys.get(key)
        if state is None:
            state = _fresh(feed.rule, place)
        elif state.row.fault_until > self.now:
            return
        try:
            taken = self._fill(feed, item, sample, state)
        except Exception as error:  # noqa: BLE001  whatever one rule does must not stop the others
            keys[key] = state
            self._suspend(feed.number, key, state, error, signals)
            return
        if not taken:
            return
        if key not in keys:
            if len(keys) >= MOST_KEYS:
                self._refuse(feed.number, keys, signals)
                return
            keys[key] = state
        self._look(feed.number, key, state, at, signals)

    def _fill(self, feed: Feed, item: Item, seen: Sample, state: State) -> bool:
        """Show the item to the windows; whether the condition has to be looked at."""
        quality = item.quality if isinstance(item, Reading) else None
        row, now = state.row, self.now
        taken = False
        kept = row.blocked_by
        verdicts: dict[str, bool] = {}
        for listener in feed.listeners:
            tap, window = listener.tap, state.windows[listener.window]
            if quality is not None and quality not in tap.qualities:
                if not isinstance(window, Absent):
                    continue
                sample = _replace(seen, matches=False)
            elif listener.plain:
                sample = seen
            else:
                matches = True
                if tap.where is not None and listener.fields is not None:
                    verdict = verdicts.get(tap.where.text)
                    if verdict is None:
                        verdict = verdicts[tap.where.text] = tap.where.evaluate(listener.fields(item)) is True
                    matches = verdict
                sample = _replace(seen, value=listener.read(item), matches=matches, stage=tap.stage)
            if window.update(sample, now):
                taken = True
                if kept and not self._keeps(feed.rule, row, listener.window, sample):
                    kept = ()
        if taken:
            # When we heard of them: what is told late is no older news.
            row.named(seen.source, seen.event, now, is_open=seen.open)
        return taken and not kept

    def _keeps(self, rule: Rule, row: Row, window: int, sample: Sample) -> bool:
        """Whether what keeps the key's condition false still does, now that a window has taken a sample. One that runs
        out before the key's next moment would have to be planned for."""
        if rule.guard is None or sample.time + rule.lets[window].span < row.due:
            return False
        for number in row.blocked_by:
            blocker = rule.guard.blockers[number]
            if blocker.window == window and (blocker.keeps is None or not blocker.keeps(sample.value)):
                return False
        return True

    def _look(self, number: int, key: str, state: State, at: int, signals: list[Signal]) -> None:
        """Ask the windows, step the episode, and plan when to look again."""
        rule, row = self._rules[number], state.row
        row.blocked_by = ()
        try:
            values = self._values(rule, state)
            signal = step(rule, row, values, self.now, at)
            due = 0
            for window in state.windows:
                time = window.due(self.now, self.listening)
                if time is not None and (not due or time < due):
                    due = time
        except Exception as error:  # noqa: BLE001  whatever one rule does must not stop the others
            self._suspend(number, key, state, error, signals)
            return
        if row.fault is not None and self.now >= row.fault_over:
            signals.append(cleared(row.fault, self.now))
            row.fault, row.fault_until, row.fault_over = None, 0, 0
        if signal is not None:
            signals.append(signal)
        wake = row.wake(rule, self.now)
        row.due = min(due, wake) if due and wake else due or wake
        if row.due:
            if rule.guard is not None and not (row.raised or row.pending or row.fault):
                row.blocked_by = rule.guard.find(values, state.windows)
                row.due = rule.guard.due(row.blocked_by, state.windows, self.now, self.listening) or row.due
            row.due = max(row.due, self.now + 1)
            self._enqueue(number, key, state)
        elif not row.raised and row.fault is None:
            # Nothing is held and nothing can change by itself: the key is forgotten.
            self._of[number].pop(key, None)

    def _values(self, rule: Rule, state: State) -> dict[str, Any]:
        """What the windows say. Trends are left out where the condition is false whatever they say: an answer that does
        not hang on what is missing is the answer."""
        values: dict[str, Any] = {}
        if not rule.lazy or state.row.raised:
            self._ask(rule, state, values, None)
            return values
        self._ask(rule, state, values, False)
        if rule.when.evaluate(values) is not False:
            self._ask(rule, state, values, True)
        return values

    def _ask(self, rule: Rule, state: State, values: dict[str, Any], costly: bool | None) -> None:
        """Add what the windows say: the costly ones, the others, or (None) all."""
        for let, window in zip(rule.lets, state.windows, strict=True):
            if costly is not None and let.costly is not costly:
                continue
            value = window.value(self.now, self.listening)
            if value is not None:
                values[let.name] = value
            if rule.known:
                values[f"known.{let.name}"] = value is not None

    def _enqueue(self, number: int, key: str, state: State) -> None:
        """See to it that the key is looked at when due. An entry that comes too early only enqueues again, so that a
        key has one entry however often its due time moves away."""
        due = state.row.due
        if due and (not state.queued or due < state.queued):
            state.queued = due
            heappush(self._queue, (due, number, key))

    def _suspend(self, number: int, key: str, state: State, error: Exception, signals: list[Signal]) -> None:
        """Leave the rule alone for this key; what it has raised stays raised."""
        row = state.row
        row.blocked_by = ()
        if row.fault is None:
            row.fault = fault_raised(self._rules[number], key, error, self.now)
            signals.append(row.fault)
        row.fault_until = row.due = self.now + RETRY
        row.fault_over = self.now + CALM
        self._enqueue(number, key, state)

    def _refuse(self, number: int, keys: dict[str, State], signals: list[Signal]) -> None:
        """The rule has no room for one more key; what it remembers goes on."""
        if "" not in keys:
            keys[""] = _fresh(self._rules[number], Place("", ""))
        error = OverflowError(f"more than {MOST_KEYS} keys; give the rule a narrower scope or a wider key")
        self._suspend(number, "", keys[""], error, signals)

    def dump(self, number: int) -> dict[str, tuple[Row, list[Any]]]:
        """The keys of one rule, as a snapshot holds them."""
        return {key: (held.row, [window.dump() for window in held.windows]) for key, held in self._of[number].items()}

    def restore(self, number: int, held: RuleState) -> None:
        """Take back what ``dump`` gave, before anything was offered. Windows that are defined otherwise by now begin
        with nothing; what a reworded rule, or another release, found to keep a condition false has to be found anew."""
        rule = self._rules[number]
        blockers = 0 if rule.guard is None else len(rule.guard.blockers)
        places = {name: place for place, name in enumerate(held.windows)}
        for key, (row, dumps) in held.keys.items():
            windows = []
            for let in rule.lets:
                window = let.make()
                if held.windows.get(let.name) == let.signature:
                    window.load(dumps[places[let.name]])
                windows.append(window)
            if held.wording != rule.wording or any(one >= blockers for one in row.blocked_by):
                row.due = self.now + 1
                row.blocked_by = ()
            state = State(row, windows)
            self._of[number][key] = state
            self._enqueue(number, key, state)


def _fresh(rule: Rule, place: Place) -> State:
    row = Row(place.site, place.node, place.source, place.zone, place.quantity)
    return State(row, [let.make() for let in rule.lets])
