"""The fleet: which releases there are and which node shall run which. Intent in the database, signatures on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import structlog

from cloud.fleet.director import Director
from cloud.fleet.keys import KeyMissingError, KeyStore
from cloud.fleet.metadata import DamagedError
from cloud.fleet.repository import PublishError, Release, ReleaseRepository, version_key
from cloud.settings import CloudSettings
from contract.ids import Micros
from contract.topics import Address

log = structlog.get_logger()


class AssignmentError(ValueError):
    """A node cannot be told to run this; the text names both and the way out."""


@dataclass(frozen=True)
class Assignment:
    """What a node shall run for one detector."""

    site: str
    node: str
    name: str
    version: str
    assigned: datetime
    assigned_by: str


class Fleet:
    """Both repositories and the table ``assignment``.

    Args:
        tuf: folder of the repositories: ``releases`` and ``directors``.
        keys: folder of the signing keys.
        clock: microseconds since 1970.
    """

    def __init__(self, tuf: Path, keys: Path, clock: Callable[[], Micros]) -> None:
        store = KeyStore(keys)
        self.releases = ReleaseRepository(tuf / "releases", store, clock)
        self.director = Director(tuf / "directors", store, clock)

    @classmethod
    def of(cls, settings: CloudSettings, clock: Callable[[], Micros]) -> "Fleet":
        """The fleet of an installation."""
        return cls(settings.tuf, settings.keys, clock)

    def assign(
        self, connection: psycopg.Connection[Any], site: str, node: str, name: str, version: str, by: str = ""
    ) -> Address:
        """Let a node run a release; returns where to tell it. Commits.

        The row is written first: what the director has not signed yet, because something stopped in between, it signs
        at the next ``refresh``.

        Raises:
            AssignmentError: no such node or release, or one under the floor.
            KeyMissingError: the director's key for the node is not on this machine.
        """
        release = self._assignable(name, version)
        row = connection.execute("SELECT partition FROM node WHERE site = %s AND node = %s", (site, node)).fetchone()
        if row is None:
            raise AssignmentError(
                f"node {site}/{node} is not enrolled; enrol it first: vedette fleet enrol {site} {node}"
            )
        connection.execute(
            "INSERT INTO assignment (site, node, name, version, assigned_by) VALUES (%s, %s, %s, %s, %s)",
            (site, node, name, version, by),
        )
        connection.commit()
        self._direct(connection, site, node)
        log.info("release assigned", site=site, node=node, model=name, version=version, sha256=release.sha256, by=by)
        return Address(row[0], site, node)

    def assignments(
        self, connection: psycopg.Connection[Any], site: str | None = None, node: str | None = None
    ) -> list[Assignment]:
        """What every node shall run, or one site's nodes, or one."""
        rows = connection.execute(
            "SELECT DISTINCT ON (site, node, name) site, node, name, version, assigned, assigned_by FROM assignment "
            "WHERE (%(site)s::text IS NULL OR site = %(site)s) AND (%(node)s::text IS NULL OR node = %(node)s) "
            "ORDER BY site, node, name, id DESC",
            {"site": site, "node": node},
        ).fetchall()
        return [Assignment(*row) for row in rows]

    def refresh(self, connection: psycopg.Connection[Any]) -> None:
        """Renew what runs out, and let every director say what the table says. Call it at the start and every hour."""
        self.releases.refresh()
        nodes = connection.execute("SELECT site, node FROM node WHERE secret_hash <> '' ORDER BY site, node").fetchall()
        for site, node in nodes:
            try:
                self._direct(connection, site, node)
            except (KeyMissingError, DamagedError) as error:
                log.warning("assignments not signed", site=site, node=node, reason=str(error))
        self.director.refresh()

    def _direct(self, connection: psycopg.Connection[Any], site: str, node: str) -> None:
        def intent() -> dict[str, Release]:
            known = {(release.name, release.version): release for release in self.releases.releases()}
            found: dict[str, Release] = {}
            for item in self.assignments(connection, site, node):
                if (item.name, item.version) in known:
                    found[item.name] = known[item.name, item.version]
                else:
                    log.error("assigned release is gone", site=site, node=node, model=item.name, version=item.version)
            return found

        self.director.follow(site, node, intent)

    def _assignable(self, name: str, version: str) -> Release:
        try:
            release = self.releases.release(name, version)
        except PublishError as error:
            raise AssignmentError(str(error)) from error
        if version_key(version) < version_key(release.floor):
            raise AssignmentError(f"{name} {version} lies under the floor {release.floor}; nodes would refuse it")
        return release
