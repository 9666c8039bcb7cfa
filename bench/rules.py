"""How many records a second the rule engine takes, beside decoding the same records from the wire.

Decoding is what every record costs before any rule sees it: a ratio of 1 says that the rules take as long again.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final, TypeVar

from bench.frame import Figure, conditions, quartile_distance
from contract.records import Lane, Reading
from contract.wire import decode_record, encode_record
from rules.engine import Engine
from rules.entry import RecordEntry
from rules.language import RuleSet, load_rules
from rules.packs import shipped

T = TypeVar("T")

START: Final = 1_700_000_000_000_000
SOURCES: Final = 100
RULE: Final = """
rule: bench-{number}
kind: gas
let: {{co: {{avg: reading.co-{number}, over: 5m}}}}
when: co > 80.0
severity: Severe
title: {{en: "CO {{co:.0f}}", zh: "CO {{co:.0f}}"}}
"""


def run(records: int = 20_000, repeats: int = 5, **_options: Any) -> list[Figure]:
    """Measure with 100 rules, each on a quantity of its own, and with the shipped ones.

    Returns:
        ``rules.outside_per_s`` (no rule listens), ``rules.inside_per_s`` (one of the hundred takes an average) and
        ``rules.shipped_co_per_s`` (the shipped carbon monoxide rules: a trend, a last value, quality).
    """
    hundred = RuleSet()
    for number in range(100):
        hundred += load_rules(RULE.format(number=number))
    cases = (
        ("rules.outside_per_s", hundred, "humidity"),
        ("rules.inside_per_s", hundred, "co-7"),
        ("rules.shipped_co_per_s", shipped(), "co"),
    )
    about = conditions(("cel-expr-python", "msgspec"), records=records, sources=SOURCES, rules=len(hundred))
    figures = []
    for name, rules, quantity in cases:
        entries = _entries(records, quantity)
        raws = [encode_record(entry.record) for entry in entries]
        ours: list[float] = []
        reference: list[float] = []
        for _ in range(repeats):
            engine = Engine(rules)
            ours.append(_rate(engine.apply, entries))
            reference.append(_rate(decode_record, raws))
        figures.append(
            Figure(name, median(ours), median(reference), "records/s", repeats, quartile_distance(ours), about)
        )
    return figures


def _entries(records: int, quantity: str) -> list[RecordEntry]:
    """A hundred sources, one reading a second each, far from any limit."""
    entries = []
    for number in range(records):
        instant = START + number * (1_000_000 // SOURCES)
        record = Reading(
            time=instant,
            source=f"s{number % SOURCES}",
            quantity=quantity,
            value=10.0 + number % 17 / 10,
            unit="[ppm]",
        )
        entries.append(RecordEntry(instant, instant, "site", f"n{number % 10}", Lane.LIVE, record))
    return entries


def _rate(take: Callable[[T], object], items: Sequence[T]) -> float:
    begun = time.perf_counter()
    for item in items:
        take(item)
    return len(items) / (time.perf_counter() - begun)
