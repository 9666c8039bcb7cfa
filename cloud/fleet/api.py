"""HTTP of the fleet: releases and assignments for people; metadata and files for nodes, by way of their credentials."""

import re
import secrets
from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.context import Context, Database, Here
from cloud.api.uploads import Node
from cloud.fleet.commands import Commander
from cloud.fleet.fleet import Assignment, AssignmentError, Fleet
from cloud.fleet.keys import KeyMissingError
from cloud.fleet.repository import Release
from cloud.store.times import moment

router = APIRouter(tags=["fleet"])

_ID: Final = r"^[a-z0-9-]{1,32}$"
_VERSION: Final = r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"
_METADATA: Final = r"^([0-9]{1,12}\.)?[a-z0-9-]{1,32}\.json$"
_TARGET: Final = re.compile(r"[a-z0-9-]{1,32}(/(?!\.)[A-Za-z0-9._-]{1,270}){1,6}")
Id = Annotated[str, Path(pattern=_ID)]
MetadataFile = Annotated[str, Path(pattern=_METADATA)]


class ReleaseShape(BaseModel):
    """A published release."""

    name: str
    version: str
    sha256: str
    """Of its manifest."""
    published: datetime
    floor: str
    """The lowest version of this detector that may still run."""


class AssignmentShape(BaseModel):
    """What a node shall run."""

    site: str
    node: str
    name: str
    version: str
    assigned: datetime
    assigned_by: str


class AssignmentWanted(BaseModel):
    """What a node shall run from now on."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(pattern=_ID)]
    node: Annotated[str, Field(pattern=_ID)]
    name: Annotated[str, Field(pattern=_ID)]
    version: Annotated[str, Field(pattern=_VERSION)]
    by: Annotated[str, Field(max_length=200)] = ""


@router.get("/api/v1/releases")
def list_releases(context: Here) -> list[ReleaseShape]:
    """Every published release, by name and version."""
    return [_release(release) for release in fleet_of(context).releases.releases()]


@router.get("/api/v1/assignments")
def list_assignments(connection: Database, context: Here) -> list[AssignmentShape]:
    """What every node shall run."""
    return [_assignment(item) for item in fleet_of(context).assignments(connection)]


@router.post("/api/v1/assignments", status_code=201)
def assign(wanted: AssignmentWanted, connection: Database, context: Here) -> AssignmentShape:
    """Let a node run a release. It is told at once; where it is away it learns of it when it is back."""
    fleet = fleet_of(context)
    try:
        address = fleet.assign(connection, wanted.site, wanted.node, wanted.name, wanted.version, wanted.by)
    except AssignmentError as error:
        raise HTTPException(409, str(error)) from error
    except KeyMissingError as error:
        raise HTTPException(503, str(error)) from error
    Commander(context.live.publish, context.clock, lambda: secrets.token_hex(8)).check_updates(address)
    held = fleet.assignments(connection, wanted.site, wanted.node)
    return next(_assignment(item) for item in held if item.name == wanted.name)


@router.get("/tuf/metadata/{file}")
def read_metadata(file: MetadataFile, context: Here, _: Node) -> FileResponse:
    """The release repository's metadata."""
    return _send(context.settings.tuf / "releases" / "metadata", file)


@router.get("/tuf/targets/{path:path}")
def read_target(path: str, context: Here, _: Node) -> FileResponse:
    """A file of a release, under the name a consistent snapshot has for it."""
    if not _TARGET.fullmatch(path) or len(path) > 400:
        raise HTTPException(404, "no such file")
    return _send(context.settings.tuf / "releases" / "targets", path)


@router.get("/director/{site}/{node}/metadata/{file}")
def read_assignment(site: Id, node: Id, file: MetadataFile, context: Here, who: Node) -> FileResponse:
    """What the director says to one node, for that node alone."""
    if who != f"{site}/{node}":
        raise HTTPException(403, f"node {who} may not read the assignments of {site}/{node}")
    return _send(context.settings.tuf / "directors" / site / node / "metadata", file)


def fleet_of(context: Context) -> Fleet:
    """The fleet of the installation that answers."""
    return Fleet.of(context.settings, context.clock)


def _send(folder: FilePath, name: str) -> FileResponse:
    path = folder / name
    # The patterns let nothing out of the folder; this holds even where somebody put a link into it.
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise HTTPException(404, "no such file")
    return FileResponse(path, headers={"Cache-Control": "no-cache"})


def _release(release: Release) -> ReleaseShape:
    return ReleaseShape(
        name=release.name,
        version=release.version,
        sha256=release.sha256,
        published=moment(release.published),
        floor=release.floor,
    )


def _assignment(item: Assignment) -> AssignmentShape:
    return AssignmentShape(
        site=item.site,
        node=item.node,
        name=item.name,
        version=item.version,
        assigned=item.assigned,
        assigned_by=item.assigned_by,
    )
