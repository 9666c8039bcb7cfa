"""The director: what each node shall run, after Uptane's director repository (Uptane 2.1, section 5.3.2).

Every node has a repository of its own, with an online key of its own, under ``<folder>/<site>/<node>/metadata``. Its
targets name the manifest of each assigned release by hash and length. A node takes a release only when the director
and the release repository, which is signed offline, say the same.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from tuf.api.metadata import TargetFile

from cloud.fleet.disk import writer
from cloud.fleet.keys import DIRECTOR_ROOT, Holding, KeyStore, director
from cloud.fleet.metadata import LIFETIMES, Lifetimes, MetadataFolder
from cloud.fleet.repository import Release
from contract.ids import Micros, check_id


class Director:
    """The director repositories of all nodes.

    Args:
        folder: gets ``<site>/<node>/metadata``.
        keys: the director's roots (offline) and one online key a node.
        clock: microseconds since 1970.
    """

    def __init__(
        self, folder: Path, keys: KeyStore, clock: Callable[[], Micros], lifetimes: Lifetimes = LIFETIMES
    ) -> None:
        self.folder = folder
        self._keys = keys
        self._clock = clock
        self._lifetimes = lifetimes

    def metadata(self, site: str, node: str) -> MetadataFolder:
        """One node's metadata, which need not exist yet."""
        own = director(check_id(site, "site"), check_id(node, "node"))

        def holding(role: str) -> Holding:
            return DIRECTOR_ROOT if role == "root" else own

        return MetadataFolder(self.folder / site / node / "metadata", self._keys, holding, self._lifetimes)

    def create(self, site: str, node: str) -> None:
        """Make a node's repository where there is none; it assigns nothing."""
        metadata = self.metadata(site, node)
        with writer(self.folder / site / node):
            metadata.create(self._clock())

    def assign(self, site: str, node: str, releases: Mapping[str, Release]) -> bool:
        """Say what the node shall run, by detector; False where that is what it was told before.

        What is left out the node keeps as it is.
        """
        return self.follow(site, node, lambda: releases)

    def follow(self, site: str, node: str, intent: Callable[[], Mapping[str, Release]]) -> bool:
        """As ``assign``; ``intent`` is asked once nobody else writes, so that the latest intent is what stays."""
        metadata = self.metadata(site, node)
        with writer(self.folder / site / node):
            metadata.create(self._clock())
            content = metadata.targets()
            wanted = {release.target: _target(site, node, release) for release in intent().values()}
            if content.targets == wanted:
                return False
            content.targets = wanted
            metadata.commit({"targets": content}, self._clock())
        return True

    def assigned(self, site: str, node: str) -> dict[str, str]:
        """What the node was told: version by detector."""
        metadata = self.metadata(site, node)
        if not metadata.exists:
            return {}
        paths = [path.split("/") for path in metadata.targets().targets]
        return {path[0]: path[1] for path in paths}

    def refresh(self) -> int:
        """Renew the signatures that run out, of every node; the number of nodes that needed it."""
        count = 0
        for folder in sorted(self.folder.glob("*/*/metadata")):
            site, node = folder.parts[-3:-1]
            with writer(folder.parent):
                metadata = self.metadata(site, node)
                count += metadata.exists and metadata.refresh(self._clock())
        return count


def _target(site: str, node: str, release: Release) -> TargetFile:
    custom = {"detector": release.name, "node": f"{site}/{node}"}
    return TargetFile(release.bytes, {"sha256": release.sha256}, release.target, {"custom": custom})
