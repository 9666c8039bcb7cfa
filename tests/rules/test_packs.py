"""Every shipped rule passes its own tests, and real fires make the gas rules speak."""

import csv
import math
import os
from itertools import pairwise
from pathlib import Path

import pytest

from contract.records import Lane, Reading
from rules.durations import MINUTE, SECOND
from rules.engine import Engine
from rules.entry import RecordEntry
from rules.language import load_rules
from rules.packs import shipped
from rules.replay import replay, with_ticks
from rules.rule import RuleSet
from rules.signal import Action, Severity, Signal
from rules.testing import run_tests
from tests.rules.helpers import at, health, rule, tick

SHIPPED = shipped()
FIRES = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared/data")) / "sensors/nist_fires"


@pytest.mark.parametrize("result", run_tests(SHIPPED), ids=lambda result: f"{result.rule}: {result.test}")
def test_a_shipped_rule_keeps_its_promise(result) -> None:
    assert result.passed, result.problem


def test_every_shipped_rule_speaks_both_languages_and_fills_in_cap() -> None:
    for shipped_rule in SHIPPED:
        for case in shipped_rule.cases:
            assert all((case.title.zh, case.text.zh, case.playbook.zh, case.playbook.en))
            assert {"category", "urgency", "certainty", "event"} <= case.cap.keys()


def test_a_silent_node_stays_one_warning_through_a_takeover_and_a_pause_of_all_workers() -> None:
    """The engine goes on from its snapshot ten minutes later; only a report ends the silence."""
    silent = RuleSet(tuple(one for one in SHIPPED if one.name == "node-silent"))
    engine = Engine(silent)
    before = [health(0), *(tick(second) for second in range(1, 100))]
    said = [signal for one in before for signal in engine.apply(one)]
    after = Engine(silent, engine.snapshot())
    paused = [tick(second) for second in range(700, 900)]
    said += [signal for one in (*paused, health(900)) for signal in after.apply(one)]
    assert [(signal.action, (signal.time - at(0)) // SECOND) for signal in said] == [("raise", 60), ("clear", 900)]


def test_what_a_rules_test_expects_and_does_not_get_is_told() -> None:
    tests = """
tests:
  - name: wrong time
    given: [{at: 1s, reading: {quantity: co, value: 60}}]
    expect: [{at: 2s, action: raise}]
  - name: nothing comes
    given: [{at: 1s, reading: {quantity: co, value: 6}}]
    expect: [{at: 2s, action: raise}]
  - name: too much comes
    given: [{at: 1s, reading: {quantity: co, value: 60}}]
    expect: []
  - name: a word nobody knows
    given: [{at: 1s, reading: {quantitty: co, value: 60}}]
    expect: []
"""
    rules = load_rules(rule("co > 50.0", "{co: {avg: reading.co, over: 1m}}", more=tests))
    problems = [result.problem for result in run_tests(rules)]
    words = ("expected at 2s, came at 1s", "nothing more came", "nothing more was expected", "did you mean 'quantity'")
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
    (untested,) = run_tests(load_rules(rule("co > 50.0", "{co: {avg: reading.co, over: 1m}}")))
    assert not untested.passed


IGNITION = 1000


def carbon_monoxide(file: Path) -> list[tuple[float, float]]:
    """(seconds, ppm) of the CO in a room that really burnt; the file has mole fractions and begins before ignition."""
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = [(float(row["Time"]), float(row["COFront"]) * 1e6) for row in csv.DictReader(lines)]
    return [(IGNITION + second, value) for second, value in rows if not math.isnan(value)]


def played(series: list[tuple[float, float]]) -> list[Signal]:
    entries = []
    for second, value in series:
        record = Reading(time=at(second), source="lab", quantity="co", value=value, unit="[ppm]")
        entries.append(RecordEntry(at(second), at(second), "site", "n1", Lane.LIVE, record))
    return list(replay(with_ticks(entries), SHIPPED))


@pytest.mark.skipif(not FIRES.is_dir(), reason="needs the NIST fires: set VEDETTE_DATA to the data folder")
@pytest.mark.parametrize("name", ["ISOHept24", "ISOHept27", "ISOHept5", "ISONylon10", "ISOProp15", "ISOStyrene16"])
def test_a_real_fire_is_warned_of_before_its_carbon_monoxide_reaches_the_ceiling(name: str) -> None:
    series = carbon_monoxide(FIRES / f"{name}.csv")
    above = next(at(second) for second, value in series if value >= 200)
    signals = [signal for signal in played(series) if signal.kind == "gas"]
    last_raise = [signal for signal in signals if signal.action is Action.RAISE and signal.time <= above][-1]
    assert last_raise.time <= above - 15 * SECOND
    extreme = next(signal for signal in signals if signal.severity is Severity.EXTREME)
    assert above <= extreme.time <= above + 5 * SECOND
    for one, two in pairwise(signals):
        assert two.action is not Action.CHANGE or two.time - one.time >= MINUTE or two.severity != one.severity


@pytest.mark.skipif(not FIRES.is_dir(), reason="needs the NIST fires: set VEDETTE_DATA to the data folder")
def test_the_same_fire_gives_the_same_warnings_each_time() -> None:
    series = carbon_monoxide(FIRES / "ISONylon10.csv")
    assert played(series) == played(series)
