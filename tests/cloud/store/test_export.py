"""What is stored comes out whole: as CSV that a spreadsheet may open, and as Parquet."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from arro3.io import read_parquet

from cloud.store import comma, export, parquet, rollups
from cloud.store.connection import connect
from cloud.store.export import Column, Row, Wanted, What
from cloud.store.times import DAY, moment
from cloud.store.upkeep import ensure_days
from contract.records import Quality
from tests.cloud.store.test_rollups import HOUR, NOON, SECOND, reading, summary, write


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, "test") as connection:
        ensure_days(connection, NOON)
        connection.execute("UPDATE rollup_state SET horizon = %(to)s, closed = %(to)s", {"to": moment(NOON)})
        yield connection


def rows(database: str, what: What, **which: Any) -> list[dict[str, Any]]:
    with connect(database, "export", autocommit=False) as own:
        found = [row for block in export.blocks(own, Wanted(what, NOON - DAY, NOON + DAY, **which)) for row in block]
    return [dict(zip((column.name for column in export.columns(what)), row, strict=True)) for row in found]


def as_csv(columns: Sequence[Column], blocks: Sequence[Sequence[Row]]) -> list[dict[str, str]]:
    text = b"".join(comma.lines(columns, blocks)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_parquet(columns: Sequence[Column], blocks: Sequence[Sequence[Row]], folder: Path) -> list[dict[str, Any]]:
    path = folder / "file.parquet"
    path.write_bytes(b"".join(parquet.pieces(columns, blocks)))
    table = read_parquet(path).read_all()
    values = {name: [item.as_py() for item in table.column(name)] for name in table.column_names}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def test_readings_come_series_by_series_in_order(connection: psycopg.Connection, database: str) -> None:
    write(connection, [reading(NOON + (n * 7 % 20) * SECOND, float(n), source="ba"[n % 2]) for n in range(20)])
    write(connection, [reading(NOON - 2 * DAY, 1.0), reading(NOON + DAY, 1.0)])  # before, and not before the end
    found = rows(database, "readings")
    assert len(found) == 20
    assert [(row["source"], row["time"]) for row in found] == sorted((row["source"], row["time"]) for row in found)
    assert found[0] == {
        "site": "mill", "node": "north", "source": "a", "quantity": "co", "unit": "", "time": moment(NOON + SECOND),
        "value": 3.0, "quality": "good", "lane": "live", "arrived": moment(NOON + 10 * DAY), "replaced": False,
    }  # fmt: skip
    assert {row["source"] for row in rows(database, "readings", source="b")} == {"b"}
    assert rows(database, "readings", site="elsewhere") == rows(database, "readings", quantity="no") == []


def test_rollups_and_summaries_come_with_their_mean(connection: psycopg.Connection, database: str) -> None:
    write(connection, [reading(NOON, 1.0), reading(NOON + 1, 4.0), reading(NOON + HOUR, 0.0, Quality.BAD)])
    write(connection, [summary(NOON, NOON + HOUR // 2, [7.0])])
    assert rollups.keep(connection, NOON + 3 * HOUR)
    assert [(row["count"], row["mean"], row["last"]) for row in rows(database, "minutes")] == [
        (2, 2.5, 4.0), (0, None, None),
    ]  # fmt: skip
    assert [(row["count"], row["bad"], row["mean"], row["quality"]) for row in rows(database, "hours")] == [
        (3, 0, 4.0, "good"), (0, 1, None, "bad"),
    ]  # fmt: skip
    assert [(row["until"], row["mean"]) for row in rows(database, "summaries")] == [(moment(NOON + HOUR // 2), 7.0)]


def test_both_formats_hold_the_same(connection: psycopg.Connection, database: str, tmp_path: Path) -> None:
    write(connection, [reading(NOON + 1, 0.1 + 0.2), reading(NOON + 2, -5e-324), reading(NOON + 3, 1e300)])
    connection.execute(
        "INSERT INTO event (site, node, id, source, kind, phase, revision, time, started, zone, score, detections, "
        "attrs, lane, arrived) VALUES ('mill', 'north', 'e1', 'cam', 'fire', 'open', 3, %(at)s, %(at)s, '=1+1', 0.5, "
        """'[{"label": "fire"}]', '{"co_ppm": 3}', 0, %(at)s)""",
        {"at": moment(NOON)},
    )
    for what in ("readings", "events"):
        columns, found = export.columns(what), rows(database, what)
        block = [tuple(row.values()) for row in found]
        assert as_parquet(columns, [block, block[:1]], tmp_path) == [*found, found[0]]
        texts = as_csv(columns, [block])
        assert len(texts) == len(found)
    assert [text["zone"] for text in texts] == ["'=1+1"]
    assert (texts[0]["time"], texts[0]["detected"], texts[0]["replaced"]) == (
        "2025-11-24T12:00:00.000000Z",
        "",
        "false",
    )
    values = [float(row["value"]) for row in as_csv(export.columns("readings"), [
        [tuple(row.values()) for row in rows(database, "readings")]
    ])]  # fmt: skip
    assert values == [0.1 + 0.2, -5e-324, 1e300]


def test_no_name_becomes_a_formula() -> None:
    names = ["=1", "+1", "-1", "@a", "\t=1", "plain", '"', "a,b", "温度"]
    shown = as_csv((Column("name", "text"), Column("value", "number")), [[(name, -1.5) for name in names]])
    assert [row["name"] for row in shown] == ["'=1", "'+1", "'-1", "'@a", "'\t=1", "plain", '"', "a,b", "温度"]
    assert {row["value"] for row in shown} == {"-1.5"}


def test_an_empty_export_has_its_columns(tmp_path: Path) -> None:
    assert b"".join(comma.lines(export.columns("days"), [])).startswith(b"site,node,source,quantity,unit,time,count")
    (tmp_path / "empty.parquet").write_bytes(b"".join(parquet.pieces(export.columns("days"), [])))
    assert read_parquet(tmp_path / "empty.parquet").read_all().column_names[0] == "site"


def test_what_fails_on_the_way_is_told_and_leaves_no_whole_file() -> None:
    def failing() -> Iterator[list[Row]]:
        yield [(datetime.now(UTC),)]
        raise psycopg.OperationalError("gone")

    got: list[bytes] = []
    with pytest.raises(psycopg.OperationalError, match="gone"):
        got.extend(parquet.pieces((Column("time", "time"),), failing()))
    assert b"".join(got).count(b"PAR1") <= 1  # it begins with it, and a whole one ends with it too


def test_only_what_is_read_is_fetched(connection: psycopg.Connection, database: str) -> None:
    write(connection, [reading(NOON + n, 1.0) for n in range(3 * export.BLOCK)])
    with connect(database, "export", autocommit=False) as own:
        blocks = export.blocks(own, Wanted("readings", NOON, NOON + DAY))
        assert len(next(blocks)) == export.BLOCK
        fetched = own.execute("SELECT pg_cursor.name FROM pg_cursors pg_cursor").fetchall()
        assert fetched == [("export",)]
        own.execute("MOVE FORWARD ALL IN export")
        assert list(blocks) == []
