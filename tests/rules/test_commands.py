"""The rules' commands need no server: testing, and replaying a file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rules.replay import encode_entry
from tests.rules.helpers import reading, rule
from vedette.commands.rules import RulesError, app

TESTS = "tests: [{name: it is quiet, given: [{at: 1s, reading: {quantity: co, value: %s}}], expect: []}]"


@pytest.mark.parametrize(("value", "code"), [(6, 0), (60, 1)])
def test_rules_are_tested_and_the_exit_code_tells(tmp_path: Path, value: int, code: int) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(rule("co > 50.0", "{co: {avg: reading.co, over: 1m}}", more=TESTS % value), encoding="utf-8")
    ran = CliRunner().invoke(app, ["test", str(file)])
    assert ran.exit_code == code
    assert ("1 passed" in ran.output) is (code == 0)


def test_recorded_entries_are_replayed_without_a_server(tmp_path: Path) -> None:
    rules, entries = tmp_path / "mine.yaml", tmp_path / "night.jsonl"
    rules.write_text(rule("co > 50.0", "{co: {avg: reading.co, over: 1m}}"), encoding="utf-8")
    entries.write_bytes(b"\n".join(encode_entry(reading(second, 60.0)) for second in range(3)))
    ran = CliRunner().invoke(app, ["replay", str(rules), "--entries", str(entries), "--json"])
    assert ran.exit_code == 0
    assert ran.output.count('"raise"') == 1
    entries.write_text('{"time": "soon"}\n')
    ran = CliRunner().invoke(app, ["replay", str(rules), "--entries", str(entries)])
    assert isinstance(ran.exception, RulesError)
    assert "night.jsonl:1: no entry" in str(ran.exception)
