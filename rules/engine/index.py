"""Which rules listen to what: a record outside every rule's scope costs one look into a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rules.rule import Key, Rule, RuleSet, Scope
from rules.signals.window import Value
from rules.streams import ANY, STREAMS, Item, fields_of
from rules.windows import Tap


@dataclass(frozen=True, slots=True)
class Listener:
    """A tap of one window: the window's place in the rule, how it reads its field from an item, and how ``where`` sees
    one (None: there is none)."""

    window: int
    tap: Tap
    read: Callable[[Item], Value | None]
    fields: Callable[[Item], dict[str, Any]] | None
    plain: bool
    """Whether it takes a reading's value as it is."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What one rule takes from one stream."""

    number: int
    rule: Rule
    listeners: tuple[Listener, ...]
    scope: Scope | None
    key: Callable[[str, str, str, str], str]
    """Makes the key of site, node, source, and zone or quantity."""


class Table:
    """The feeds of one stream, by quantity or kind."""

    __slots__ = ("anything", "by_name")

    def __init__(self, rules: RuleSet, stream: str) -> None:
        names = {
            tap.selector.name
            for rule in rules
            for let in rule.lets
            for tap in let.taps
            if tap.selector.stream == stream
        }
        self.anything = _feeds(rules, stream, None)
        self.by_name: Mapping[str, tuple[Feed, ...]] = {name: _feeds(rules, stream, name) for name in names - {ANY}}

    def get(self, name: str) -> tuple[Feed, ...]:
        """Who listens to ``name``."""
        return self.by_name.get(name, self.anything)


def tables(rules: RuleSet) -> Mapping[str, Table]:
    """A table for each stream; made once for a rule set, however many engines run it."""
    if not rules.tables:
        rules.tables.update((stream, Table(rules, stream)) for stream in STREAMS)
    return rules.tables


def _feeds(rules: RuleSet, stream: str, name: str | None) -> tuple[Feed, ...]:
    feeds = []
    for number, rule in enumerate(rules):
        listeners = tuple(
            Listener(
                place,
                tap,
                tap.selector.reader(tap.takes),
                fields_of(stream) if tap.where is not None else None,
                stream == "reading" and tap.selector.field == "value" and tap.where is None and tap.stage == 0,
            )
            for place, let in enumerate(rule.lets)
            for tap in reversed(let.taps)  # a sequence's later step first: one record is not two steps
            if tap.selector.stream == stream and tap.selector.name in (ANY, "", name)
        )
        if listeners:
            feeds.append(Feed(number, rule, listeners, rule.scope, _KEYS[rule.key]))
    return tuple(feeds)


_KEYS: dict[Key, Callable[[str, str, str, str], str]] = {
    Key.SOURCE: lambda site, node, source, zone: f"{site}/{node}/{source}" if source else f"{site}/{node}",
    Key.ZONE: lambda site, node, source, zone: "/".join(filter(None, (site, node, source, zone))),
    Key.SERIES: lambda site, node, source, quantity: (
        f"{site}/{node}/{source}/{quantity}"
        if source and quantity
        else "/".join(filter(None, (site, node, source, quantity)))
    ),
    Key.NODE: lambda site, node, source, zone: f"{site}/{node}",
    Key.SITE: lambda site, node, source, zone: site,
    Key.CITY: lambda site, node, source, zone: "",
}
