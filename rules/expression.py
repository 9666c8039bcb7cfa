"""Conditions: CEL (Common Expression Language), type-checked when a rule is loaded.

Everything else in ``rules`` knows CEL only through this module. What a name stands for may be missing at a moment
(a window without data). CEL then answers in three values: ``a || b`` is true where ``a`` is true, whatever ``b`` is;
where the answer hangs on what is missing, it is unknown, and ``evaluate`` gives None.
"""

import difflib
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from cel_expr_python import cel  # type: ignore[import-untyped]  # it brings stubs, but no py.typed

from rules.comparison import parse, verdict

Scalar = float | int | str | bool | timedelta


class Kind(StrEnum):
    """What a name in an expression stands for."""

    NUMBER = "number"
    COUNT = "count"
    TEXT = "text"
    FLAG = "flag"
    DURATION = "duration"
    ATTRIBUTES = "attributes"


_TYPES: Final = {
    Kind.NUMBER: cel.Type.DOUBLE,
    Kind.COUNT: cel.Type.INT,
    Kind.TEXT: cel.Type.STRING,
    Kind.FLAG: cel.Type.BOOL,
    Kind.DURATION: cel.Type.DURATION,
    Kind.ATTRIBUTES: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}
_FAULT: Final = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_MISSING: Final = ("No value with name", "NOT_FOUND: Key not found in map")
# fmt: off
_RESERVED: Final = frozenset((
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "known", "let",
    "loop", "namespace", "null", "package", "return", "true", "var", "void", "while",
))
# fmt: on


class ExpressionError(ValueError):
    """An expression that cannot be used; ``line`` and ``column`` count from 1 within the expression."""

    def __init__(self, problem: str, line: int = 1, column: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


class ExpressionFaultError(RuntimeError):
    """An expression that failed on its values, such as a division by zero."""


class Expression:
    """A compiled condition."""

    __slots__ = ("_compiled", "_plain", "known", "text", "tree")

    def __init__(self, text: str, compiled: cel.Expression, names: frozenset[str]) -> None:
        self.text = text
        self._compiled = compiled
        self.tree = parse(text, names)
        """What it says, where that is no more than comparisons."""
        self._plain = None if self.tree is None else verdict(self.tree)
        self.known = "known." in text
        """Whether it asks which names have a value."""

    def evaluate(self, values: Mapping[str, Any]) -> bool | None:
        """True, False, or None where the answer hangs on a name (or an attribute) without a value.

        Raises:
            ExpressionFaultError: it failed, and not for want of a value.
        """
        if self._plain is not None:
            return self._plain(values)
        result = self._compiled.eval(data=values).value()
        if result is True or result is False:
            return result
        reason = str(result)
        if any(words in reason for words in _MISSING):
            return None
        raise ExpressionFaultError(f"{self.text!r} failed: {reason}")


def check_name(name: str) -> str:
    """Return ``name`` if an expression can use it.

    Raises:
        ValueError: no identifier, or a word CEL keeps for itself.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"name {name!r} is not usable; begin with a letter a-z and go on with a-z, 0-9 and '_'")
    if name in _RESERVED:
        raise ValueError(f"name {name!r} is a word of the expression language; choose another")
    return name


def compile_condition(text: object, names: Mapping[str, Kind]) -> Expression:
    """Compile and type-check a condition over ``names``. ``known.x`` tells whether ``x`` has a value.

    Raises:
        ExpressionError: syntax, an unknown name (with the nearest known one), types that do not go together, or a
            result that is not true or false.
    """
    if isinstance(text, bool):
        text = "true" if text else "false"
    if not isinstance(text, str) or not text.strip():
        raise ExpressionError("is not an expression; write a condition such as 'co5 > 60.0'")
    variables = {name: _TYPES[kind] for name, kind in names.items()}
    variables.update({f"known.{name}": cel.Type.BOOL for name in names})
    try:
        compiled = cel.NewEnv(variables=variables).compile(text)
    except RuntimeError as error:
        raise _explained(str(error), names) from None
    if compiled.return_type() != cel.Type.BOOL:
        raise ExpressionError(f"gives {compiled.return_type().name()}, not true or false; compare it with something")
    return Expression(text, compiled, frozenset(variables))


def _explained(message: str, names: Mapping[str, Kind]) -> ExpressionError:
    found = _FAULT.search(message)
    if found is None:
        return ExpressionError(message)
    line, column, problem = int(found[1]), int(found[2]), found[3].removesuffix(" [INVALID_ARGUMENT]")
    undeclared = _UNDECLARED.search(problem)
    if undeclared:
        near = difflib.get_close_matches(undeclared[1], list(names), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(names)) or 'nothing'}"
        problem = f"unknown name {undeclared[1]!r}; {hint}"
    elif "(double, int)" in problem or "(int, double)" in problem:
        problem += "; a number takes a decimal point (60.0), a count none (60)"
    return ExpressionError(problem, line, column)
