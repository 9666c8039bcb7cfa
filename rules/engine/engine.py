"""The engine: journal entries in, signals out.

Pure and deterministic: no clock, no randomness, no I/O. Time is the highest time among the entries so far; ticks are
entries too. Two engines with the same rules and the same entries say the same, and so does one that was stopped
anywhere in between and went on from its snapshot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final

from msgspec.structs import replace as _replace

from contract.records import Event, Health, Heartbeat, Lane, Phase, Reading
from rules.durations import MINUTE, SECOND
from rules.engine.episode import Row, step
from rules.engine.fault import cleared, fault_raised
from rules.engine.index import Feed, tables
from rules.engine.revisions import Revisions
from rules.engine.snapshot import RuleState, Snapshot, SnapshotError, decode_snapshot, encode_snapshot
from rules.entry import Entry, Notice, NoticeKind, RecordEntry, TickEntry
from rules.rule import Key, Rule, RuleSet
from rules.signal import Signal
from rules.signals.occurrences import Absent
from rules.signals.window import Sample, Window
from rules.streams import Item, is_open, parts_of

__all__ = ["Engine", "SnapshotError"]

GAP: Final = 10 * SECOND
"""Ticks come once a second; when time jumps by more, nobody was listening, and silence in it proves nothing."""
RETRY: Final = MINUTE
"""So long a rule that threw is left alone for that key before it is tried again."""
CALM: Final = 10 * MINUTE
"""After so long without another fault, the fault is over."""
MOST_KEYS: Final = 100_000
"""So many keys one rule remembers; more are refused, with a rule-fault."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Where and when a notice belongs."""

    time: int
    site: str
    node: str


class _State:
    """One key of one rule."""

    __slots__ = ("queued", "row", "windows")

    def __init__(self, row: Row, windows: list[Window]) -> None:
        self.row = row
        self.windows = windows
        self.queued = 0
        """Time of the key's entry in the queue that comes first; 0 where it has none."""


class Engine:
    """Runs a set of rules.

    Args:
        rules: what to run.
        state: what ``snapshot`` gave; None begins with nothing. A rule whose wording has changed since keeps its
            episodes, and those of its windows that are defined as before. Episodes of a rule that is gone are cleared.

    Raises:
        SnapshotError: ``state`` cannot be read.
    """

    def __init__(self, rules: RuleSet, state: bytes | None = None) -> None:
        self.rules = rules
        self.now = 0
        self._listening = 0
        self._tables = tables(rules)
        self._readings = self._tables["reading"]
        self._events = self._tables["event"]
        self._heeds_health = any(
            table.anything for stream, table in self._tables.items() if stream.startswith("health.")
        )
        self._keys: list[dict[str, _State]] = [{} for _ in rules]
        self._queue: list[tuple[int, int, str]] = []
        self._routes: dict[tuple[str, str, str, str], tuple[tuple[Feed, str], ...]] = {}
        self._revisions = Revisions()
        self._withdrawn: list[Signal] = []
        if state is not None:
            self._restore(decode_snapshot(state))

    def apply(self, entry: Entry) -> list[Signal]:
        """Take the next entry of the journal; returns what the rules say to it, in the order of the rules."""
        if isinstance(entry, TickEntry):
            return self._tick(entry)
        if entry.lane is Lane.BACKLOG:
            return []
        signals = self._advance(entry.time) if entry.time > self.now else []
        record = entry.record
        if isinstance(record, Reading):
            self._hear(entry, record, signals)
        elif isinstance(record, Event):
            name = f"{entry.site}/{entry.node}/{record.id}"
            first = not self._revisions.known(name)
            if self._revisions.newer(name, record.revision, self.now, closes=record.phase is Phase.CLOSE):
                # What is heard of for the first time has lasted since it began: after an outage that may be days.
                at = min(record.started, entry.time) if first else entry.time
                self._tell(self._events.get(record.kind), entry, record.source, record.zone, record, signals, at)
        elif isinstance(record, Health) and self._heeds_health:
            for stream, who, item in parts_of(record):
                self._tell(self._tables[stream].anything, entry, who, "", item, signals)
        elif isinstance(record, Heartbeat):
            self._tell(self._tables["health.beat"].anything, entry, "", "", record, signals)
        return signals

    def snapshot(self) -> bytes:
        """The whole state; an engine made from it goes on exactly as this one would."""
        states = {
            rule.name: RuleState(
                rule.wording,
                {let.name: let.signature for let in rule.lets},
                {key: (held.row, [window.dump() for window in held.windows]) for key, held in keys.items()},
            )
            for rule, keys in zip(self.rules, self._keys, strict=True)
        }
        return encode_snapshot(
            Snapshot(now=self.now, listening=self._listening, revisions=self._revisions.dump(), rules=states)
        )

    @property
    def keys(self) -> int:
        """How many keys are remembered, over all rules."""
        return sum(len(keys) for keys in self._keys)

    def _tick(self, entry: TickEntry) -> list[Signal]:
        if entry.notices and any(notice.kind is NoticeKind.DEAF for notice in entry.notices):
            self._listening = entry.time
        signals = self._advance(entry.time) if entry.time > self.now else []
        for notice in entry.notices:
            if notice.kind is NoticeKind.SILENT:
                self._expect(notice, signals)
            told = _Told(entry.time, notice.site, notice.node)
            self._tell(self._tables["notice"].get(notice.kind), told, "", "", notice, signals)
        return signals

    def _expect(self, notice: Notice, signals: list[Signal]) -> None:
        """A node that nobody has heard of: where a rule waits for health reports, its silence counts from now on."""
        whole = f"{notice.site}/{notice.node}"
        for feed in self._tables["health.node"].anything:
            scope = feed.scope
            key = feed.key(notice.site, notice.node, "", "")
            keys = self._keys[feed.number]
            if key in keys or (scope is not None and not scope.holds(notice.site, notice.node, "", "")):
                continue
            state = _State(Row(notice.site, notice.node, "", ""), [let.make() for let in feed.rule.lets])
            waits = [window for window in state.windows if isinstance(window, Absent)]
            if not waits or len(keys) >= MOST_KEYS:
                continue
            for window in waits:
                window.update(Sample(self.now, whole, matches=False), self.now)
            state.row.named(whole, "", self.now, is_open=False)
            keys[key] = state
            self._look(feed.number, key, state, self.now, signals)

    def _advance(self, time: int) -> list[Signal]:
        """Time passes: look at every key whose moment has come."""
        if time - self.now > GAP:
            self._listening = time
        self.now = time
        signals = [cleared(said, time) for said in self._withdrawn]
        self._withdrawn = []
        queue = self._queue
        while queue and queue[0][0] <= time:
            queued, number, key = heappop(queue)
            state = self._keys[number].get(key)
            if state is None or state.queued != queued:
                continue
            state.queued = 0
            if 0 < state.row.due <= queued:
                self._look(number, key, state, time, signals)
            else:
                self._enqueue(number, key, state)
        return signals

    def _hear(self, entry: RecordEntry, record: Reading, signals: list[Signal]) -> None:
        """A reading, which is most of what comes: who listens to its series is looked up once."""
        series = entry.site, entry.node, record.source, record.quantity
        route = self._routes.get(series)
        if route is None:
            if len(self._routes) >= MOST_KEYS:
                self._routes.clear()
            route = self._routes[series] = self._route(*series)
        if route:
            whole = f"{entry.site}/{entry.node}/{record.source}"
            sample = Sample(entry.time, whole, float(record.value))
            for feed, key in route:
                self._offer(feed, key, entry, record.source, "", record, sample, signals, entry.time)

    def _route(self, site: str, node: str, source: str, quantity: str) -> tuple[tuple[Feed, str], ...]:
        """Who listens to a series, and under which key."""
        return tuple(
            (feed, feed.key(site, node, source, quantity if feed.rule.key is Key.SERIES else ""))
            for feed in self._readings.get(quantity)
            if feed.scope is None or feed.scope.holds(site, node, source, "")
        )

    def _tell(
        self,
        feeds: Iterable[Feed],
        entry: "RecordEntry | _Told",
        source: str,
        zone: str,
        item: Item,
        signals: list[Signal],
        at: int | None = None,
    ) -> None:
        """An event or a part of a health report. A condition that it makes true has been so since ``at``, the entry's
        time when left out."""
        event, opened = (item.id, is_open(item)) if isinstance(item, Event) else ("", False)
        whole = f"{entry.site}/{entry.node}/{source}" if source else f"{entry.site}/{entry.node}"
        sample = Sample(entry.time, whole, None, True, event, opened)
        for feed in feeds:
            if feed.scope is None or feed.scope.holds(entry.site, entry.node, source, zone):
                key = feed.key(entry.site, entry.node, source, "" if feed.rule.key is Key.SERIES else zone)
                since = entry.time if at is None else at
                self._offer(feed, key, entry, source, zone, item, sample, signals, since)

    def _offer(
        self,
        feed: Feed,
        key: str,
        entry: "RecordEntry | _Told",
        source: str,
        zone: str,
        item: Item,
        sample: Sample,
        signals: list[Signal],
        at: int,
    ) -> None:
        """Show an item to one rule's windows, and look at the condition where one of them took it."""
        keys = self._keys[feed.number]
        state = keys.get(key)
        if state is None:
            quantity = item.quantity if isinstance(item, Reading) else ""
            state = _State(Row(entry.site, entry.node, source, zone, quantity), [let.make() for let in feed.rule.lets])
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

    def _fill(self, feed: Feed, item: Item, seen: Sample, state: _State) -> bool:
        """Show the item to the windows; whether the condition has to be looked at. ``seen`` is what a window sees of it
        that has no wishes of its own."""
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

    def _look(self, number: int, key: str, state: _State, at: int, signals: list[Signal]) -> None:
        """Ask the windows, step the episode, and plan when to look again."""
        rule, row = self._rule(number), state.row
        row.blocked_by = ()
        try:
            values = self._values(rule, state)
            signal = step(rule, row, values, self.now, at)
            due = 0
            for window in state.windows:
                time = window.due(self.now, self._listening)
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
                row.due = rule.guard.due(row.blocked_by, state.windows, self.now, self._listening) or row.due
            row.due = max(row.due, self.now + 1)
            self._enqueue(number, key, state)
        elif not row.raised and row.fault is None:
            # Nothing is held and nothing can change by itself: the key is forgotten.
            self._keys[number].pop(key, None)

    def _values(self, rule: Rule, state: _State) -> dict[str, Any]:
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

    def _ask(self, rule: Rule, state: _State, values: dict[str, Any], costly: bool | None) -> None:
        """Add what the windows say: the costly ones, the others, or (None) all."""
        for let, window in zip(rule.lets, state.windows, strict=True):
            if costly is not None and let.costly is not costly:
                continue
            value = window.value(self.now, self._listening)
            if value is not None:
                values[let.name] = value
            if rule.known:
                values[f"known.{let.name}"] = value is not None

    def _enqueue(self, number: int, key: str, state: _State) -> None:
        """See to it that the key is looked at when due. An entry that comes too early only enqueues again, so that a
        key has one entry however often its due time moves away."""
        due = state.row.due
        if due and (not state.queued or due < state.queued):
            state.queued = due
            heappush(self._queue, (due, number, key))

    def _suspend(self, number: int, key: str, state: _State, error: Exception, signals: list[Signal]) -> None:
        """Leave the rule alone for this key; what it has raised stays raised."""
        row = state.row
        row.blocked_by = ()
        if row.fault is None:
            row.fault = fault_raised(self._rule(number), key, error, self.now)
            signals.append(row.fault)
        row.fault_until = row.due = self.now + RETRY
        row.fault_over = self.now + CALM
        self._enqueue(number, key, state)

    def _refuse(self, number: int, keys: dict[str, _State], signals: list[Signal]) -> None:
        """The rule has no room for one more key; what it remembers goes on."""
        if "" not in keys:
            keys[""] = _State(Row("", "", "", ""), [let.make() for let in self._rule(number).lets])
        error = OverflowError(f"more than {MOST_KEYS} keys; give the rule a narrower scope or a wider key")
        self._suspend(number, "", keys[""], error, signals)

    def _rule(self, number: int) -> Rule:
        return self.rules.rules[number]

    def _restore(self, snapshot: Snapshot) -> None:
        self.now, self._listening = snapshot.now, snapshot.listening
        try:
            self._revisions.load(snapshot.revisions)
            for number, rule in enumerate(self.rules):
                held = snapshot.rules.get(rule.name)
                if held is not None:
                    self._restore_rule(number, rule, held)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise SnapshotError(f"rule state does not fit: {error}; start from an older one or from none") from error
        names = {rule.name for rule in self.rules}
        for name, held in snapshot.rules.items():
            if name not in names:
                for row, _ in held.keys.values():
                    self._withdrawn += [said for said in (row.said if row.raised else None, row.fault) if said]

    def _restore_rule(self, number: int, rule: Rule, held: RuleState) -> None:
        places = {name: place for place, name in enumerate(held.windows)}
        for key, (row, dumps) in held.keys.items():
            windows = []
            for let in rule.lets:
                window = let.make()
                if held.windows.get(let.name) == let.signature:
                    window.load(dumps[places[let.name]])
                windows.append(window)
            if held.wording != rule.wording:
                row.due = self.now + 1
                row.blocked_by = ()
            state = _State(row, windows)
            self._keys[number][key] = state
            self._enqueue(number, key, state)
