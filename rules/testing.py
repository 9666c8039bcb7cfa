"""A rule's own tests: records at relative times go in, the signals that come out are compared.

``given`` holds inputs, each ``at`` a time, or ``from`` one ``to`` another ``every`` so often, with one of ``reading``,
``event``, ``health`` or ``heartbeat`` as in ``contract.records``, or with a ``notice`` (``deaf``, ``silent``,
``twice``); what is left out is filled in. A reading's ``value`` may be a pair
``[first, last]``, which runs from one to the other. ``site``, ``node`` and ``lane`` may stand beside it, and ``late``:
how long the record was on its way. Ticks come once a second, to ``until`` (or the last input).

``expect`` lists every signal in order: ``at`` a time or a range ``5s..20s``, and any of ``action``, ``severity``,
``key``, ``kind``, ``en`` (a part of the English title or text), ``values`` and ``events``.
``expect: []`` means silence.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from contract.records import Event, Health, Heartbeat, Lane, Phase, Reading, Record
from rules.document import unknown_key
from rules.durations import SECOND, parse_duration
from rules.entry import Entry, Notice, NoticeKind, RecordEntry, TickEntry
from rules.replay import arrival, replay, with_ticks
from rules.rule import Rule, RuleSet, RuleTest
from rules.signal import Signal

START: Final = 1_700_000_000_000_000
"""The tests' time 0: 2023-11-14 22:13:20 UTC."""
_RECORDS: Final[Mapping[str, type[Record]]] = {
    "reading": Reading,
    "event": Event,
    "health": Health,
    "heartbeat": Heartbeat,
}
_SAID: Final = (*_RECORDS, "notice")
_INPUT: Final = ("at", "from", "to", "every", "late", "site", "node", "lane", *_SAID)
_EXPECTED: Final = ("at", "action", "severity", "key", "kind", "en", "values", "events")


@dataclass(frozen=True)
class TestResult:
    """How one test went; ``problem`` says what was expected and what came."""

    __test__ = False

    rule: str
    test: str
    file: str
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything came as expected."""
        return not self.problem


class _FaultyTestError(ValueError):
    pass


def run_tests(rules: RuleSet) -> list[TestResult]:
    """Run every test of every rule, each rule on its own. A rule without tests gives one failed result."""
    results = []
    for rule in rules:
        if not rule.tests:
            results.append(TestResult(rule.name, "-", rule.file, "has no tests; add one under 'tests'"))
        results += [_run(rule, test) for test in rule.tests]
    return results


def entries_of(test: RuleTest) -> list[Entry]:
    """The test's inputs as journal entries, in order of arrival.

    Raises:
        ValueError: an input that makes no sense.
    """
    inputs = [entry for number, raw in enumerate(test.given) for entry in _inputs(raw, number)]
    inputs.sort(key=arrival)
    revisions: dict[str, int] = {}
    entries: list[Entry] = []
    for entry in inputs:
        if isinstance(entry, TickEntry):
            entries.append(entry)
            continue
        record = entry.record
        if isinstance(record, Event) and not record.revision:
            revisions[record.id] = revisions.get(record.id, 0) + 1
            record = msgspec.structs.replace(record, revision=revisions[record.id])
            entry = RecordEntry(entry.time, entry.arrived, entry.site, entry.node, entry.lane, record)
        entries.append(entry)
    return entries


def _run(rule: Rule, test: RuleTest) -> TestResult:
    try:
        entries = entries_of(test)
        until = parse_duration(test.until) + START if test.until else 0
        signals = [
            signal
            for signal in replay(with_ticks(entries, until), RuleSet((rule,)))
            if not test.only or signal.action.value in test.only
        ]
        problems = list(_compare(test.expect, signals))
    except (ValueError, TypeError) as error:
        problems = [str(error)]
    return TestResult(rule.name, test.name, rule.file, "\n".join(problems))


def _inputs(raw: dict[str, Any], number: int) -> Iterator[Entry]:
    place = f"given.{number}"
    for key in raw:
        if key not in _INPUT:
            raise _FaultyTestError(f"{place}: {unknown_key(key, _INPUT)}")
    types = [name for name in _SAID if name in raw]
    if len(types) != 1:
        raise _FaultyTestError(f"{place}: names {len(types)} records; name one of {', '.join(_SAID)}")
    times = _times(raw, place)
    if types == ["notice"]:
        notice = _notice(raw, place)
        for time in times:
            yield TickEntry(START + time, (notice,))
        return
    late = _time(raw.get("late", "0s"), place)
    for index, time in enumerate(times):
        share = index / (len(times) - 1) if len(times) > 1 else 0.0
        own = START + time - late
        record = _record(types[0], raw[types[0]], own, share, place)
        yield RecordEntry(
            own, START + time, raw.get("site", "site"), raw.get("node", "node"), Lane(raw.get("lane", "live")), record
        )


def _notice(raw: dict[str, Any], place: str) -> Notice:
    if raw["notice"] not in list(NoticeKind):
        raise _FaultyTestError(f"{place}.notice: {unknown_key(str(raw['notice']), list(NoticeKind))}")
    kind = NoticeKind(raw["notice"])
    return Notice(kind) if kind is NoticeKind.DEAF else Notice(kind, raw.get("site", "site"), raw.get("node", "node"))


def _times(raw: dict[str, Any], place: str) -> list[int]:
    if "at" in raw:
        return [_time(raw["at"], place)]
    if not {"from", "to"} <= raw.keys():
        raise _FaultyTestError(f"{place}: has no time; write at: 5s, or from: 0s, to: 60s, every: 1s")
    every = _time(raw.get("every", "1s"), place)
    return list(range(_time(raw["from"], place), _time(raw["to"], place) + 1, max(every, SECOND // 100)))


def _time(text: object, place: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise _FaultyTestError(f"{place}: {error}") from None


def _record(name: str, raw: Mapping[str, Any], time: int, share: float, place: str) -> Record:
    fields: dict[str, Any] = {"time": time}
    if name in ("reading", "event"):
        fields["source"] = "source"
    if name == "heartbeat":
        fields["number"] = 1
    if name == "event":
        fields |= {"id": "event", "phase": Phase.OPEN, "revision": 0, "started": time}
    fields |= raw
    value = fields.get("value")
    if name == "reading" and isinstance(value, list) and len(value) == 2:
        fields["value"] = value[0] + share * (value[1] - value[0])
    known = _RECORDS[name].__struct_fields__
    for field in fields:
        if field not in known:
            raise _FaultyTestError(f"{place}.{name}: {unknown_key(field, known)}")
    try:
        return msgspec.convert({"type": name, **fields}, _RECORDS[name])
    except msgspec.ValidationError as error:
        raise _FaultyTestError(f"{place}.{name}: {error}") from None


def _compare(expected: list[dict[str, Any]], signals: list[Signal]) -> Iterator[str]:
    for number, (want, came) in enumerate(zip(expected, signals, strict=False)):
        for key, value in want.items():
            if key not in _EXPECTED:
                raise _FaultyTestError(f"expect.{number}: {unknown_key(key, _EXPECTED)}")
            problem = _differs(key, value, came)
            if problem:
                yield f"expect.{number}: {problem} ({_show(came)})"
    for want in expected[len(signals) :]:
        yield f"expected {want}, but nothing more came"
    for came in signals[len(expected) :]:
        yield f"nothing more was expected, but there came {_show(came)}"


def _differs(key: str, want: Any, came: Signal) -> str:
    if key == "at":
        first, _, last = str(want).partition("..")
        time = came.time - START
        fits = _time(first, "expect.at") <= time <= _time(last or first, "expect.at")
        return "" if fits else f"expected at {want}, came at {time / SECOND:g}s"
    if key == "en":
        both = f"{came.title.en}\n{came.text.en}"
        return "" if want in both else f"expected {want!r} in {both!r}"
    if key == "values":
        wrong = [name for name, value in want.items() if came.values.get(name) != value]
        return f"expected {wrong[0]} = {want[wrong[0]]!r}, is {came.values.get(wrong[0])!r}" if wrong else ""
    is_now = list(came.events) if key == "events" else getattr(came, key)
    if is_now == want:
        return ""
    near = difflib.get_close_matches(str(want), [str(is_now)], n=1, cutoff=0.8)
    return f"expected {key} {want!r}, came {is_now!s}" + (" (spelling?)" if near else "")


def _show(signal: Signal) -> str:
    values = ", ".join(f"{name}={value}" for name, value in signal.values.items())
    seconds = (signal.time - START) / SECOND
    return f"{seconds:g}s {signal.action} {signal.severity} {signal.kind} {signal.key}: {signal.title.en} [{values}]"
