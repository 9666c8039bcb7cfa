"""A key that is not looked at says what it would have said: with the guard and without it, the same signals."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.engine import Engine
from rules.engine.keys import Keys
from rules.entry import Entry, TickEntry
from rules.guard import Guard
from rules.language import load_rules
from rules.rule import RuleSet
from tests.rules.helpers import at, reading, rule

CONDITIONS = (
    ("v > 50.0", "{v: {avg: reading.co, over: 30s}}"),
    ("v <= 10.0", "{v: {avg: reading.co, over: 30s}}"),
    ("v >= 50.0", "{v: {max: reading.co, over: 30s}}"),
    ("v < 10.0", "{v: {max: reading.co, over: 30s}}"),
    ("50.0 < v", "{v: {min: reading.co, over: 30s}}"),
    ("v < 10.0", "{v: {min: reading.co, over: 30s}}"),
    ("v != 20.0", "{v: {last: reading.co, over: 20s}}"),
    ("v > 3", "{v: {count: reading.co, over: 30s}}"),
    ("gone", "{gone: {absent: reading.co, over: 20s}}"),
    ("!gone && v > 40.0", "{gone: {absent: reading.co, over: 20s}, v: {last: reading.co, over: 20s}}"),
    ("v > 40.0 && w < 30.0", "{v: {avg: reading.co, over: 30s}, w: {min: reading.co, over: 1m}}"),
    ("v > 60.0 || (w > 30.0 && gone)",
     "{v: {avg: reading.co, over: 30s}, w: {last: reading.co, over: 1m}, gone: {absent: reading.n, over: 30s}}"),
    ("bad > 0 && gone", "{bad: {count: 'reading.*', over: 30s, quality: bad}, gone: {absent: 'reading.*', over: 30s}}"),
    ("v > 40.0 && (s < duration('1m') || w > 90.0)",
     "{v: {avg: reading.co, over: 9s}, s: {time_to: reading.co, limit: 8, within: 5m}, w: {min: reading.n, over: 9s}}"),
)  # fmt: skip
RULES = RuleSet()
for _number, (_when, _let) in enumerate(CONDITIONS):
    for _key in ("source", "site") if _number < 2 else ("source",):
        RULES += load_rules(rule(_when.replace("'", '"'), _let, name=f"r{_number}-{_key}", key=_key))
UNGUARDED = RuleSet(tuple(replace(one, guard=None) for one in RULES))


@st.composite
def journal(draw: Any) -> list[Entry]:
    """Readings that often lie beside a limit, from two sensors, some of them late or bad."""
    entries: list[Entry] = []
    time = 0.0
    for _ in range(draw(st.integers(1, 60))):
        time += draw(st.sampled_from([0.0, 0.5, 1.0, 5.0, 9.0, 31.0, 70.0]))
        if draw(st.integers(0, 5)) == 0:
            entries.append(TickEntry(at(time)))
            continue
        value = draw(st.sampled_from([0.1, 10.0, 20.0, 30.0, 40.0, 50.0, 50.000001, 60.0, 100.0, -1e6, 1e9]))
        late = draw(st.sampled_from([0.0, 0.0, 0.0, 3.0, 25.0, 50.0]))
        quality = draw(st.sampled_from(["good", "good", "good", "bad"]))
        source, quantity = draw(st.sampled_from(["a", "b"])), draw(st.sampled_from(["co", "co", "n"]))
        entries.append(reading(time, value, source=source, quantity=quantity, quality=quality, late=late))
    return entries


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journal())
def test_the_guard_changes_no_signal(entries: list[Entry]) -> None:
    guarded, plain = Engine(RULES), Engine(UNGUARDED)
    for item in [*entries, *(TickEntry(at(10_000 + second)) for second in range(3))]:
        # In one entry that brings time forward the order is that of the moments that had been planned.
        assert sorted(map(repr, guarded.apply(item))) == sorted(map(repr, plain.apply(item)))


def test_what_cannot_raise_is_not_looked_at(monkeypatch: Any) -> None:
    """The reason for all of it: a sensor that is well costs one look a span, not one a reading."""
    looks: list[int] = []
    whole = Keys._look

    def look(self: Keys, *arguments: Any) -> None:
        looks.append(self.now)
        whole(self, *arguments)

    monkeypatch.setattr(Keys, "_look", look)
    engine = Engine(load_rules(rule("v > 50.0", "{v: {avg: reading.co, over: 1m}}")))
    for second in range(600):
        engine.apply(reading(float(second), 20.0))
    assert len(looks) <= 12
    assert engine.apply(reading(601.0, 1e6)) != []


def test_a_mean_at_its_limit_is_not_taken_for_safe() -> None:
    """Three times 0.1 is more than 0.3 in binary: a mean that close has to be looked at."""
    rules = load_rules(rule("v > 0.1", "{v: {avg: reading.co, over: 1m}}"))
    engine, plain = Engine(rules), Engine(RuleSet(tuple(replace(one, guard=None) for one in rules)))
    said = [(engine.apply(item), plain.apply(item)) for item in (reading(s, 0.1) for s in (1.0, 1.1, 1.2, 2.0))]
    assert all(one == other for one, other in said)


def test_an_open_event_that_closes_is_no_last_value() -> None:
    """``last`` of events falls back to the event before when the last one closes."""
    (one,) = load_rules(rule("v > 0.5", "{v: {last: event.fire.score}}"))
    assert isinstance(one.guard, Guard)
    assert [blocker.keeps for blocker in one.guard.blockers] == [None]
