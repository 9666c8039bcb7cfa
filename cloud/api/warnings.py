"""``/api/v1/warnings``: what people are told, why, and what they did about it."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.api import reads
from cloud.api.context import Database, Here
from cloud.api.shapes import WarningShape, WholeWarning
from cloud.warnings.actions import Act, ActionKind, UnknownWarningError, act
from cloud.warnings.warning import State

router = APIRouter(prefix="/api/v1/warnings", tags=["warnings"])

Limit = Annotated[int, Query(ge=1, le=1000)]
WarningId = Annotated[str, Path(max_length=64)]


class Deed(BaseModel):
    """Body of an officer's action. ``revision`` is the one the officer saw, so that nobody overrules another unseen."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    by: Annotated[str, Field(min_length=1, max_length=64)]
    note: Annotated[str, Field(max_length=2000)] = ""
    to: Annotated[str, Field(max_length=64)] = ""
    """For ``assign``: whose it is from now on; empty for nobody's."""
    revision: int | None = None


@router.get("")
def list_warnings(
    connection: Database,
    state: State | None = None,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 100,
) -> list[WarningShape]:
    """Warnings, the newest first."""
    return reads.warnings(state=state, kind=kind, limit=limit).run(connection)


@router.get("/{warning}")
def show_warning(warning: WarningId, connection: Database) -> WholeWarning:
    """One warning with its history and the signals that made it."""
    found = reads.warnings(ids=[warning], limit=1).run(connection)
    if not found:
        raise UnknownWarningError.named(warning)
    history = reads.steps(warning).run(connection)
    return WholeWarning(
        **dict(found[0]),
        steps=[step for step, _ in history],
        signals=[signal for _, signal in history if signal is not None],
    )


@router.get("/{warning}/cap")
def show_cap(warning: WarningId, connection: Database, revision: int | None = None) -> Response:
    """The latest CAP 1.2 message about a warning, or that of one revision."""
    found = connection.execute(
        "SELECT cap FROM warning_step WHERE warning = %(warning)s AND cap IS NOT NULL "
        "AND (%(revision)s::integer IS NULL OR revision = %(revision)s) ORDER BY revision DESC LIMIT 1",
        {"warning": warning, "revision": revision},
    ).fetchone()
    if found is None:
        if not reads.warnings(ids=[warning], limit=1).run(connection):
            raise UnknownWarningError.named(warning)
        raise HTTPException(404, f"no CAP message went out about warning {warning}; its steps name those that did")
    return Response(found[0], media_type="application/cap+xml")


@router.post("/{warning}/{action}")
def do_action(warning: WarningId, action: ActionKind, deed: Deed, connection: Database, context: Here) -> WarningShape:
    """Acknowledge, assign, resolve, cancel (a false alarm) or note."""
    request = Act(kind=action, by=deed.by, note=deed.note, to=deed.to, revision=deed.revision)
    act(connection, warning, request, context.clock())
    connection.commit()
    context.live.announce()
    return reads.warnings(ids=[warning], limit=1).run(connection)[0]
