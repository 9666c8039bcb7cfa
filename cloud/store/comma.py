"""Rows as CSV (RFC 4180): UTF-8, a line of names first, times in ISO 8601 and UTC, nothing where there is no value.

A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV Injection"): names come from
boxes, and not every one of them is ours. Numbers are numbers, whatever they begin with.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from cloud.store.export import Column, Row, Type
from cloud.store.times import iso

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def lines(columns: Sequence[Column], blocks: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """The names, then each block, as bytes; the names with the first block, so that what fails at once fails first."""
    shown = [_SHOWN.get(column.type) for column in columns]
    names = _written([[column.name for column in columns]])
    for block in filter(None, blocks):
        cells = [
            values if show is None else [None if value is None else show(value) for value in values]
            for show, values in zip(shown, zip(*block, strict=True), strict=True)
        ]
        yield names + _written(zip(*cells, strict=True))
        names = b""
    if names:
        yield names


def _written(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


_SHOWN: Final[dict[Type, Callable[[Any], str]]] = {
    "time": iso,
    "text": _plain,
    "flag": lambda value: "true" if value else "false",
}
