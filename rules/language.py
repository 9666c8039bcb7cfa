"""The rule language: one YAML document a rule, checked whole when it is loaded."""

import hashlib
from collections.abc import Mapping
from fnmatch import translate
from re import Pattern
from re import compile as regex
from typing import Any, Final

import msgspec

from contract.ids import check_id
from rules.document import Document, Path, read_documents, unknown_key
from rules.durations import SECOND, parse_duration
from rules.expression import Expression, ExpressionError, Kind, check_name, compile_condition
from rules.guard import Guard
from rules.rule import Case, Key, Reference, Rule, RuleSet, RuleTest, Scope
from rules.signal import Severity
from rules.template import Template, parse_template
from rules.windows import Let, LetError, parse_let

__all__ = ["CAP_FIELDS", "Rule", "RuleSet", "load_rules"]

CAP_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "category": frozenset(
        ("Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other")
    ),
    "urgency": frozenset(("Immediate", "Expected", "Future", "Past", "Unknown")),
    "certainty": frozenset(("Observed", "Likely", "Possible", "Unlikely", "Unknown")),
    "response": frozenset(
        ("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None")
    ),
    "event": frozenset(),
}
"""Fields of CAP 1.2's ``info`` (OASIS 2010, section 3.2.2) and their values; ``event`` is free text."""


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    en: str
    zh: str


class _Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    severity: Severity
    when: str = msgspec.field(default="", name="if")
    title: _Words | None = None
    text: _Words | None = None
    playbook: _Words | None = None
    cap: dict[str, str] = {}


class _Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sites: list[str] = []
    nodes: list[str] = []
    sources: list[str] = []
    zones: list[str] = []


class _RuleDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    kind: str
    let: dict[str, Any]
    when: Any
    severity: Severity | list[_Case]
    title: _Words
    version: int = 1
    about: str = ""
    scope: _Scope = _Scope()
    key: Key = Key.SOURCE
    clear: Any = None
    hold: str = "0s"
    clear_after: str = "0s"
    update_every: str = "10s"
    text: _Words = _Words("", "")
    playbook: _Words = _Words("", "")
    cap: dict[str, str] = {}
    references: list[Reference] = []
    tests: list[RuleTest] = []


def load_rules(text: str, file: str = "rules.yaml") -> RuleSet:
    """Read every rule of a YAML text; ``file`` is only for messages.

    Raises:
        RuleError: the first fault, with file, line, column, rule and the way out.
    """
    return RuleSet(tuple(_rule(document) for document in read_documents(text, file)))


def _rule(document: Document) -> Rule:
    raw = _shape(document)
    try:
        check_id(raw.rule, "rule")
        check_id(raw.kind, "kind")
    except ValueError as error:
        raise document.error((), str(error)) from None
    lets = _lets(document, raw)
    names = {let.name: let.kind for let in lets}
    when = _condition(document, ("when",), raw.when, names)
    clear = None if raw.clear is None else _condition(document, ("clear",), raw.clear, names)
    cases = _cases(document, raw, names)
    known = any(condition is not None and condition.known for condition in (when, clear, *(c.when for c in cases)))
    return Rule(
        name=raw.rule,
        version=raw.version,
        wording=hashlib.sha256(document.text.encode()).hexdigest()[:12],
        kind=raw.kind,
        scope=_scope(raw.scope),
        key=raw.key,
        lets=lets,
        when=when,
        clear=clear,
        hold=_duration(document, "hold", raw.hold),
        clear_after=_duration(document, "clear_after", raw.clear_after),
        update_every=max(SECOND, _duration(document, "update_every", raw.update_every)),
        cases=cases,
        references=tuple(raw.references),
        tests=tuple(raw.tests),
        file=document.file,
        about=raw.about,
        known=known,
        lazy=not known and any(let.costly for let in lets),
        guard=None if when.tree is None else Guard(when.tree, {let.name: let.moves for let in lets}),
    )


def _shape(document: Document) -> _RuleDocument:
    known = set(_RuleDocument.__struct_fields__)
    for key in document.value:
        if key not in known:
            raise document.error((str(key),), unknown_key(str(key), known))
    try:
        return msgspec.convert(document.value, _RuleDocument)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        steps = place.rstrip("`").replace("[", ".").replace("]", "").split(".")
        path = tuple(int(step) if step.isdigit() else step for step in steps if step)
        raise document.error(path, problem[0].lower() + problem[1:]) from None


def _lets(document: Document, raw: _RuleDocument) -> tuple[Let, ...]:
    if not raw.let:
        raise document.error(("let",), "is empty; name at least one window")
    lets = []
    for name, window in raw.let.items():
        try:
            lets.append(parse_let(check_name(name), window))
        except LetError as error:
            path = ("let", name, error.option) if error.option else ("let", name)
            raise document.error(path, str(error), error.line, error.column) from None
        except ValueError as error:
            raise document.error(("let", name), str(error)) from None
    return tuple(lets)


def _condition(document: Document, path: Path, text: object, names: Mapping[str, Kind]) -> Expression:
    try:
        return compile_condition(text, names)
    except ExpressionError as error:
        raise document.error(path, error.problem, error.line, error.column) from None


def _cases(document: Document, raw: _RuleDocument, names: Mapping[str, Kind]) -> tuple[Case, ...]:
    always = Case(
        None,
        raw.severity if isinstance(raw.severity, Severity) else Severity.UNKNOWN,
        _template(document, ("title",), raw.title, names),
        _template(document, ("text",), raw.text, names),
        _template(document, ("playbook",), raw.playbook, names),
        _cap(document, ("cap",), raw.cap),
    )
    if isinstance(raw.severity, Severity):
        return (always,)
    if not raw.severity or raw.severity[-1].when:
        raise document.error(("severity",), "ends with no severity for all other cases; add one without 'if'")
    cases = []
    for index, case in enumerate(raw.severity):
        if not case.when and index < len(raw.severity) - 1:
            raise document.error(("severity", index), "holds always, so that nothing after it counts; add 'if'")
        cases.append(_case(document, ("severity", index), case, always, names))
    return tuple(cases)


def _case(document: Document, path: Path, raw: _Case, always: Case, names: Mapping[str, Kind]) -> Case:
    def words(key: str, own: _Words | None, otherwise: Template) -> Template:
        return otherwise if own is None else _template(document, (*path, key), own, names)

    return Case(
        when=_condition(document, (*path, "if"), raw.when, names) if raw.when else None,
        severity=raw.severity,
        title=words("title", raw.title, always.title),
        text=words("text", raw.text, always.text),
        playbook=words("playbook", raw.playbook, always.playbook),
        cap={**always.cap, **_cap(document, (*path, "cap"), raw.cap)},
    )


def _scope(raw: _Scope) -> Scope | None:
    def pattern(names: list[str]) -> Pattern[str] | None:
        return regex("|".join(translate(name) for name in names)) if names else None

    if not any((raw.sites, raw.nodes, raw.sources, raw.zones)):
        return None
    return Scope(pattern(raw.sites), pattern(raw.nodes), pattern(raw.sources), pattern(raw.zones))


def _duration(document: Document, key: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise document.error((key,), str(error)) from None


def _template(document: Document, path: Path, words: _Words, names: Mapping[str, Kind]) -> Template:
    languages = {}
    for language, text in (("en", words.en), ("zh", words.zh)):
        try:
            languages[language] = parse_template(text.strip(), names)
        except ValueError as error:
            raise document.error((*path, language), str(error)) from None
    return Template(languages["en"], languages["zh"])


def _cap(document: Document, path: Path, cap: dict[str, str]) -> Mapping[str, str]:
    for name, value in cap.items():
        if name not in CAP_FIELDS:
            raise document.error((*path, name), unknown_key(name, CAP_FIELDS))
        allowed = CAP_FIELDS[name]
        if allowed and value not in allowed:
            raise document.error((*path, name), f"{value!r} is none of CAP's: {', '.join(sorted(allowed))}")
    return dict(cap)
