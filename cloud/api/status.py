"""``/api/v1/status``, ``/healthz`` and ``/metrics``: how the whole is."""

import math
from datetime import datetime
from importlib.metadata import version
from typing import Any

import psycopg
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg.rows import dict_row
from pydantic import BaseModel

from cloud.api.context import Context, Database, Here
from cloud.store.times import micros, moment

router = APIRouter(tags=["status"])


class Counted(BaseModel):
    """How many."""

    open: int
    acknowledged: int


class NodesCounted(BaseModel):
    """How many nodes are connected, and how many are not."""

    online: int
    offline: int


class Worker(BaseModel):
    """A process that takes records in."""

    name: str
    started: datetime


class Status(BaseModel):
    """How the whole is."""

    time: datetime
    version: str
    database: str
    """Name and version of the database server."""
    schema_version: int
    """Number of the last migration."""
    broker: str
    """``connected`` or ``lost``, as seen from the API."""
    note: str
    """What people must know of this installation, such as that it is a demonstration."""
    warnings: Counted
    nodes: NodesCounted
    workers: list[Worker]
    subscribers: int
    """Receivers of the live feed at this process."""
    rules_behind: int
    """Journal entries that the rules have not followed yet."""
    rollups_age_s: float
    """Since the end of the last minute that is closed; one or two minutes where all is well."""
    last_record: datetime | None
    """When the last batch of records came in."""
    record_age_s: float | None
    heartbeat_age_s: float | None
    """Of the last heartbeat, of any node, that came the whole way: through broker, database and rules; each node sends
    one a minute."""
    heartbeats_missing: int
    """Nodes that are connected, and whose heartbeat has not come through for three minutes."""
    evidence_waiting: int
    """Files that records of the last day speak of and that have not come yet."""
    quarantined: int
    """Messages and records that could not be taken in."""


@router.get("/api/v1/status")
def show_status(connection: Database, context: Here) -> Status:
    """Versions, parts, nodes, counts and lags."""
    now = moment(context.clock())
    row = _count(connection)
    last = row["last_record"]
    return Status(
        time=now,
        version=version("vedette"),
        database=f"PostgreSQL {row['server']}",
        schema_version=row["schema_version"],
        broker="connected" if context.live.broker_connected else "lost",
        note=context.settings.demo_note,
        warnings=Counted(open=row["open"], acknowledged=row["acknowledged"]),
        nodes=NodesCounted(online=row["online"], offline=row["offline"]),
        workers=[Worker(**worker) for worker in row["workers"]],
        subscribers=context.live.subscribers,
        rules_behind=row["rules_behind"],
        rollups_age_s=_rollups_age(context, row),
        last_record=last,
        record_age_s=_age(now, last),
        heartbeat_age_s=_age(now, row["heartbeat"]),
        heartbeats_missing=row["heartbeats_missing"],
        evidence_waiting=row["evidence_waiting"],
        quarantined=row["quarantined"],
    )


@router.get("/healthz")
def check_health(connection: Database, context: Here) -> dict[str, str]:
    """200 where the API, its database and its live feed work; 503 where not."""
    connection.execute("SELECT 1")
    if not context.live.connected:
        raise psycopg.OperationalError("the live feed has no database")
    return {"status": "ok"}


@router.get("/metrics")
def show_metrics(context: Here) -> Response:
    """Prometheus metrics; those of the database are left as they were while it does not answer."""
    _measure(context)
    return Response(generate_latest(context.meters.registry), media_type=CONTENT_TYPE_LATEST)


def _measure(context: Context) -> None:
    with context.pool.connection() as connection:
        row = _count(connection)
    meters = context.meters
    for state in ("open", "acknowledged"):
        meters.warnings.labels(state).set(row[state])
    for state in ("online", "offline"):
        meters.nodes.labels(state).set(row[state])
    meters.rules_behind.set(row["rules_behind"])
    meters.rollups_age.set(_rollups_age(context, row))
    meters.heartbeats_missing.set(row["heartbeats_missing"])
    age = _age(moment(context.clock()), row["heartbeat"])
    meters.heartbeat_seconds.set(math.nan if age is None else age)


def _rollups_age(context: Context, row: dict[str, Any]) -> float:
    return (context.clock() - micros(row["closed"])) / 1e6


def _age(now: datetime, then: datetime | None) -> float | None:
    return None if then is None else max(0.0, (now - then).total_seconds())


def _count(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_COUNTS).fetchone()
    assert row is not None
    return row


# A seq counts its entries in the lower 40 bits; the upper ones are the day, so a difference over midnight says nothing.
_COUNTS = """
SELECT current_setting('server_version') AS server,
    (SELECT max(number) FROM schema_version) AS schema_version,
    (SELECT count(*) FROM warning WHERE state = 'open') AS open,
    (SELECT count(*) FROM warning WHERE state = 'acknowledged') AS acknowledged,
    (SELECT count(*) FROM node WHERE (state ->> 'online')::boolean) AS online,
    (SELECT count(*) FROM node WHERE (state ->> 'online')::boolean IS NOT TRUE) AS offline,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'started', started) ORDER BY name), '[]') FROM worker)
        AS workers,
    (SELECT count(*) FROM journal j JOIN rule_state r ON r.partition = j.partition AND j.seq > r.seq) AS rules_behind,
    (SELECT closed FROM rollup_state) AS closed,
    (SELECT max(changed) FROM position) AS last_record,
    (SELECT max(heartbeat) FROM node) AS heartbeat,
    (SELECT count(*) FROM node WHERE (state ->> 'online')::boolean AND heartbeat < now() - interval '3 minutes')
        AS heartbeats_missing,
    (SELECT count(DISTINCT e.sha256) FROM evidence e LEFT JOIN evidence_file f USING (sha256)
        WHERE f.sha256 IS NULL AND e.arrived > now() - interval '1 day') AS evidence_waiting,
    (SELECT count(*) FROM quarantine) AS quarantined
"""
