"""What the API reads from the database: one query a shape, the same for a request and for the live feed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, LiteralString, TypeVar

import psycopg
import structlog
from psycopg.rows import dict_row

from cloud.api.shapes import EventShape, NodeShape, ReadingShape, StepShape, WarningShape
from cloud.store.codes import LANES, QUALITIES

log = structlog.get_logger(__name__)

T = TypeVar("T")
Row = dict[str, Any]


@dataclass(frozen=True)
class Query(Generic[T]):
    """A statement with its parameters, and how a row becomes a shape. Run by whoever has a connection."""

    statement: LiteralString
    parameters: dict[str, object]
    shape: Callable[[Row], T]

    def run(self, connection: psycopg.Connection[Any]) -> list[T]:
        """The shapes of all rows; one that makes no sense is logged and left out, and stops none of the others."""
        with connection.cursor(row_factory=dict_row) as cursor:
            return self._shapes(cursor.execute(self.statement, self.parameters).fetchall())

    async def run_async(self, connection: psycopg.AsyncConnection[Any]) -> list[T]:
        """As ``run``."""
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self.statement, self.parameters)
            return self._shapes(await cursor.fetchall())

    def _shapes(self, rows: list[Row]) -> list[T]:
        found = []
        for row in rows:
            try:
                found.append(self.shape(row))
            except (ValueError, TypeError, LookupError):
                log.exception("row not understood", row={name: str(value)[:200] for name, value in row.items()})
        return found


def warnings(
    *, ids: Sequence[str] | None = None, state: str | None = None, kind: str | None = None, limit: int = 100
) -> Query[WarningShape]:
    """Warnings, the newest first; all that match, whichever of the filters are given."""
    return Query(
        _WARNINGS
        + _where(("id = ANY(%(ids)s)", ids), ("state = %(state)s", state), ("kind = %(kind)s", kind))
        + " ORDER BY w.raised DESC, w.id LIMIT %(limit)s",
        {"ids": None if ids is None else list(ids), "state": state, "kind": kind, "limit": limit},
        _warning,
    )


def warnings_at_hand(finished: int) -> Query[WarningShape]:
    """All that are on the list, and the ``finished`` that left it last."""
    chosen: LiteralString = (
        " WHERE w.id IN (SELECT id FROM warning WHERE state IN ('open', 'acknowledged') UNION ALL "
        "(SELECT id FROM warning WHERE state NOT IN ('open', 'acknowledged') ORDER BY raised DESC LIMIT %(finished)s)) "
        "ORDER BY w.raised DESC, w.id"
    )
    return Query(_WARNINGS + chosen, {"finished": finished}, _warning)


def warnings_of_events(events: Sequence[str]) -> Query[str]:
    """Ids of the warnings in which one of these events takes part."""
    return Query(
        "SELECT id FROM warning WHERE events && %(events)s", {"events": list(events)}, lambda row: str(row["id"])
    )


def warnings_changed_since(cursor: int) -> Query[str]:
    """Ids of the warnings that changed after a cursor of the live feed, as far back as the feed is kept."""
    return Query(
        "SELECT DISTINCT key FROM feed WHERE topic = 'warning' AND xid > %(cursor)s::text::xid8",
        {"cursor": str(cursor)},
        lambda row: str(row["key"]),
    )


def steps(warning: str) -> Query[tuple[StepShape, Row | None]]:
    """A warning's history, oldest first; with the signal where a rule made the step."""
    return Query(
        "SELECT revision, time, kind AS action, by, note, state, severity, cap_type AS cap, signal "
        "FROM warning_step WHERE warning = %(warning)s ORDER BY revision",
        {"warning": warning},
        lambda row: (StepShape(**{name: row[name] for name in StepShape.model_fields}), row["signal"]),
    )


def events(
    *, kind: str | None, site: str | None, node: str | None, source: str | None, limit: int
) -> Query[EventShape]:
    """Events at their latest revision, the newest first."""
    where = _where(
        ("kind = %(kind)s", kind), ("site = %(site)s", site), ("node = %(node)s", node), ("source = %(source)s", source)
    )
    return Query(
        f"SELECT * FROM event{where} ORDER BY time DESC LIMIT %(limit)s",
        {"kind": kind, "site": site, "node": node, "source": source, "limit": limit},
        lambda row: EventShape.model_validate({**row, "lane": LANES[row["lane"]]}),
    )


def readings(
    *,
    site: str | None = None,
    node: str | None = None,
    source: str | None = None,
    quantity: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> Query[ReadingShape]:
    """Readings as they came, the newest first."""
    where = _where(
        ("s.site = %(site)s", site),
        ("s.node = %(node)s", node),
        ("s.source = %(source)s", source),
        ("s.quantity = %(quantity)s", quantity),
        ("r.time >= %(since)s", since),
        ("r.time < %(until)s", until),
    )
    return Query(
        f"SELECT {_READING} FROM reading r JOIN series s ON s.id = r.series_id{where} "
        "ORDER BY r.time DESC LIMIT %(limit)s",
        {
            "site": site,
            "node": node,
            "source": source,
            "quantity": quantity,
            "since": since,
            "until": until,
            "limit": limit,
        },
        _reading,
    )


def latest_readings(series: Sequence[int] | None = None) -> Query[ReadingShape]:
    """The newest reading of each series, of all or of some."""
    where = _where(("s.id = ANY(%(series)s)", series))
    return Query(
        f"SELECT {_READING} FROM latest r JOIN series s ON s.id = r.series_id{where} ORDER BY 1, 2, 3, 4, 5",
        {"series": None if series is None else list(series)},
        _reading,
    )


def recent_readings(seconds: float, each: int, total: int) -> Query[ReadingShape]:
    """Of each series the last ``each`` readings out of the last ``seconds`` before its newest, oldest first: enough
    for a line on the page. Where there are many series, fewer of each: ``total`` in all, but one at least."""
    return Query(
        f"SELECT {_READING} FROM latest l JOIN series s ON s.id = l.series_id CROSS JOIN LATERAL ("
        "SELECT time, value, quality FROM reading WHERE series_id = l.series_id "
        "AND time > l.time - make_interval(secs => %(seconds)s) ORDER BY time DESC "
        "LIMIT greatest(1, least(%(each)s, %(total)s / (SELECT count(*) FROM latest)))) r ORDER BY r.time",
        {"seconds": seconds, "each": each, "total": total},
        _reading,
    )


def nodes(names: Sequence[str] | None = None) -> Query[NodeShape]:
    """Nodes with their state and last health report, of all or of those named ``site/node``."""
    where = _where(("(site || '/' || node) = ANY(%(names)s)", names))
    return Query(
        f"SELECT site, node, partition, state, state_time, health, health_time, heartbeat "
        f"FROM node{where} ORDER BY site, node",
        {"names": None if names is None else list(names)},
        _node,
    )


def _where(*conditions: tuple[LiteralString, object]) -> LiteralString:
    given: list[LiteralString] = [condition for condition, value in conditions if value is not None]
    return " WHERE " + " AND ".join(given) if given else ""


_READING: Final = "s.site, s.node, s.source, s.quantity, s.unit, r.value, r.quality, r.time"

# Evidence is that of the warning's events, at the warning's node where it has one: an event's id is its node's own.
_WARNINGS: Final = """
SELECT w.id, w.rule, w.key, w.kind, w.severity, w.state, w.site, w.node, w.sources, w.events, w.episode, w.raised,
    w.changed, w.cleared, w.acknowledged_by, w.assigned_to, w.past, w.revision, w.content,
    coalesce(files.evidence, '[]') AS evidence
FROM warning w LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('sha256', e.sha256, 'role', e.role, 'media_type', e.media_type,
        'bytes', e.bytes, 'url', '/api/v1/evidence/' || e.sha256, 'time', e.time, 'duration_s', e.duration_s,
        'source', e.source, 'detections', e.detections, 'stored', f.sha256 IS NOT NULL) ORDER BY e.time DESC
        ) AS evidence
    FROM evidence e LEFT JOIN evidence_file f ON f.sha256 = e.sha256
    WHERE e.event = ANY(w.events) AND w.site IN ('', e.site) AND w.node IN ('', e.node)
) files ON true"""


def _warning(row: Row) -> WarningShape:
    content = row.pop("content")
    said = {name: content[name] for name in ("rule_version", "title", "text", "playbook", "condition", "values")}
    return WarningShape.model_validate({**row, **said, **content["seen"]})


def _reading(row: Row) -> ReadingShape:
    return ReadingShape.model_validate({**row, "quality": QUALITIES[row["quality"]]})


def _node(row: Row) -> NodeShape:
    state, health = row["state"] or {}, row["health"] or {}
    return NodeShape(
        site=row["site"],
        node=row["node"],
        partition=row["partition"],
        online=bool(state.get("online")),
        software=health.get("software") or state.get("software", ""),
        state_time=row["state_time"],
        health_time=row["health_time"],
        heartbeat=row["heartbeat"],
        uptime_s=health.get("uptime_s", 0.0),
        outbox_waiting=health.get("outbox_waiting", 0),
        outbox_bytes=health.get("outbox_bytes", 0),
        clock_ahead_s=health.get("clock_ahead_s"),
        readings_thinned=health.get("readings_thinned", 0),
        uploads_lost=health.get("uploads_lost", 0),
        sources=health.get("sources", []),
        models=health.get("models", []),
        parts=health.get("parts", []),
    )
