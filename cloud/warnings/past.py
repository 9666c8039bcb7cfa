"""Past warnings: what began and ended while a node was offline. Told without sound and without CAP."""

from collections.abc import Sequence
from typing import Any

import psycopg

from cloud.warnings import table
from cloud.warnings.table import Step
from cloud.warnings.warning import Seen, State, StepKind, Warned
from contract.ids import Micros, digest
from contract.records import Event, Phase
from rules.signal import Severity, Text


def remember(
    connection: psycopg.Connection[Any], site: str, node: str, events: Sequence[Event], now: Micros
) -> list[str]:
    """Keep as past warnings, in the caller's transaction, those ``events`` out of the backlog that are over and in no
    warning yet. The same event twice is remembered once.

    Returns:
        Ids of the warnings that are new. After the commit, wake the readers of the feed.
    """
    over = {event.id: event for event in events if event.phase is Phase.CLOSE}
    for name in _in_warnings(connection, f"{site}/{node}", list(over)):
        del over[name]
    fresh = [_warned(site, node, event, now) for event in over.values()]
    steps = [Step(warned=warned, kind=StepKind.REMEMBERED, time=now, by=f"{site}/{node}") for warned in fresh]
    if steps:
        table.write(connection, steps)
    return [warned.id for warned in fresh]


def _in_warnings(connection: psycopg.Connection[Any], place: str, events: list[str]) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT e FROM warning, unnest(events) e WHERE events && %(events)s AND e = ANY(%(events)s) "
        "AND EXISTS (SELECT 1 FROM unnest(sources) s WHERE starts_with(s, %(place)s || '/'))",
        {"events": events, "place": place},
    )
    return [row[0] for row in rows]


def _warned(site: str, node: str, event: Event, now: Micros) -> Warned:
    source = f"{site}/{node}/{event.source}"
    return Warned(
        id=digest("past", site, node, event.id),
        rule="",
        rule_version="",
        key=source,
        episode=event.started,
        kind=event.kind,
        severity=Severity.UNKNOWN,  # no rule has judged it
        title=Text(
            f"{event.kind} at {event.source} while {node} was offline", f"{node} 离线期间：{event.source} {event.kind}"
        ),
        text=Text("It had ended before the node could tell.", "在节点能够上报之前已经结束。"),
        playbook=Text(""),
        cap={},
        condition="",
        values=dict(event.attrs),
        sources=(source,),
        events=(event.id,),
        seen=Seen(event.detections, event.model, event.time, event.detected),
        said=(0, False, ""),
        raised=event.started,
        changed=now,
        cleared=event.time,
        state=State.RESOLVED,
        past=True,
    )
