"""``/api/v1/events``, ``/api/v1/readings`` and ``/api/v1/nodes``: what the nodes say."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import AwareDatetime

from cloud.api import charts, reads
from cloud.api.context import Database
from cloud.api.shapes import ChartShape, EventShape, NodeShape, ReadingShape
from cloud.store.times import micros

router = APIRouter(prefix="/api/v1", tags=["records"])

Name = Annotated[str | None, Query(max_length=64)]
Wanted = Annotated[str, Query(max_length=64)]


@router.get("/events")
def list_events(
    connection: Database,
    kind: Name = None,
    site: Name = None,
    node: Name = None,
    source: Name = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[EventShape]:
    """Events at their latest revision, the newest first."""
    return reads.events(kind=kind, site=site, node=node, source=source, limit=limit).run(connection)


@router.get("/readings")
def list_readings(
    connection: Database,
    site: Name = None,
    node: Name = None,
    source: Name = None,
    quantity: Name = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[ReadingShape]:
    """Readings as they came, the newest first, from ``since`` to before ``until`` (ISO 8601 with its zone)."""
    return reads.readings(
        site=site, node=node, source=source, quantity=quantity, since=since, until=until, limit=limit
    ).run(connection)


@router.get("/readings/latest")
def list_latest(connection: Database) -> list[ReadingShape]:
    """The newest reading of every series."""
    return reads.latest_readings().run(connection)


@router.get("/readings/chart")
def draw_chart(
    connection: Database,
    site: Wanted,
    node: Wanted,
    source: Wanted,
    since: AwareDatetime,
    until: AwareDatetime,
    quantity: Name = None,
    points: Annotated[int, Query(ge=3, le=2000)] = 400,
) -> list[ChartShape]:
    """Each series of a source from ``since`` to before ``until``, in about ``points`` points that hide no peak."""
    if until <= since:
        raise HTTPException(422, f"until {until.isoformat()} is not after since {since.isoformat()}")
    return charts.draw(connection, (site, node, source, quantity), (micros(since), micros(until)), points)


@router.get("/nodes")
def list_nodes(connection: Database) -> list[NodeShape]:
    """Nodes with their state and last health report."""
    return reads.nodes().run(connection)
