"""Same input, same warnings: stopped anywhere, gone on from the snapshot, the engine says what it would have said."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.records import Health, Lane, PartHealth, Phase, Quality, SourceHealth
from rules.engine import Engine
from rules.entry import Entry, Notice, NoticeKind, TickEntry
from rules.language import load_rules
from rules.packs import shipped
from tests.rules.helpers import at, entry, event, reading, rule

RULES = (
    shipped()
    + load_rules(rule("co > 50.0", "{co: {avg: reading.co, over: 30s}}", name="avg", title="{co:.0f}"))
    + load_rules(rule("n > 2", "{n: {distinct: event.fire.source, over: 1m}}", name="spread", key="site"))
    + load_rules(rule("both", "{both: {then: [event.smoke, event.fire], within: 1m}}", name="then", key="node"))
    + load_rules(rule("two", "{two: {k_of_n: reading.co, k: 2, over: 1m, where: value > 40.0}}", name="v", key="node"))
    + load_rules(rule("10 / (n - 3) > 90", "{n: {count: reading.co, over: 20s}}", name="throws"))
)

sources = st.sampled_from(["a", "b", "c"])


@st.composite
def journal(draw: Any) -> list[Entry]:
    entries: list[Entry] = []
    time = 0.0
    revisions: dict[str, int] = {}
    for _ in range(draw(st.integers(1, 60))):
        time += draw(st.sampled_from([0.0, 0.5, 1.0, 5.0, 9.0, 40.0]))
        kind = draw(st.sampled_from(["tick", "notices", "reading", "event", "health"]))
        if kind == "tick":
            entries.append(TickEntry(at(time)))
        elif kind == "notices":
            nodes = st.builds(Notice, st.sampled_from(list(NoticeKind)), st.just("site"), st.sampled_from(["n1", "n9"]))
            entries.append(TickEntry(at(time), tuple(draw(st.lists(nodes, max_size=2)))))
        elif kind == "reading":
            entries.append(
                reading(
                    time,
                    draw(st.floats(0, 300)),
                    source=draw(sources),
                    quantity=draw(st.sampled_from(["co", "person-count"])),
                    quality=draw(st.sampled_from(list(Quality))),
                    lane=draw(st.sampled_from([Lane.LIVE, Lane.LIVE, Lane.BACKLOG])),
                    late=draw(st.sampled_from([0.0, 0.0, 3.0, 50.0])),
                )
            )
        elif kind == "event":
            name = draw(st.sampled_from(["e1", "e2", "e3"]))
            revisions[name] = revisions.get(name, 0) + draw(st.integers(-1, 2))
            entries.append(
                event(
                    time,
                    name,
                    kind=draw(st.sampled_from(["fire", "smoke", "gas", "crowd", "blind"])),
                    phase=draw(st.sampled_from(list(Phase))),
                    revision=max(0, revisions[name]),
                    score=draw(st.floats(0, 1)),
                    source=draw(sources),
                    level=draw(st.sampled_from(["low", "high"])),
                    count=draw(st.integers(0, 20)),
                    limit=10,
                )
            )
        else:
            state = draw(st.sampled_from(["ok", "down"]))
            record = Health(
                time=at(time),
                sources=(SourceHealth(source="a", kind="rtsp", state=state),),
                parts=(PartHealth(part="vision", state=draw(st.sampled_from(["ok", "degraded"]))),),
            )
            entries.append(entry(time, record))
    return entries


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journal(), st.data())
def test_a_snapshot_anywhere_changes_nothing_that_follows(entries: list[Entry], data: Any) -> None:
    cut = data.draw(st.integers(0, len(entries)))
    entries.append(TickEntry(at(100_000)))
    whole, stopped = Engine(RULES), Engine(RULES)
    for place, item in enumerate(entries):
        if place == cut:
            stopped = Engine(RULES, stopped.snapshot())
        assert whole.apply(item) == stopped.apply(item)
    assert whole.snapshot() == stopped.snapshot()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journal())
def test_no_rule_disturbs_another(entries: list[Entry]) -> None:
    together = Engine(RULES)
    alone = {one.name: Engine(type(RULES)((one,))) for one in RULES}
    for item in entries:
        apart = [signal for one in RULES for signal in alone[one.name].apply(item)]
        assert sorted(map(repr, together.apply(item))) == sorted(map(repr, apart))
