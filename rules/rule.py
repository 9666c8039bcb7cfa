"""A rule as it runs: compiled, checked, frozen."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from re import Pattern
from typing import Any

import msgspec

from rules.document import RuleError
from rules.expression import Expression
from rules.guard import Guard
from rules.signal import Severity
from rules.template import Template
from rules.windows import Let


class Key(StrEnum):
    """What a rule speaks of, one episode each."""

    SOURCE = "source"
    ZONE = "zone"
    SERIES = "series"
    """One quantity of one source."""
    NODE = "node"
    SITE = "site"
    CITY = "city"


class RuleTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test inside a rule; ``rules.testing`` says what ``given`` and ``expect`` may hold."""

    name: str
    given: list[dict[str, Any]]
    expect: list[dict[str, Any]]
    until: str = ""
    only: list[str] = []
    """Actions that are compared, such as ``[raise, clear]``; all when left out."""


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a figure comes from: the words and their source."""

    quote: str
    source: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a rule holds; None means everywhere."""

    sites: Pattern[str] | None = None
    nodes: Pattern[str] | None = None
    sources: Pattern[str] | None = None
    zones: Pattern[str] | None = None

    def holds(self, site: str, node: str, source: str, zone: str) -> bool:
        """Whether a record of this place is in scope."""
        return (
            (self.sites is None or self.sites.fullmatch(site) is not None)
            and (self.nodes is None or self.nodes.fullmatch(node) is not None)
            and (self.sources is None or self.sources.fullmatch(source) is not None)
            and (self.zones is None or self.zones.fullmatch(zone) is not None)
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A severity, the condition under which it holds (None: always), and what is said then."""

    when: Expression | None
    severity: Severity
    title: Template
    text: Template
    playbook: Template
    cap: Mapping[str, str]


@dataclass(frozen=True)
class Rule:
    """A rule, compiled. Durations are microseconds."""

    name: str
    version: int
    wording: str
    """First 12 digits of the SHA-256 of the rule's text."""
    kind: str
    scope: Scope | None
    key: Key
    lets: tuple[Let, ...]
    when: Expression
    clear: Expression | None
    hold: int
    clear_after: int
    update_every: int
    cases: tuple[Case, ...]
    """The first that holds counts; the last always does."""
    references: tuple[Reference, ...] = ()
    tests: tuple[RuleTest, ...] = ()
    file: str = ""
    about: str = ""
    known: bool = False
    """Whether a condition asks which names have a value."""
    lazy: bool = False
    """Whether costly windows may be left out where ``when`` is false without them."""
    guard: Guard | None = None
    """What keeps ``when`` from being true; None where it says more than comparisons."""


@dataclass(frozen=True)
class RuleSet:
    """Rules that are run together; their names differ."""

    rules: tuple[Rule, ...] = ()
    tables: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Who listens to what (``rules.engine.index``), once an engine has asked."""

    def __post_init__(self) -> None:
        names: dict[str, Rule] = {}
        for rule in self.rules:
            if rule.name in names:
                raise RuleError(
                    f"rule {rule.name!r} stands in {names[rule.name].file} and again in {rule.file}; rename one"
                )
            names[rule.name] = rule

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __add__(self, other: "RuleSet") -> "RuleSet":
        """Both sets together.

        Raises:
            RuleError: a name stands in both.
        """
        return RuleSet(self.rules + other.rules)

    @property
    def fingerprint(self) -> str:
        """Changes when any rule's wording does."""
        whole = "\n".join(f"{rule.name} {rule.wording}" for rule in self.rules)
        return hashlib.sha256(whole.encode()).hexdigest()[:12]
