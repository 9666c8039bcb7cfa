"""The guide tells the truth: its example loads and passes its own test, and every window is in its table."""

import re
from pathlib import Path

from rules.entry import RecordEntry, TickEntry
from rules.language import load_rules
from rules.packs import shipped
from rules.replay import decode_entry
from rules.streams import STREAMS
from rules.testing import run_tests
from rules.windows import FUNCTIONS

GUIDE = (Path(__file__).parents[2] / "docs/rules.md").read_text(encoding="utf-8")


def test_the_example_is_a_rule_that_passes_its_test() -> None:
    example = re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert example is not None
    (result,) = run_tests(load_rules(example[1]))
    assert result.passed, result.problem


def test_every_window_stream_and_shipped_rule_is_described() -> None:
    for name in (*FUNCTIONS, *(rule.name for rule in shipped())):
        assert f"`{name}`" in GUIDE, name
    for stream in STREAMS:
        assert f"`{stream}" in GUIDE, stream


def test_the_example_entries_are_entries() -> None:
    example = re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert example is not None
    record, tick = (decode_entry(line) for line in example[1].splitlines())
    assert isinstance(record, RecordEntry)
    assert isinstance(tick, TickEntry)
