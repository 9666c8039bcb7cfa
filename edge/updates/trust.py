"""What the box trusts: the root metadata it was installed with, and the newest that each repository has shown it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge.config import ConfigError
from edge.updates.disk import make_folder, sync_tree, write_file

log = structlog.get_logger()

RELEASES: Final = "releases"
DIRECTOR: Final = "director"
_LIMITS: Final = UpdaterConfig(
    max_root_rotations=64,
    max_delegations=8,
    root_max_length=64 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=1024 * 1024,
    targets_max_length=4 * 1024 * 1024,
)


@dataclass(frozen=True)
class Anchor:
    """One repository as the box sees it.

    ``folder`` holds ``anchor.json``, the root it was installed with, and ``metadata/``, what python-tuf keeps.
    """

    folder: Path

    def install(self, given: Path) -> None:
        """Take over the root metadata that lies in ``given``, at the first start or when the installer brought another.

        Raises:
            ConfigError: there is none.
        """
        source = given / f"{self.folder.name}.root.json"
        try:
            raw = source.read_bytes()
        except OSError as error:
            if (self.folder / "anchor.json").exists():
                return
            raise ConfigError(f"trust: {source} cannot be read: {error.strerror}; enrol the node again") from error
        known = [self.folder / "anchor.json", *(self.folder / "metadata" / "root_history").glob("*.root.json")]
        if any(path.exists() and path.read_bytes() == raw for path in known):
            return
        # Another root means another installation: what the former one has shown says nothing about this one.
        shutil.rmtree(self.folder, ignore_errors=True)
        write_file(self.folder / "anchor.json", raw)
        log.info("trust anchored", repository=self.folder.name)

    def updater(self, metadata_url: str, targets_url: str, fetcher: FetcherInterface) -> Updater:
        """python-tuf's client for this repository; it starts from the anchor and goes on from what it kept.

        Raises:
            RepositoryError: the anchor is no root metadata.
        """
        make_folder(self.folder / "metadata")
        return Updater(
            str(self.folder / "metadata"),
            metadata_url,
            target_base_url=targets_url,
            fetcher=fetcher,
            config=_LIMITS,
            bootstrap=(self.folder / "anchor.json").read_bytes(),
        )

    def keep(self) -> None:
        """Force what was verified to the disk, so that a power cut opens no way back to something older."""
        sync_tree(self.folder)

    def listed(self) -> list[str]:
        """The paths of the top-level targets, as of the last refresh; look each up with ``Updater.get_targetinfo``."""
        targets: Metadata[Targets] = Metadata.from_file(str(self.folder / "metadata" / "targets.json"))
        if not isinstance(targets.signed, Targets):
            raise RepositoryError("targets.json holds no targets")
        return sorted(targets.signed.targets)
