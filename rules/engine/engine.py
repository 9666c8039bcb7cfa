"""The engine: journal entries in, signals out.

Pure and deterministic: no clock, no randomness, no I/O. Time is the highest time among the entries so far; ticks are
entries too. Two engines with the same rules and the same entries say the same, and so does one that was stopped
anywhere in between and went on from its snapshot.
"""

from collections.abc import Iterable
from typing import Final

from contract.records import Event, Health, Heartbeat, Lane, Phase, Reading
from rules.durations import SECOND
from rules.engine.fault import cleared
from rules.engine.index import Feed, tables
from rules.engine.keys import Keys, Place
from rules.engine.revisions import Revisions
from rules.engine.snapshot import RuleState, Snapshot, SnapshotError, decode_snapshot, encode_snapshot
from rules.entry import Entry, Notice, NoticeKind, RecordEntry, TickEntry
from rules.rule import Key, RuleSet
from rules.signal import Signal
from rules.signals.window import Sample
from rules.streams import Item, is_open, parts_of

__all__ = ["Engine", "SnapshotError"]

GAP: Final = 10 * SECOND
"""Ticks come once a second; when time jumps by more, nobody was listening, and silence in it proves nothing."""
MOST_ROUTES: Final = 100_000
"""So many series are known by who listens to them; then they are looked up anew."""


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
        self._keys = Keys(rules)
        self._tables = tables(rules)
        self._readings = self._tables["reading"]
        self._events = self._tables["event"]
        self._heeds_health = any(
            table.anything for stream, table in self._tables.items() if stream.startswith("health.")
        )
        self._routes: dict[tuple[str, str, str, str], tuple[Place, tuple[tuple[Feed, str], ...]]] = {}
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
                place = Place(entry.site, entry.node, record.source, record.zone)
                self._tell(self._events.get(record.kind), place, record, entry.time, signals, at)
        elif isinstance(record, Health) and self._heeds_health:
            for stream, who, item in parts_of(record):
                place = Place(entry.site, entry.node, who)
                self._tell(self._tables[stream].anything, place, item, entry.time, signals)
        elif isinstance(record, Heartbeat):
            place = Place(entry.site, entry.node)
            self._tell(self._tables["health.beat"].anything, place, record, entry.time, signals)
        return signals

    def snapshot(self) -> bytes:
        """The whole state; an engine made from it goes on exactly as this one would."""
        states = {
            rule.name: RuleState(
                rule.wording,
                {let.name: let.signature for let in rule.lets},
                self._keys.dump(number),
            )
            for number, rule in enumerate(self.rules)
        }
        return encode_snapshot(
            Snapshot(now=self.now, listening=self._keys.listening, revisions=self._revisions.dump(), rules=states)
        )

    @property
    def keys(self) -> int:
        """How many keys are remembered, over all rules."""
        return len(self._keys)

    @property
    def now(self) -> int:
        """Its time: the highest among the entries so far, microseconds."""
        return self._keys.now

    def _tick(self, entry: TickEntry) -> list[Signal]:
        if entry.notices and any(notice.kind is NoticeKind.DEAF for notice in entry.notices):
            self._keys.listening = entry.time
        signals = self._advance(entry.time) if entry.time > self.now else []
        for notice in entry.notices:
            if notice.kind is NoticeKind.SILENT:
                self._expect(notice, signals)
            place = Place(notice.site, notice.node)
            self._tell(self._tables["notice"].get(notice.kind), place, notice, entry.time, signals)
        return signals

    def _advance(self, time: int) -> list[Signal]:
        """Time passes."""
        keys = self._keys
        if time - keys.now > GAP:
            keys.listening = time
        keys.now = time
        signals = [cleared(said, time) for said in self._withdrawn]
        self._withdrawn = []
        keys.look_at_due(signals)
        return signals

    def _expect(self, notice: Notice, signals: list[Signal]) -> None:
        """A node that nobody has heard of."""
        for feed in self._tables["health.node"].anything:
            if feed.scope is None or feed.scope.holds(notice.site, notice.node, "", ""):
                place = Place(notice.site, notice.node)
                self._keys.expect(feed, place, f"{notice.site}/{notice.node}", signals)

    def _hear(self, entry: RecordEntry, record: Reading, signals: list[Signal]) -> None:
        """A reading, which is most of what comes: who listens to its series is looked up once."""
        series = entry.site, entry.node, record.source, record.quantity
        route = self._routes.get(series)
        if route is None:
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            route = self._routes[series] = self._route(*series)
        place, feeds = route
        if feeds:
            sample = Sample(entry.time, f"{entry.site}/{entry.node}/{record.source}", float(record.value))
            for feed, key in feeds:
                self._keys.offer(feed, key, place, record, sample, signals, entry.time)

    def _route(self, site: str, node: str, source: str, quantity: str) -> tuple[Place, tuple[tuple[Feed, str], ...]]:
        """Who listens to a series, and under which key."""
        feeds = tuple(
            (feed, feed.key(site, node, source, quantity if feed.rule.key is Key.SERIES else ""))
            for feed in self._readings.get(quantity)
            if feed.scope is None or feed.scope.holds(site, node, source, "")
        )
        return Place(site, node, source, "", quantity), feeds

    def _tell(
        self, feeds: Iterable[Feed], place: Place, item: Item, time: int, signals: list[Signal], at: int | None = None
    ) -> None:
        """Anything else: an event, a part of a health report, a heartbeat, a notice. A condition that it makes true has
        been so since ``at``; since ``time`` when left out."""
        site, node, source, zone = place.site, place.node, place.source, place.zone
        event, opened = (item.id, is_open(item)) if isinstance(item, Event) else ("", False)
        sample = Sample(time, f"{site}/{node}/{source}" if source else f"{site}/{node}", None, True, event, opened)
        for feed in feeds:
            if feed.scope is None or feed.scope.holds(site, node, source, zone):
                key = feed.key(site, node, source, "" if feed.rule.key is Key.SERIES else zone)
                self._keys.offer(feed, key, place, item, sample, signals, time if at is None else at)

    def _restore(self, snapshot: Snapshot) -> None:
        self._keys.now, self._keys.listening = snapshot.now, snapshot.listening
        try:
            self._revisions.load(snapshot.revisions)
            for number, rule in enumerate(self.rules):
                held = snapshot.rules.get(rule.name)
                if held is not None:
                    self._keys.restore(number, held)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise SnapshotError(f"rule state does not fit: {error}; start from an older one or from none") from error
        names = {rule.name for rule in self.rules}
        for name, held in snapshot.rules.items():
            if name not in names:
                for row, _ in held.keys.values():
                    self._withdrawn += [said for said in (row.said if row.raised else None, row.fault) if said]
