"""Whatever somebody writes into a rule file, and whatever comes late or twice, does no harm."""

from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.records import Lane, Phase
from rules.document import RuleError
from rules.engine import Engine, keys
from rules.entry import Entry
from rules.language import RuleSet, load_rules
from rules.packs import shipped
from rules.replay import EntryError, decode_entry, encode_entry, replay
from rules.signal import Signal
from rules.testing import run_tests
from tests.rules.helpers import at, event, health, reading, rule, tick

PACKS = [pack.read_text(encoding="utf-8") for pack in files("rules.packs").iterdir() if pack.name.endswith(".yaml")]
SHIPPED = shipped()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PACKS), st.data())
def test_a_damaged_rule_is_refused_and_never_breaks_the_loader(text: str, data: Any) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text) - 1))
        end = min(len(text), start + data.draw(st.integers(0, 30)))
        text = (
            text[:start]
            + data.draw(st.sampled_from(["", "{", "]", ": ", "'", "\t", "0", "a.b", "&x", "*x", "é", "- "]))
            + text[end:]
        )
    try:
        load_rules(text)
    except RuleError as error:
        told = str(error)
        if not told.startswith("rules.yaml:"):
            assert "stands in" in told


@pytest.mark.parametrize(
    "text",
    [
        "rule: &x [*x]\n",
        "a: &a [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1 or ''}, *a{n - 1 or ''}]\n" for n in range(1, 30)),
        "rule: 2020-99-99\n",
        "? [a, b]\n: c\n",
        "1: 2\n",
        "rule: x\nlet: {1: 2}\n",
    ],
)
def test_yaml_that_is_out_to_do_harm_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match=r"rules\.yaml"):
        load_rules(text)


def journal() -> list[Entry]:
    entries: list[Entry] = []
    for second in range(240):
        entries.append(tick(second))
        entries.append(reading(second, 5.0 + second, source="s1"))
        if second % 10 == 0:
            entries.append(health(second, cam="ok" if second < 100 else "down"))
    entries.append(event(240, "f", revision=5))
    entries.append(event(250, "f", revision=8, phase=Phase.CLOSE))
    return [*entries, *(tick(second) for second in range(251, 400))]


WHAT_IT_SAYS = list(replay(journal(), SHIPPED))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_comes_late_or_twice_or_from_the_backlog_changes_nothing(data: Any) -> None:
    entries = journal()
    for _ in range(data.draw(st.integers(1, 10))):
        second = data.draw(st.integers(2, 239))
        place = next(i for i, e in enumerate(entries) if e.time == at(second)) + 2
        late = reading(second, data.draw(st.floats(0, 5000)), source="s1", late=data.draw(st.integers(1, 200)))
        backlog = reading(second, 5000.0, source="s1", lane=Lane.BACKLOG)
        entries.insert(place, data.draw(st.sampled_from([late, backlog])))
    opened = next(i for i, e in enumerate(entries) if e.time == at(240) and e not in (tick(240),))
    again = event(data.draw(st.integers(241, 260)), "f", revision=data.draw(st.integers(0, 5)))
    entries.insert(opened + 1, event(240, "f", revision=5))
    entries.append(event(400, "f", revision=again.record.revision))
    assert list(replay(entries, SHIPPED)) == WHAT_IT_SAYS


def test_the_journal_of_this_test_raises_something() -> None:
    assert {signal.rule for signal in WHAT_IT_SAYS} >= {"fire", "co-ceiling", "source-down", "node-silent"}


def test_too_many_keys_are_refused_with_one_warning_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_KEYS", 3)
    running = Engine(load_rules(rule("co > 50.0", "{co: {avg: reading.co, over: 1m}}")))
    signals: list[Signal] = []
    for number in range(10):
        signals += running.apply(reading(number, 1.0, source=f"s{number}"))
    (fault,) = signals
    assert fault.kind == "rule-fault"
    assert "more than 3 keys" in fault.text.en
    assert [signal.key for signal in running.apply(reading(10, 600.0, source="s1"))] == ["site/n1/s1"]


def test_entries_travel_as_lines_of_json() -> None:
    for one in journal():
        assert decode_entry(encode_entry(one)) == one
    with pytest.raises(EntryError, match="no entry"):
        decode_entry(b'{"tim": 5}')


def test_a_faulty_test_is_reported_not_thrown() -> None:
    tests = (
        "tests: [{name: a, given: [{at: 1s, reading: 5}], expect: []}, {name: b, given: [{reading: {}}], expect: []}]"
    )
    results = run_tests(load_rules(rule("co > 50.0", "{co: {avg: reading.co, over: 1m}}", more=tests)))
    assert [result.passed for result in results] == [False, False]


def test_an_empty_set_of_rules_says_nothing() -> None:
    assert list(replay(journal(), RuleSet())) == []
