"""What the box writes down about releases, one small file each; every file is replaced as a whole.

``<name>/offer`` and ``refusal`` are written by the update client (in delivery), ``<name>/active``
by the slots (vision); each side reads the other's.
"""

from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from contract.ids import check_id
from edge.updates.disk import write_file

log = structlog.get_logger()

T = TypeVar("T")


class Slot(msgspec.Struct, frozen=True):
    """One version of a detector on the box. ``sha256`` is that of its manifest."""

    version: str
    sha256: str


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What the update client brought last: ``staged``, or ``refused`` for ``reason`` (``sha256`` may then be empty)."""

    version: str
    sha256: str = ""
    state: str = "staged"
    reason: str = ""

    @property
    def slot(self) -> Slot:
        """The slot it would fill."""
        return Slot(self.version, self.sha256)


class Refusal(msgspec.Struct, frozen=True):
    """Why nothing at all is taken over the air at present: what a repository shows is not to be trusted."""

    reason: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Which release runs, and how the last switch went."""

    active: Slot | None = None
    """What runs; None: what the box came with."""
    previous: Slot | None = None
    trial: bool = False
    """It has yet to show that it does no worse than the one before."""
    starts: int = 0
    """Starts of vision since the trial began that were not followed by a clean stop."""
    before_ms: float = 0.0
    """Median latency of the release before, to judge the trial by."""
    trying: Slot | None = None
    """Being tried, or about to take over: where vision is found dead, this may have been the cause."""
    tries: int = 0
    state: str = "active"
    """``active``, ``refused`` or ``rolled-back``; see ``contract.records.ModelHealth``."""
    offered: str = ""
    reason: str = ""
    turned_down: tuple[Slot, ...] = ()
    """Not tried again."""


class Notes:
    """The files. ``models`` is ``NodePaths.models``."""

    def __init__(self, models: Path) -> None:
        self.models = models

    def folder(self, name: str, version: str) -> Path:
        """Where a release lies."""
        return self._of(name) / version

    def record(self, name: str) -> Record:
        """How things stand; a fresh record where there is none or it cannot be read."""
        return _read(self._of(name) / "active", Record) or Record()

    def write_record(self, name: str, record: Record) -> None:
        """Durable on return."""
        write_file(self._of(name) / "active", msgspec.json.encode(record))

    def offer(self, name: str) -> Offer | None:
        """What the update client brought last."""
        return _read(self._of(name) / "offer", Offer)

    def write_offer(self, name: str, offer: Offer) -> None:
        """Durable on return; writes nothing where it is as before."""
        if self.offer(name) != offer:
            write_file(self._of(name) / "offer", msgspec.json.encode(offer))

    def refusal(self) -> str:
        """Why nothing is taken at present; empty where all is well."""
        found = _read(self.models / "refusal", Refusal)
        return found.reason if found is not None else ""

    def write_refusal(self, reason: str) -> None:
        """An empty reason takes the refusal back."""
        if not reason:
            (self.models / "refusal").unlink(missing_ok=True)
        elif self.refusal() != reason:
            write_file(self.models / "refusal", msgspec.json.encode(Refusal(reason)))

    def offered(self) -> list[str]:
        """Detectors with an offer."""
        return sorted(path.parent.name for path in self.models.glob("*/offer"))

    def wanted(self, name: str, slot: Slot) -> bool:
        """Whether a release is neither in use nor turned down before."""
        record = self.record(name)
        return slot != record.active and slot not in record.turned_down

    def _of(self, name: str) -> Path:
        return self.models / check_id(name, "detector")


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("file cannot be read", file=str(path), reason=str(error))
        return None
