"""Texts with names in braces: ``CO {co:.0f} ppm``, filled in English and Chinese."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from string import Formatter
from typing import Any, Final

from rules.durations import SECOND, show_duration
from rules.expression import Kind
from rules.signal import Text

PLACE_NAMES: Final = ("key", "site", "node", "source", "zone", "quantity")
"""Names every text may use besides the rule's own."""
MISSING: Final = "–"
"""Stands where a name has no value."""
_DIGITS: Final = re.compile(r"\.\d+f")
_NUMBERS: Final = (Kind.NUMBER, Kind.COUNT)


@dataclass(frozen=True, slots=True)
class Template:
    """A text in both languages; each is a list of (literal, name, format)."""

    en: tuple[tuple[str, str, str], ...]
    zh: tuple[tuple[str, str, str], ...]

    def fill(self, values: Mapping[str, Any]) -> Text:
        """The text with the names' values in it."""
        return Text(_fill(self.en, values, "en"), _fill(self.zh, values, "zh"))


def parse_template(text: str, names: Mapping[str, Kind]) -> tuple[tuple[str, str, str], ...]:
    """Check the names and formats of one language.

    Raises:
        ValueError: a brace too many, an unknown name (with the nearest known one), or a format other than ``.2f``.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; a brace that stands for itself is written twice") from None
    known = [*names, *PLACE_NAMES]
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
            raise ValueError(f"unknown name {{{name}}}; {hint}")
        if conversion or (form and not (_DIGITS.fullmatch(form) and names.get(name) in _NUMBERS)):
            raise ValueError(f"{{{name}}} has an unusable format; only numbers take one, such as {{{name}:.1f}}")
    return tuple((literal, name or "", form or "") for literal, name, form, _ in parts)


def _fill(parts: tuple[tuple[str, str, str], ...], values: Mapping[str, Any], language: str) -> str:
    return "".join(literal + (_show(values.get(name), form, language) if name else "") for literal, name, form in parts)


def _show(value: Any, form: str, language: str) -> str:
    if value is None:
        return MISSING
    if isinstance(value, timedelta):
        return show_duration(round(value.total_seconds() * SECOND), language)
    if isinstance(value, bool):
        return {"en": ("no", "yes"), "zh": ("否", "是")}[language][value]
    if isinstance(value, float):
        return format(value, form or ".1f")
    return format(value, form)
