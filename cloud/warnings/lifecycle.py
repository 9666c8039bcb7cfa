"""Signals become warnings, in the transaction that holds the rules' own position.

What a watch officer can rely on: one episode of one rule about one thing is one warning, however often its signals
come; whatever was raised stays until somebody has seen it; it opens again when it grows worse than what was answered.
"""

from collections.abc import Sequence
from typing import Any

import psycopg

from cloud.warnings import table
from cloud.warnings.cap import Authority, Message, MessageType, compose
from cloud.warnings.sight import look
from cloud.warnings.table import Step
from cloud.warnings.warning import (
    NOTHING_SEEN,
    ON_THE_LIST,
    StepKind,
    Warned,
    begin,
    fingerprint,
    join,
    public_content,
)
from contract.ids import Micros
from rules.signal import Action, Signal


def apply(connection: psycopg.Connection[Any], signals: Sequence[Signal], now: Micros) -> list[str]:
    """Apply signals in the caller's transaction; those that were applied before change nothing.

    Args:
        connection: with a transaction open; it commits warnings, steps, CAP messages and feed rows, or none of them.
        signals: in the order of the journal (any order makes the same warnings).
        now: the wall clock's, for ``changed``, the steps and ``sent``: a message says when it went out, however old
            the journal's entry is.

    Returns:
        Ids of the warnings that changed. After the commit, wake the readers of the feed.
    """
    named = {fingerprint(signal): signal for signal in signals}
    known = table.applied(connection, list(named))
    fresh = {name: signal for name, signal in named.items() if name not in known}
    if not fresh:
        return []
    warnings = table.lock(connection, (signal.warning for signal in fresh.values()))
    steps: list[Step] = []
    for name, signal in fresh.items():
        seen = NOTHING_SEEN if signal.action is Action.CLEAR else look(connection, signal)
        before = warnings.get(signal.warning)
        if before is None:
            after, kind = begin(signal, seen, now), StepKind.RAISED
        else:
            after, kind = join(before, signal, seen, now)
        message = announce(connection, before, after, now, steps)
        steps.append(
            Step(warned=after, kind=kind, time=now, by=signal.rule, signal=signal, fingerprint=name, message=message)
        )
        warnings[after.id] = after
    table.write(connection, steps)
    return sorted({step.warned.id for step in steps})


def announce(
    connection: psycopg.Connection[Any],
    before: Warned | None,
    after: Warned,
    now: Micros,
    unwritten: Sequence[Step] = (),
    reason: str = "",
) -> Message | None:
    """The CAP message that a step calls for: on raise, on change of what the public is told, on the end; else None.

    ``unwritten`` are steps of this transaction that do not lie in the database yet.
    """
    if after.past:
        return None
    sent = table.sent_messages(connection, after.id) if before is not None else []
    sent += [
        (step.message.type, step.message.reference)
        for step in unwritten
        if step.warned.id == after.id and step.message is not None
    ]
    kind = _message_type(before, after, MessageType(sent[-1][0]) if sent else None)
    if kind is None:
        return None
    authority: Authority = table.read_authority(connection)
    return compose(after, kind, authority, now, tuple(reference for _, reference in sent), reason)


def _message_type(before: Warned | None, after: Warned, last: MessageType | None) -> MessageType | None:
    ended = after.cleared is not None or after.state not in ON_THE_LIST
    if last is None or last in (MessageType.END, MessageType.CANCEL):
        return None if ended else MessageType.ALERT
    if ended:
        return MessageType.CANCEL if after.state == "cancelled" else MessageType.END
    if before is None or public_content(before) == public_content(after):
        return None
    return MessageType.UPDATE
