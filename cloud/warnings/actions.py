"""What officers do with a warning. Who and when stands in a step; the rules never hear of it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import psycopg

from cloud.warnings import table
from cloud.warnings.lifecycle import announce
from cloud.warnings.table import Step
from cloud.warnings.warning import ON_THE_LIST, State, StepKind, Warned
from contract.ids import Micros


class ActionKind(StrEnum):
    """What an officer can do."""

    ACKNOWLEDGE = "acknowledge"
    ASSIGN = "assign"
    RESOLVE = "resolve"
    CANCEL = "cancel"
    NOTE = "note"


class UnknownWarningError(LookupError):
    """There is no warning of this id."""

    @classmethod
    def named(cls, warning: str) -> Self:
        """The error about this id."""
        return cls(f"there is no warning {warning!r}; GET /api/v1/warnings lists them")


class ConflictError(Exception):
    """It cannot be done to the warning as it stands now; the text says who was faster, or what stands in the way."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing an officer does.

    Args:
        kind: what.
        by: the officer's name.
        note: in the officer's words.
        to: for ``ASSIGN``: whose it is from now on; empty for nobody's.
        revision: the revision the officer was looking at; None to act on whatever stands now.
    """

    kind: ActionKind
    by: str
    note: str = ""
    to: str = ""
    revision: int | None = None


def act(connection: psycopg.Connection[Any], warning: str, deed: Act, now: Micros) -> Warned:
    """Do it, in the caller's transaction. After the commit, wake the readers of the feed.

    Raises:
        UnknownWarningError: no such warning.
        ConflictError: it has changed since ``deed.revision``, or it is off the list already.
    """
    before = table.lock(connection, [warning]).get(warning)
    if before is None:
        raise UnknownWarningError.named(warning)
    if deed.revision is not None and deed.revision != before.revision:
        raise ConflictError(
            f"warning {warning} has changed since (revision {before.revision}, you saw {deed.revision}); "
            "look at it again, then decide"
        )
    after, kind = _done(before, deed)
    after = replace(after, changed=now, revision=before.revision + 1)
    message = announce(connection, before, after, now, reason=deed.note)
    table.write(connection, [Step(warned=after, kind=kind, time=now, by=deed.by, note=deed.note, message=message)])
    return after


def _done(before: Warned, deed: Act) -> tuple[Warned, StepKind]:
    if deed.kind is ActionKind.NOTE:
        return before, StepKind.NOTED
    if before.state not in ON_THE_LIST:
        raise ConflictError(f"warning {before.id} is {before.state} already; only a note can be added")
    if deed.kind is ActionKind.ASSIGN:
        return replace(before, assigned_to=deed.to), StepKind.ASSIGNED
    answered = replace(before, answered=before.severity)
    if deed.kind is ActionKind.RESOLVE:
        return replace(answered, state=State.RESOLVED), StepKind.RESOLVED
    if deed.kind is ActionKind.CANCEL:
        return replace(answered, state=State.CANCELLED), StepKind.CANCELLED
    if before.state is State.ACKNOWLEDGED:
        raise ConflictError(f"warning {before.id} was acknowledged by {before.acknowledged_by} already")
    # What has ended and been seen leaves the list by itself.
    state = State.ACKNOWLEDGED if before.cleared is None else State.RESOLVED
    return replace(answered, state=state, acknowledged_by=deed.by), StepKind.ACKNOWLEDGED
