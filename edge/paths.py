"""Where a node keeps what, below its storage folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class NodePaths:
    """Folders and files of one node. ``data`` survives a restart of the machine; ``run`` need not.

    ``run`` holds Unix sockets, whose paths the kernel limits to 108 bytes.
    """

    data: Path
    run: Path

    @property
    def outbox(self) -> Path:
        """The outbox's SQLite file."""
        return self.data / "outbox.sqlite"

    @property
    def evidence(self) -> Path:
        """Files that show events, each named by its SHA-256, until the cloud has them."""
        return self.data / "evidence"

    @property
    def models(self) -> Path:
        """``models/<name>/<version>/`` for each release that came over the air, and ``models/<name>/active``."""
        return self.data / "models"

    @property
    def trust(self) -> Path:
        """The update client's own copy of the metadata it trusts."""
        return self.data / "trust"

    @property
    def frames(self) -> Path:
        """Frame slots, one file a camera; lies in ``run``, which should be a memory file system."""
        return self.run / "frames"

    @property
    def status(self) -> Path:
        """One JSON file a part, renewed about once a second."""
        return self.run / "status"

    def make(self) -> None:
        """Create what is missing."""
        for folder in (self.data, self.run, self.evidence, self.models, self.trust, self.frames, self.status):
            folder.mkdir(parents=True, exist_ok=True)
