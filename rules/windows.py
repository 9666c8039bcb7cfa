"""The ``let`` of a rule: ``{avg: reading.co, over: 5m}`` becomes a window that can be made for each key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.records import Quality
from rules.document import unknown_key
from rules.durations import MINUTE, parse_duration
from rules.expression import Expression, Kind, compile_condition
from rules.signals import numbers, occurrences, patterns
from rules.signals.window import Window
from rules.streams import STREAMS, Selector, parse_selector

QUALITIES: Final[Mapping[str, frozenset[Quality]]] = {
    "usable": frozenset((Quality.GOOD, Quality.UNCERTAIN)),
    "good": frozenset((Quality.GOOD,)),
    "bad": frozenset((Quality.BAD,)),
    "any": frozenset(Quality),
}
_COMMON: Final = ("where", "quality")
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "avg": ("over",),
    "min": ("over",),
    "max": ("over",),
    "rate": ("over",),
    "rising": ("over",),
    "forecast": ("ahead",),
    "time_to": ("limit", "within"),
    "count": ("over",),
    "distinct": ("over",),
    "seen": ("over",),
    "absent": ("over",),
    "last": (),
    "open": (),
    "k_of_n": ("k", "over"),
    "then": ("within",),
}
FUNCTIONS: Final = tuple(_REQUIRED)
"""Every window there is."""
_OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "rate": ("per",),
    "rising": ("by",),
    "forecast": ("over",),
    "time_to": ("over", "falling"),
    "last": ("over", "as"),
    "distinct": ("as",),
    "k_of_n": ("n",),
}
_KINDS: Final[Mapping[str, Kind]] = {
    "rising": Kind.FLAG,
    "time_to": Kind.DURATION,
    "count": Kind.COUNT,
    "distinct": Kind.COUNT,
    "seen": Kind.FLAG,
    "absent": Kind.FLAG,
    "open": Kind.COUNT,
    "k_of_n": Kind.FLAG,
    "then": Kind.FLAG,
}
_TREND_OVER: Final = 5 * MINUTE
_COSTLY: Final = frozenset(("rate", "rising", "forecast", "time_to"))
_NUMERIC: Final = frozenset(("avg", "min", "max", "rate", "rising", "forecast", "time_to"))


class LetError(ValueError):
    """A window that cannot be used; ``option`` is the key at fault, ``line`` and ``column`` lie within its text."""

    def __init__(self, option: str, problem: str, line: int = 1, column: int = 1) -> None:
        super().__init__(problem)
        self.option = option
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Tap:
    """What a window listens to. A sequence has one tap a step, the others one."""

    selector: Selector
    where: Expression | None
    qualities: frozenset[Quality]
    takes: Kind
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Let:
    """A named window of a rule."""

    name: str
    kind: Kind
    taps: tuple[Tap, ...]
    make: Callable[[], Window]
    span: int
    """How long a sample can matter, microseconds."""
    costly: bool
    """Whether its value takes so much work that it is asked for only where the condition hangs on it."""
    moves: str
    """How a sample moves it: the window's function, and ``open`` for the last of the events that are open."""
    signature: str
    """Its definition in one line: state of a window with another signature is not taken over."""


def parse_let(name: str, raw: object) -> Let:
    """Read one window.

    Raises:
        LetError: no or two functions, an unknown option (with the nearest known one), a wrong or missing value.
    """
    if not isinstance(raw, dict):
        raise LetError("", "is no window; write one such as {avg: reading.co, over: 5m}")
    functions = [key for key in raw if key in _REQUIRED]
    if len(functions) != 1:
        unknown = next((key for key in raw if key not in _REQUIRED and key not in _every_option()), None)
        if not functions and unknown is not None:
            raise LetError(str(unknown), unknown_key(str(unknown), _REQUIRED))
        raise LetError("", f"names {len(functions)} functions; name exactly one of {', '.join(_REQUIRED)}")
    function = functions[0]
    options = {key: value for key, value in raw.items() if key != function}
    _check_options(function, options)
    taps = _taps(function, raw[function], options)
    kind = _KINDS.get(function, taps[0].takes if function == "last" else Kind.NUMBER)
    signature = f"{function} {raw[function]} {sorted(options.items(), key=str)}"
    endless = function == "open" or (function == "last" and "over" not in options)
    option = "within" if function == "then" else "over"
    span = occurrences.FORGET if endless else _duration(options, option, _TREND_OVER)
    moves = "open" if endless else function
    return Let(name, kind, taps, _maker(function, options, taps), span, function in _COSTLY, moves, signature)


def _every_option() -> frozenset[str]:
    tables = (*_REQUIRED.values(), *_OPTIONAL.values(), _COMMON)
    return frozenset(option for table in tables for option in table)


def _check_options(function: str, options: Mapping[str, Any]) -> None:
    known = (*_REQUIRED[function], *_OPTIONAL.get(function, ()), *_COMMON)
    for option in options:
        if option not in known:
            raise LetError(str(option), unknown_key(str(option), known))
    for option in _REQUIRED[function]:
        if option not in options:
            raise LetError("", f"{function} needs {option!r}; add it")


def _taps(function: str, raw: object, options: Mapping[str, Any]) -> tuple[Tap, ...]:
    steps = raw if function == "then" else [raw]
    if not isinstance(steps, list) or (function == "then" and len(steps) < 2):
        raise LetError(function, "needs a list of two steps or more, such as [event.tamper, event.fire]")
    try:
        selectors = [parse_selector(step) for step in steps]
    except ValueError as error:
        raise LetError(function, str(error)) from None
    quality = options.get("quality", "usable")
    if quality not in QUALITIES:
        raise LetError("quality", f"{quality!r} is no choice; use one of {', '.join(QUALITIES)}")
    if function == "open" and any(selector.stream != "event" for selector in selectors):
        raise LetError(function, "only events are open or closed; write open: event.KIND")
    if function == "last" and "over" not in options and selectors[0].stream != "event":
        raise LetError("", "last needs 'over' (how long a value counts), except for events; add it")
    takes = selectors[0].kind
    if "as" in options:
        if options["as"] not in ("number", "text", "flag") or not selectors[0].attribute:
            raise LetError("as", "is 'number', 'text' or 'flag', and stands only with an attribute (attrs.NAME)")
        takes = Kind(options["as"])
    if function in _NUMERIC and takes not in (Kind.NUMBER, Kind.COUNT):
        raise LetError(function, f"{function} needs a number; {selectors[0].field!r} is a {takes.value}")
    return tuple(
        Tap(selector, _where(options, selector), QUALITIES[quality], takes, stage)
        for stage, selector in enumerate(selectors)
    )


def _where(options: Mapping[str, Any], selector: Selector) -> Expression | None:
    if "where" not in options:
        return None
    try:
        return compile_condition(options["where"], STREAMS[selector.stream].fields)
    except ValueError as error:
        line, column = getattr(error, "line", 1), getattr(error, "column", 1)
        raise LetError("where", str(error), line, column) from None


def _maker(function: str, options: Mapping[str, Any], taps: tuple[Tap, ...]) -> Callable[[], Window]:
    """How to make the window, with its options read once."""
    span = _duration(options, "over", _TREND_OVER)
    event = taps[0].selector.stream == "event"
    if function == "rate":
        per = _duration(options, "per", MINUTE)
        return lambda: numbers.Rate(span, per)
    if function == "rising":
        by = _number(options, "by", 0.0)
        return lambda: numbers.Rising(span, by)
    if function == "forecast":
        ahead = _duration(options, "ahead", 0)
        return lambda: numbers.Forecast(span, ahead)
    if function == "time_to":
        limit, within = _number(options, "limit", 0.0), _duration(options, "within", 0)
        falling = options.get("falling", False) is True
        return lambda: numbers.TimeTo(span, limit, within, falling=falling)
    if function == "k_of_n":
        k, n = _whole(options, "k"), _whole(options, "n") if "n" in options else None
        if n is not None and n < k:
            raise LetError("n", f"{n} is less than k, which is {k}; it could never be true")
        return lambda: patterns.Votes(span, k, n)
    if function == "then":
        within, steps = _duration(options, "within", 0), len(taps)
        return lambda: patterns.Sequence(within, steps)
    if function == "distinct" or (function == "count" and event):
        by_event = function == "count"
        return lambda: occurrences.Distinct(span, events=by_event)
    if function == "last" and "over" not in options:
        return occurrences.LastOpen
    if function == "open":
        return occurrences.Open
    simple: dict[str, Callable[[int], Window]] = {
        "avg": numbers.Average,
        "min": numbers.Least,
        "max": numbers.Greatest,
        "count": occurrences.Count,
        "seen": occurrences.Seen,
        "absent": occurrences.Absent,
        "last": occurrences.Last,
    }
    make = simple[function]
    return lambda: make(span)


def _duration(options: Mapping[str, Any], option: str, otherwise: int) -> int:
    if option not in options:
        return otherwise
    try:
        span = parse_duration(options[option])
    except ValueError as error:
        raise LetError(option, str(error)) from None
    if span <= 0:
        raise LetError(option, "is nothing; write a duration above 0")
    return span


def _number(options: Mapping[str, Any], option: str, otherwise: float) -> float:
    value = options.get(option, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LetError(option, f"{value!r} is not a number")
    return float(value)


def _whole(options: Mapping[str, Any], option: str) -> int:
    value = options[option]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise LetError(option, f"{value!r} is not a whole number above 0")
    return value
