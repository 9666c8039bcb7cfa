"""Warnings in the database: read under a lock, written with their steps, announced on the feed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import dict_row

from cloud.store import feed
from cloud.store.times import micros, moment
from cloud.warnings.cap import Authority, Message
from cloud.warnings.warning import Seen, State, StepKind, Value, Warned
from rules.signal import Severity, Signal, Text


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a warning that nobody searches by."""

    rule_version: str
    title: Text
    text: Text
    playbook: Text
    cap: dict[str, str]
    condition: str
    values: dict[str, Value]
    seen: Seen
    said: tuple[int, bool, str]
    answered: Severity | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """What made one revision of a warning."""

    warned: Warned
    kind: StepKind
    time: int
    by: str = ""
    note: str = ""
    signal: Signal | None = None
    fingerprint: str | None = None
    message: Message | None = None


def lock(connection: psycopg.Connection[Any], ids: Iterable[str]) -> dict[str, Warned]:
    """The warnings that exist of ``ids``, locked until the transaction ends (in the order of their ids, so that two
    lockers never wait for each other)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SELECT * FROM warning WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [sorted(set(ids))])
        return {row["id"]: _warned(row) for row in cursor}


def write(connection: psycopg.Connection[Any], steps: Sequence[Step]) -> None:
    """Write the warnings as their last step left them, all the steps, and a feed row for each warning."""
    latest = {step.warned.id: step.warned for step in steps}
    with connection.cursor() as cursor:
        cursor.executemany(_UPSERT, [_row(warned) for warned in latest.values()])
        cursor.executemany(_STEP, [_step_row(step) for step in steps])
    feed.write(connection, [("warning", name, {}) for name in latest])


def applied(connection: psycopg.Connection[Any], fingerprints: Sequence[str]) -> set[str]:
    """Those of the signals' fingerprints that have made a step already."""
    rows = connection.execute("SELECT fingerprint FROM warning_step WHERE fingerprint = ANY(%s)", [list(fingerprints)])
    return {row[0] for row in rows}


def sent_messages(connection: psycopg.Connection[Any], warning: str) -> list[tuple[str, str]]:
    """Type and reference of every CAP message about a warning, oldest first."""
    return connection.execute(
        "SELECT cap_type, cap_reference FROM warning_step WHERE warning = %s AND cap IS NOT NULL ORDER BY revision",
        [warning],
    ).fetchall()


def read_authority(connection: psycopg.Connection[Any]) -> Authority:
    """Who sends CAP messages here."""
    row = connection.execute("SELECT sender, status, scope, restriction, name, valid_s FROM authority").fetchone()
    assert row is not None
    return Authority(*row)


def write_authority(connection: psycopg.Connection[Any], authority: Authority) -> None:
    """From now on messages go out in this name."""
    connection.execute(
        "UPDATE authority SET sender = %s, status = %s, scope = %s, restriction = %s, name = %s, valid_s = %s",
        [
            authority.sender,
            authority.status,
            authority.scope,
            authority.restriction,
            authority.name,
            authority.valid_s,
        ],
    )


_COLUMNS: Final = (
    "id",
    "rule",
    "key",
    "kind",
    "severity",
    "state",
    "site",
    "node",
    "sources",
    "events",
    "episode",
    "raised",
    "changed",
    "cleared",
    "acknowledged_by",
    "assigned_to",
    "past",
    "revision",
    "content",
)
_UPSERT: Final = (
    f"INSERT INTO warning ({', '.join(_COLUMNS)}) VALUES ({', '.join(f'%({name})s' for name in _COLUMNS)}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[3:])}"
)
_STEP: Final = (
    "INSERT INTO warning_step (warning, revision, time, kind, by, note, state, severity, signal, fingerprint, "
    "cap_type, cap_reference, cap) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def _row(warned: Warned) -> dict[str, object]:
    content = Content(**{name: getattr(warned, name) for name in Content.__struct_fields__})
    return {
        "id": warned.id,
        "rule": warned.rule,
        "key": warned.key,
        "kind": warned.kind,
        "severity": warned.severity,
        "state": warned.state,
        "site": warned.site,
        "node": warned.node,
        "sources": list(warned.sources),
        "events": list(warned.events),
        "episode": moment(warned.episode),
        "raised": moment(warned.raised),
        "changed": moment(warned.changed),
        "cleared": None if warned.cleared is None else moment(warned.cleared),
        "acknowledged_by": warned.acknowledged_by,
        "assigned_to": warned.assigned_to,
        "past": warned.past,
        "revision": warned.revision,
        "content": msgspec.json.encode(content).decode(),
    }


def _step_row(step: Step) -> tuple[object, ...]:
    message = step.message
    return (
        step.warned.id,
        step.warned.revision,
        moment(step.time),
        step.kind,
        step.by,
        step.note,
        step.warned.state,
        step.warned.severity,
        None if step.signal is None else msgspec.json.encode(step.signal).decode(),
        step.fingerprint,
        message and message.type,
        message and message.reference,
        message and message.xml,
    )


def _warned(row: dict[str, Any]) -> Warned:
    content = msgspec.convert(row["content"], Content)
    return Warned(
        **{name: getattr(content, name) for name in Content.__struct_fields__},
        **{name: row[name] for name in ("id", "rule", "key", "kind", "acknowledged_by", "assigned_to")},
        severity=Severity(row["severity"]),
        state=State(row["state"]),
        sources=tuple(row["sources"]),
        events=tuple(row["events"]),
        episode=micros(row["episode"]),
        raised=micros(row["raised"]),
        changed=micros(row["changed"]),
        cleared=None if row["cleared"] is None else micros(row["cleared"]),
        past=row["past"],
        revision=row["revision"],
    )
