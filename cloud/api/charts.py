"""Charts of readings, for people's eyes."""

from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from cloud.api.shapes import ChartShape, PointShape, Shape
from cloud.store import history
from cloud.store.codes import QUALITIES
from cloud.store.times import moment
from contract.ids import Micros

MOST_SERIES: Final = 20


class _Series(Shape):
    id: int
    site: str
    node: str
    source: str
    quantity: str
    unit: str


def draw(
    connection: psycopg.Connection[Any],
    which: tuple[str, str, str, str | None],
    span: tuple[Micros, Micros],
    points: int,
) -> list[ChartShape]:
    """The series of a site, node, source and quantity (None: all of the source's, ``MOST_SERIES`` at most)."""
    with connection.cursor(row_factory=class_row(_Series)) as cursor:
        found = cursor.execute(
            "SELECT id, site, node, source, quantity, unit FROM series WHERE site = %s AND node = %s AND source = %s "
            "AND (%s::text IS NULL OR quantity = %s) ORDER BY quantity, unit LIMIT %s",
            [*which, which[3], MOST_SERIES],
        ).fetchall()
    return [_chart(one, span, history.read(connection, one.id, *span, points)) for one in found]


def _chart(series: _Series, span: tuple[Micros, Micros], shown: history.History) -> ChartShape:
    return ChartShape(
        **series.model_dump(exclude={"id"}),
        since=moment(span[0]),
        until=moment(span[1]),
        detail=shown.detail,
        points=[
            PointShape(
                time=moment(point.time),
                until=moment(point.until),
                count=point.count,
                bad=point.bad,
                min=point.min,
                max=point.max,
                mean=point.mean,
                last=point.last,
                quality=QUALITIES[point.quality],
            )
            for point in shown.points
        ],
    )
