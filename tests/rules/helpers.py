"""What the tests of the rules share: records and entries in few words."""

from contract.records import Event, Health, Lane, Phase, Quality, Reading, Record, SourceHealth
from rules.entry import Entry, RecordEntry, TickEntry

START = 1_700_000_000_000_000
SECOND = 1_000_000


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def tick(seconds: float) -> TickEntry:
    return TickEntry(at(seconds))


def entry(seconds: float, record: Record, *, node: str = "n1", lane: Lane = Lane.LIVE, late: float = 0.0) -> Entry:
    return RecordEntry(at(seconds - late), at(seconds), "site", node, lane, record)


def reading(
    seconds: float,
    value: float,
    *,
    source: str = "s1",
    quantity: str = "co",
    quality: Quality = Quality.GOOD,
    node: str = "n1",
    lane: Lane = Lane.LIVE,
    late: float = 0.0,
) -> Entry:
    record = Reading(
        time=at(seconds - late), source=source, quantity=quantity, value=value, unit="[ppm]", quality=quality
    )
    return entry(seconds, record, node=node, lane=lane, late=late)


def event(
    seconds: float,
    name: str,
    *,
    kind: str = "fire",
    phase: Phase = Phase.OPEN,
    revision: int = 1,
    score: float = 0.9,
    source: str = "c1",
    zone: str = "",
    node: str = "n1",
    lane: Lane = Lane.ALARM,
    late: float = 0.0,
    lasted: float = 0.0,
    **attrs: float | str | bool,
) -> Entry:
    record = Event(
        id=name,
        kind=kind,
        phase=phase,
        revision=revision,
        time=at(seconds - late),
        started=at(seconds - late - lasted),
        source=source,
        zone=zone,
        score=score,
        attrs=attrs,
    )
    return entry(seconds, record, node=node, lane=lane, late=late)


def health(seconds: float, *, node: str = "n1", **states: str) -> Entry:
    sources = tuple(SourceHealth(source=name, kind="camera", state=state) for name, state in states.items())
    return entry(seconds, Health(time=at(seconds), sources=sources), node=node)


RULE = """
rule: {name}
kind: gas
key: {key}
let: {let}
when: '{when}'
severity: {severity}
title: {{en: "{title}", zh: "测试"}}
{more}
"""


def rule(
    when: str,
    let: str,
    *,
    name: str = "probe",
    key: str = "source",
    severity: str = "Severe",
    title: str = "a test",
    more: str = "",
) -> str:
    return RULE.format(name=name, key=key, let=let, when=when, severity=severity, title=title, more=more)
