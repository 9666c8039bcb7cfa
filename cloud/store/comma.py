"""Rows as CSV (RFC 4180): UTF-8, a line of names first, times in ISO 8601 and UTC, nothing where there is no value.

A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV Injection"): names come from
boxes, and not every one of them is ours. Numbers are numbers, whatever they begin with.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from cloud.store.export import Column, Row
from cloud.store.times import iso

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def lines(columns: Sequence[Column], blocks: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """The names, then each block, as bytes; the names with the first block, so that what fails at once fails first."""
    names = _written([[column.name for column in columns]])
    for block in filter(None, blocks):
        yield names + _written([[_cell(value) for value in row] for row in block])
        names = b""
    if names:
        yield names


def _written(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
