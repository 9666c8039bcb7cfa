"""What is stored, row by row, for people's own programs: readings, summaries, rollups and events of a time and a place.

Rows come in blocks from a cursor on the server, in one snapshot: neither side holds more than a block, however many
there are. Readings and rollups come series by series, each in the order of time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import psycopg

from cloud.store.codes import LANES, QUALITIES
from cloud.store.times import moment
from contract.ids import Micros

What = Literal["readings", "summaries", "minutes", "hours", "days", "events"]
Type = Literal["time", "text", "integer", "number", "flag"]
Row = tuple[Any, ...]
BLOCK: Final = 5_000


@dataclass(frozen=True)
class Column:
    """One column: ``time`` is a datetime with its zone, and any may be None."""

    name: str
    type: Type


@dataclass(frozen=True)
class Wanted:
    """Which rows: those from ``since`` to before ``until``, of one site, node, source, quantity (of an event: kind)
    where they are not None."""

    what: What
    since: Micros
    until: Micros
    site: str | None = None
    node: str | None = None
    source: str | None = None
    quantity: str | None = None


def columns(what: What) -> tuple[Column, ...]:
    """The columns of the rows."""
    return _EVENT_COLUMNS if what == "events" else (*_SERIES_COLUMNS, *_COLUMNS[what])


def blocks(connection: psycopg.Connection[Any], wanted: Wanted) -> Iterator[list[Row]]:
    """The rows, up to ``BLOCK`` at once; ``connection`` is for this alone, and not in autocommit mode."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    parameters = {
        "site": wanted.site,
        "node": wanted.node,
        "source": wanted.source,
        "quantity": wanted.quantity,
        "since": moment(wanted.since),
        "until": moment(wanted.until),
    }
    shape = {"events": _event, "readings": _reading, "summaries": _summary}.get(wanted.what, _rollup)
    with connection.cursor("export") as cursor:
        cursor.execute(_STATEMENTS[wanted.what].encode(), parameters)
        while rows := cursor.fetchmany(BLOCK):
            yield [shape(row) for row in rows]


def _reading(row: Row) -> Row:
    *begin, quality, lane, arrived, replaced = row
    return *begin, QUALITIES[quality].value, LANES[lane].value, arrived, replaced


def _summary(row: Row) -> Row:
    *begin, quality, lane, arrived = row
    return *begin, QUALITIES[quality].value, LANES[lane].value, arrived


def _rollup(row: Row) -> Row:
    *begin, count, bad, least, greatest, total, last, last_time, quality = row
    mean = total / count if count else None
    return *begin, count, bad, least, greatest, mean, last, last_time, QUALITIES[quality].value


def _event(row: Row) -> Row:
    *begin, model, detections, attrs, detected, lane, arrived, replaced = row
    return *begin, _json(model), _json(detections), _json(attrs), detected, LANES[lane].value, arrived, replaced


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _columns(type_: Type, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, type_) for name in names)


_SERIES_COLUMNS: Final = _columns("text", "site", "node", "source", "quantity", "unit")
_END: Final = (*_columns("text", "quality", "lane"), *_columns("time", "arrived"))
_ROLLUP: Final = (
    *_columns("time", "time"), *_columns("integer", "count", "bad"), *_columns("number", "min", "max", "mean", "last"),
    *_columns("time", "last_time"), *_columns("text", "quality"),
)  # fmt: skip
_COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "readings": (*_columns("time", "time"), *_columns("number", "value"), *_END, *_columns("flag", "replaced")),
    "summaries": (
        *_columns("time", "time", "until"), *_columns("integer", "count"),
        *_columns("number", "min", "max", "mean", "last"), *_END,
    ),
    "minutes": _ROLLUP,
    "hours": _ROLLUP,
    "days": _ROLLUP,
}  # fmt: skip
_EVENT_COLUMNS: Final = (
    *_columns("text", "site", "node", "source", "kind", "id", "phase"), *_columns("integer", "revision"),
    *_columns("time", "time", "started"), *_columns("text", "zone"), *_columns("number", "score"),
    *_columns("text", "model", "detections", "attrs"), *_columns("time", "detected"), *_columns("text", "lane"),
    *_columns("time", "arrived"), *_columns("flag", "replaced"),
)  # fmt: skip


def _by_series(table: str, names: str) -> str:
    """Each series by itself, as the indexes lie: the first row is there at once, and nothing has to be sorted."""
    return f"""
SELECT s.site, s.node, s.source, s.quantity, s.unit, r.* FROM (
    SELECT * FROM series WHERE (%(site)s::text IS NULL OR site = %(site)s)
        AND (%(node)s::text IS NULL OR node = %(node)s) AND (%(source)s::text IS NULL OR source = %(source)s)
        AND (%(quantity)s::text IS NULL OR quantity = %(quantity)s)
    ORDER BY site, node, source, quantity, unit
) s CROSS JOIN LATERAL (
    SELECT {names} FROM {table} WHERE series_id = s.id AND time >= %(since)s AND time < %(until)s ORDER BY time
) r"""


_FIGURES: Final = "time, count, bad, min, max, sum, last, last_time, quality"
_STATEMENTS: Final[dict[str, str]] = {
    "readings": _by_series("reading", "time, value, quality, lane, arrived, replaced"),
    "summaries": _by_series("summary", "time, until, count, min, max, mean, last, quality, lane, arrived"),
    "minutes": _by_series("rollup_minute", _FIGURES),
    "hours": _by_series("rollup_hour", _FIGURES),
    "days": _by_series("rollup_day", _FIGURES),
    "events": """
SELECT site, node, source, kind, id, phase, revision, time, started, zone, score, model, detections, attrs, detected,
    lane, arrived, replaced
FROM event WHERE (%(site)s::text IS NULL OR site = %(site)s) AND (%(node)s::text IS NULL OR node = %(node)s)
    AND (%(source)s::text IS NULL OR source = %(source)s) AND (%(quantity)s::text IS NULL OR kind = %(quantity)s)
    AND time >= %(since)s AND time < %(until)s
ORDER BY time""",
}
