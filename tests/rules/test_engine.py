"""The engine: when it raises, changes and clears; what never makes it do so; and that one rule never harms another."""

import pytest

from contract.records import Lane, Phase, Quality
from rules.durations import DAY, HOUR
from rules.engine import Engine, SnapshotError
from rules.engine.keys import CALM, RETRY
from rules.entry import Entry, TickEntry
from rules.language import RuleSet, load_rules
from rules.replay import replay, with_ticks
from rules.signal import Action, Severity, Signal
from tests.rules.helpers import SECOND, START, at, event, health, reading, rule, tick

CO = "{co: {avg: reading.co, over: 1m}}"
HOT = rule("co > 50.0", CO)
FIRE = rule("fires > 0", "{fires: {open: event.fire}}", name="fire")


def run(text: str, *entries: Entry, until: float = 0) -> list[Signal]:
    return list(replay(with_ticks(entries, at(until) if until else 0), load_rules(text)))


def said(signals: list[Signal]) -> list[tuple[str, float]]:
    return [(signal.action.value, (signal.time - START) / 1e6) for signal in signals]


def test_a_warning_explains_itself() -> None:
    (signal,) = run(rule("co > 50.0", CO, title="{source}: {co:.0f}"), reading(1, 60.0))
    assert signal.title.en == "s1: 60"
    assert signal.key == "site/n1/s1"
    assert signal.condition == "co > 50.0"
    assert signal.values == {"co": 60.0}
    assert signal.sources == ("site/n1/s1",)
    assert signal.episode == at(1)
    assert len(signal.rule_version) == 12
    (fire,) = run(FIRE, event(1, "f1"))
    assert fire.events == ("f1",)


def test_the_condition_must_hold_and_stay_away_as_long_as_the_rule_says() -> None:
    text = rule("co > 50.0", "{co: {last: reading.co, over: 1m}}", more="hold: 5s\nclear_after: 10s")
    short = [reading(second, 60.0 if second < 4 else 0.0) for second in range(10)]
    assert run(text, *short, until=20) == []
    long = [reading(second, 60.0 if second < 8 or second == 12 else 0.0) for second in range(40)]
    signals = run(text, *long)
    assert said(signals) == [("raise", 5), ("clear", 23)]
    assert signals[0].episode == signals[1].episode == at(0)
    assert signals[0].warning == signals[1].warning


def test_a_clear_condition_of_its_own_keeps_a_value_from_flapping() -> None:
    text = rule("co > 50.0", "{co: {last: reading.co, over: 1m}}", more="clear: co < 40.0")
    values = (60.0, 45.0, 60.0, 45.0, 39.0, 45.0)
    assert said(run(text, *[reading(second, value) for second, value in enumerate(values)])) == [
        ("raise", 0),
        ("clear", 4),
    ]


def test_worse_is_said_at_once_and_the_rest_at_most_every_ten_seconds() -> None:
    text = rule(
        "co > 50.0",
        "{co: {last: reading.co, over: 1m}}",
        severity="[{if: co > 100.0, severity: Extreme}, {severity: Severe}]",
        title="{co:.0f}",
    )
    values = [60.0 + second for second in range(33)] + [120.0, 60.0] + [61.0] * 20
    signals = run(text, *[reading(second, value) for second, value in enumerate(values)])
    assert said(signals) == [
        ("raise", 0),
        ("change", 10),
        ("change", 20),
        ("change", 30),
        ("change", 33),
        ("change", 43),
    ]
    assert [signal.severity for signal in signals[3:]] == [Severity.SEVERE, Severity.EXTREME, Severity.SEVERE]


def test_what_has_not_changed_is_not_said_again() -> None:
    assert said(run(HOT, *[reading(second, 60.0) for second in range(120)])) == [("raise", 0)]


def test_time_alone_ends_what_nothing_confirms_any_more() -> None:
    text = rule("hits > 0", "{hits: {count: event.fire, over: 30s}}")
    assert said(run(text, event(0, "f"), until=60)) == [("raise", 0), ("clear", 30)]


def test_a_sensor_that_fails_or_falls_silent_never_ends_an_alarm() -> None:
    bad = [reading(second, 0.0, quality=Quality.BAD) for second in range(1, 200)]
    assert said(run(HOT, reading(0, 60.0), *bad)) == [("raise", 0)]
    assert said(run(HOT, reading(0, 60.0), until=500)) == [("raise", 0)]


def test_the_backlog_never_reaches_the_rules() -> None:
    entries = [reading(0, 60.0, lane=Lane.BACKLOG), event(1, "f", lane=Lane.BACKLOG)]
    engine = Engine(load_rules(HOT + "---" + FIRE))
    assert [engine.apply(entry) for entry in entries] == [[], []]
    assert engine.keys == 0
    assert engine.now == 0


def test_a_late_record_neither_raises_nor_clears() -> None:
    assert run(HOT, reading(0, 1.0), reading(61, 500.0, source="s2", late=61)) == []
    signals = run(
        rule("co > 50.0", "{co: {last: reading.co, over: 1m}}"), reading(5, 60.0), reading(6, 0.0, late=3), until=10
    )
    assert said(signals) == [("raise", 5)]


def test_only_newer_revisions_of_an_event_count() -> None:
    closed = event(3, "f", phase=Phase.CLOSE, revision=3)
    assert said(run(FIRE, event(0, "f"), closed, event(4, "f", revision=2), event(5, "f", revision=3))) == [
        ("raise", 0),
        ("clear", 3),
    ]
    assert run(FIRE, closed, event(4, "f", revision=2)) == []


def test_events_of_two_nodes_are_two_even_with_one_id() -> None:
    assert [signal.key for signal in run(FIRE, event(0, "f"), event(1, "f", node="n2"))] == [
        "site/n1/c1",
        "site/n2/c1",
    ]


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("zone", ["site/n1/c1/gate", "site/n1/c2"]),
        ("source", ["site/n1/c1", "site/n1/c2"]),
        ("series", ["site/n1/c1", "site/n1/c2"]),
        ("node", ["site/n1"]),
        ("site", ["site"]),
        ("city", [""]),
    ],
)
def test_a_rule_speaks_of_its_key(key: str, keys: list[str]) -> None:
    text = rule("fires > 0", "{fires: {open: event.fire}}", key=key)
    raised = [s for s in run(text, event(0, "f", zone="gate"), event(1, "g", source="c2")) if s.action is Action.RAISE]
    assert [signal.key for signal in raised] == keys


def test_a_scope_keeps_everything_else_out() -> None:
    text = rule("fires > 0", "{fires: {open: event.fire}}", more="scope: {sources: ['c*'], zones: [gate]}")
    entries = [event(0, "a"), event(1, "b", source="d1", zone="gate"), event(2, "c", zone="gate")]
    assert said(run(text, *entries)) == [("raise", 2)]


def test_silence_is_an_alarm_but_not_the_silence_of_our_own_pause() -> None:
    text = rule("silent", "{silent: {absent: health.node, over: 1m}}", key="node")
    assert said(run(text, health(0), until=100)) == [("raise", 60)]
    rules = load_rules(text)
    paused = [health(0), health(0, node="n2"), TickEntry(at(600)), health(601), TickEntry(at(605))]
    engine = Engine(rules)
    assert [signal for entry in paused for signal in engine.apply(entry)] == []
    waiting = [signal for second in range(606, 670) for signal in engine.apply(tick(second))]
    assert [(signal.key, signal.time) for signal in waiting] == [("site/n2", at(660)), ("site/n1", at(661))]


def test_a_source_that_is_named_in_health_can_be_watched() -> None:
    text = rule('state == "down"', "{state: {last: health.source.state, over: 1m}}", more='clear: state == "ok"')
    signals = run(text, health(0, gate="ok"), health(10, gate="down"), health(20, gate="ok"))
    assert [(signal.action.value, signal.key) for signal in signals] == [
        ("raise", "site/n1/gate"),
        ("clear", "site/n1/gate"),
    ]


def test_a_rule_that_throws_is_suspended_alone_there_and_comes_back() -> None:
    broken = rule("10 / n > 0", "{n: {count: reading.co, over: 10s, where: value > 0.0}}", name="broken")
    broken = broken.replace("10 / n", "10 / (n - 1)")
    rules = load_rules(broken + "---" + HOT)
    engine = Engine(rules)
    signals = engine.apply(reading(0, 60.0))
    assert [(signal.rule, signal.kind) for signal in signals] == [("broken/fault", "rule-fault"), ("probe", "gas")]
    assert "divide by zero" in signals[0].text.en
    assert engine.apply(reading(1, 60.0)) == []
    (other,) = [s for s in engine.apply(reading(2, 60.0, source="s2")) if s.kind == "rule-fault"]
    assert other.key == "site/n1/s2"
    later = [signal for second in range(3, 2000) for signal in engine.apply(tick(second))]
    ended = {(signal.rule, signal.key, signal.time) for signal in later if signal.kind == "rule-fault"}
    assert ("broken/fault", "site/n1/s1", at(0) + CALM) in ended
    assert at(0) + RETRY < at(0) + CALM


def test_idle_keys_are_forgotten_and_raised_ones_are_not() -> None:
    rules = load_rules(HOT + "---" + FIRE)
    engine = Engine(rules)
    for number in range(200):
        engine.apply(reading(number / 100, 1.0, source=f"s{number}"))
    engine.apply(reading(3, 60.0, source="hot"))
    engine.apply(event(3, "f"))
    assert engine.keys == 202
    for second in range(4, 120):
        engine.apply(tick(second))
    assert engine.keys == 2
    engine.apply(event(121, "f", phase=Phase.CLOSE, revision=2))
    assert engine.keys == 1


def test_the_queue_and_the_snapshot_do_not_grow_with_time() -> None:
    engine = Engine(load_rules(HOT + "---" + rule("co < 0.0", "{co: {last: reading.co, over: 1h}}", name="l")))
    sizes = []
    for second in range(4000):
        engine.apply(reading(second, 1.0))
        if second in (500, 3999):
            sizes.append(len(engine.snapshot()))
    assert sizes[1] <= sizes[0] * 1.1
    assert engine._keys.planned < 10


def test_two_episodes_never_share_an_identity() -> None:
    text = rule("fires > 0", "{fires: {open: event.fire}, seen: {seen: event.fire, over: 1m}}")
    entries = [
        event(5, "a"),
        event(6, "a", phase=Phase.CLOSE, revision=2),
        event(5, "b"),
    ]
    signals = list(replay(entries, load_rules(text)))
    raised = [signal.warning for signal in signals if signal.action is Action.RAISE]
    assert len(raised) == len(set(raised)) == 2


def test_a_changed_rule_keeps_its_episode_and_a_withdrawn_one_ends_it() -> None:
    first = Engine(load_rules(FIRE))
    (raised,) = first.apply(event(0, "f"))
    reworded = Engine(load_rules(FIRE.replace("a test", "another text")), first.snapshot())
    (changed,) = [s for second in range(1, 20) for s in reworded.apply(tick(second))]
    assert (changed.action, changed.warning, changed.title.en) == (Action.CHANGE, raised.warning, "another text")
    (cleared,) = Engine(RuleSet(), first.snapshot()).apply(tick(1))
    assert (cleared.action, cleared.warning, cleared.time) == (Action.CLEAR, raised.warning, at(1))


def test_damaged_state_is_refused_with_the_way_out() -> None:
    for raw in (b"", b"nonsense", Engine(load_rules(FIRE)).snapshot()[:-3]):
        with pytest.raises(SnapshotError, match="start from an older one"):
            Engine(load_rules(FIRE), raw)


def test_what_is_still_open_after_days_without_a_link_warns_with_its_true_start_and_its_evidence() -> None:
    days = 3 * DAY / SECOND
    still = event(days, "f", phase=Phase.CHANGE, revision=4, late=days - 100, lasted=60)
    over = event(days + 70, "f", phase=Phase.CLOSE, revision=5)
    for patience in ("", "hold: 10s"):
        entries = [tick(0), tick(days - 1), still, tick(days + 60), over]
        raised, ended = replay(entries, load_rules(FIRE + patience))
        assert (raised.action, raised.time, raised.episode) == (Action.RAISE, at(days - 1), at(40))
        assert (raised.sources, raised.events) == (("site/n1/c1",), ("f",))
        assert (ended.action, ended.episode) == (Action.CLEAR, at(40))


def test_an_event_that_stays_open_for_days_is_not_lost() -> None:
    engine = Engine(load_rules(FIRE))
    assert len(engine.apply(event(0, "f"))) == 1
    for hour in range(1, 60):
        assert engine.apply(TickEntry(at(0) + hour * HOUR)) == []
        again = engine.apply(event(hour * 3600, "f", phase=Phase.CHANGE, revision=1 + hour))
        assert again == []


def test_a_trend_that_is_not_asked_for_changes_nothing() -> None:
    let = "{co: {last: reading.co, over: 1m}, ttl: {time_to: reading.co, limit: 200, within: 10m, over: 1m}}"
    when = 'co >= 200.0 || (co >= 35.0 && ttl < duration("5m"))'
    lazy = load_rules(rule(when, let)).rules[0]
    eager = load_rules(rule(f"({when}) && (known.ttl || !known.ttl)", let)).rules[0]
    assert lazy.lazy
    assert not eager.lazy
    entries = [reading(second, 5.0 + second * (1 + second % 7 / 10)) for second in range(120)]
    entries += [reading(second, 125.0 - second, quality=Quality.BAD) for second in range(120, 140)]
    entries += [reading(second, max(0.0, 345.0 - second)) for second in range(140, 400)]
    both = [
        [(s.action, s.time, s.severity, s.values) for s in replay(with_ticks(entries, at(500)), RuleSet((one,)))]
        for one in (lazy, eager)
    ]
    assert both[0] == both[1] != []


def test_who_listens_to_what_is_found_out_once_for_all_partitions() -> None:
    """A worker that takes over 256 partitions runs 256 engines of the same rules."""
    rules = load_rules(HOT)
    assert Engine(rules)._tables is Engine(rules)._tables
    assert Engine(rules)._tables is not Engine(load_rules(HOT))._tables
