"""Conditions that only compare names with figures, as Python closures: what most rules say, at a tenth of the price.

A condition that ``rules.expression`` has compiled and type-checked may be written again here where it is made of
``name OP figure``, ``name OP name``, flags, ``!``, ``&&``, ``||`` and brackets, and of nothing that can fail. It then
answers as CEL does, in Kleene's three values (``True``, ``False``, and ``None`` where it hangs on a missing name).
Anything else (arithmetic, functions, attributes) is left to CEL.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

Verdict = Callable[[Mapping[str, Any]], bool | None]
"""Values by name -> the answer."""
Compare = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Flag:
    """A name that is true or false."""

    name: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left OP right``: names where ``kinds`` says so, figures elsewhere."""

    left: Any
    sign: str
    right: Any
    kinds: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Not:
    """``!one``."""

    one: "Node"


@dataclass(frozen=True, slots=True)
class Both:
    """``one && two``."""

    one: "Node"
    two: "Node"


@dataclass(frozen=True, slots=True)
class Either:
    """``one || two``."""

    one: "Node"
    two: "Node"


Node = Flag | Comparison | Not | Both | Either

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<sign>&&|\|\||<=|>=|==|!=|[<>!()])
      | duration\(\s*"(?P<number>\d+)(?P<unit>ms|s|m|h)"\s*\)
      | (?P<real>-?\d+\.\d+)
      | (?P<whole>-?\d+)(?![\w.])
      | "(?P<text>[^"\\\n]*)"
      | '(?P<quoted>[^'\\\n]*)'
      | (?P<name>[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)(?!\s*[(\[.])
    )""",
    re.VERBOSE,
)
COMPARISONS: Final[Mapping[str, Compare]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_UNITS: Final = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours"}
_LARGEST: Final = 2**63


class _NotPlainError(Exception):
    """CEL's business."""


def parse(text: str, names: frozenset[str]) -> Node | None:
    """The condition as a tree; None where it says more than comparisons of ``names``.

    Args:
        text: a condition that CEL has accepted, with these names declared.
    """
    try:
        reader = _Reader(_tokens(text, names))
        tree = reader.any_of()
        return tree if reader.at_end else None
    except _NotPlainError:
        return None


def verdict(tree: Node) -> Verdict:
    """The tree as a closure."""
    if isinstance(tree, Flag):
        return _flag(tree.name)
    if isinstance(tree, Comparison):
        return _compared(tree)
    if isinstance(tree, Not):
        return _not(verdict(tree.one))
    one, two = verdict(tree.one), verdict(tree.two)
    return _both(one, two) if isinstance(tree, Both) else _either(one, two)


def _tokens(text: str, names: frozenset[str]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _NotPlainError
        place = match.end()
        found.append(_token(match, names))
    return found


def _token(match: re.Match[str], names: frozenset[str]) -> tuple[str, Any]:
    if match["sign"]:
        return match["sign"], None
    if match["number"]:
        return "figure", timedelta(**{_UNITS[match["unit"]]: int(match["number"])})
    if match["real"]:
        return "figure", float(match["real"])
    if match["whole"]:
        value = int(match["whole"])
        if abs(value) >= _LARGEST:
            raise _NotPlainError
        return "figure", value
    if match["name"]:
        if match["name"] not in names:
            raise _NotPlainError  # true, false, or an attribute
        return "name", match["name"]
    return "figure", match["text"] if match["text"] is not None else match["quoted"]


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[tuple[str, Any]]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def at_end(self) -> bool:
        """Whether all was read."""
        return self._place == len(self._tokens)

    def any_of(self) -> Node:
        """``a || b``."""
        found = self._all_of()
        while self._take("||"):
            found = Either(found, self._all_of())
        return found

    def _all_of(self) -> Node:
        found = self._one()
        while self._take("&&"):
            found = Both(found, self._one())
        return found

    def _one(self) -> Node:
        if self._take("!"):
            return Not(self._one())
        if self._take("("):
            found = self.any_of()
            if not self._take(")"):
                raise _NotPlainError
            return found
        kind, left = self._operand()
        if self.at_end or self._tokens[self._place][0] not in COMPARISONS:
            if kind != "name":
                raise _NotPlainError
            return Flag(left)
        sign = self._tokens[self._place][0]
        self._place += 1
        other, right = self._operand()
        if kind == other == "figure":
            raise _NotPlainError
        return Comparison(left, sign, right, (kind, other))

    def _operand(self) -> tuple[str, Any]:
        if self.at_end or self._tokens[self._place][0] not in ("name", "figure"):
            raise _NotPlainError
        self._place += 1
        return self._tokens[self._place - 1]

    def _take(self, sign: str) -> bool:
        taken = not self.at_end and self._tokens[self._place][0] == sign
        self._place += taken
        return taken


def _flag(name: str) -> Verdict:
    return lambda values: values.get(name)


def _compared(node: Comparison) -> Verdict:
    left, right, compare = node.left, node.right, COMPARISONS[node.sign]
    kind, other = node.kinds
    if other == "figure":

        def with_figure(values: Mapping[str, Any]) -> bool | None:
            value = values.get(left)
            return None if value is None else compare(value, right)

        return with_figure
    if kind == "figure":

        def figure_with(values: Mapping[str, Any]) -> bool | None:
            value = values.get(right)
            return None if value is None else compare(left, value)

        return figure_with

    def names(values: Mapping[str, Any]) -> bool | None:
        one, two = values.get(left), values.get(right)
        return None if one is None or two is None else compare(one, two)

    return names


def _not(one: Verdict) -> Verdict:
    def negated(values: Mapping[str, Any]) -> bool | None:
        answer = one(values)
        return None if answer is None else not answer

    return negated


def _both(one: Verdict, two: Verdict) -> Verdict:
    def both(values: Mapping[str, Any]) -> bool | None:
        first = one(values)
        if first is False:
            return False
        second = two(values)
        return second if first or second is False else None

    return both


def _either(one: Verdict, two: Verdict) -> Verdict:
    def either(values: Mapping[str, Any]) -> bool | None:
        first = one(values)
        if first:
            return True
        second = two(values)
        return second if first is False or second else None

    return either
