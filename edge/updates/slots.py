"""Which release of each detector runs: two slots, the one in use and the one before it.

``<models>/<name>/<version>/`` holds a release, ``<models>/<name>/active`` says which one runs and how the last switch
went, ``<models>/<name>/offer`` what the update client brought last. Delivery writes offers, vision writes the rest, and
each file is replaced as a whole: a power cut in the midst of a switch leaves the old release or the new one.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog

from contract.manifest import Manifest
from contract.records import ModelHealth, ModelRef
from edge.updates.golden import run_golden
from edge.updates.release import ReleaseError, check_release
from edge.updates.state import Notes, Record, Slot
from edge.vision.engine import Engine, EngineError

log = structlog.get_logger()

STARTS: Final = 3
"""So many deaths of vision while a release is on trial take it back; as many while it is tried refuse it."""
_REMEMBERED: Final = 8
_VERSION_FOLDER: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(\.old)?")

BuildEngine = Callable[[Manifest, Path], Engine]


@dataclass(frozen=True)
class Accepted:
    """A release that passed; ``engine`` is warm. Hand the slot to ``commit`` once the engine runs."""

    slot: Slot
    engine: Engine


@dataclass(frozen=True)
class Refused:
    """A release that did not; what ran before goes on."""

    reason: str


class ModelSlots:
    """The slots of all detectors.

    Args:
        models: ``NodePaths.models``.
    """

    def __init__(self, models: Path) -> None:
        self._notes = Notes(models)

    def folder(self, name: str, slot: Slot) -> Path:
        """Where the release lies."""
        return self._notes.folder(name, slot.version)

    def record(self, name: str) -> Record:
        """How things stand."""
        return self._notes.record(name)

    def waiting(self) -> list[tuple[str, Slot]]:
        """Offers that have not been tried yet, by detector: what to do at a start, when notices went unheard."""
        offers = [(name, self._notes.offer(name)) for name in self._notes.offered()]
        return [
            (name, offer.slot)
            for name, offer in offers
            if offer is not None and offer.state == "staged" and self._notes.wanted(name, offer.slot)
        ]

    def wanted(self, name: str, slot: Slot) -> bool:
        """Whether a release is neither in use nor turned down before."""
        return self._notes.wanted(name, slot)

    def active(self, name: str) -> Slot | None:
        """The release to run, every byte of it checked: the one in use, else the one before it, else None for what the
        box came with."""
        record = self.record(name)
        for slot in (record.active, record.previous):
            if slot is not None and not self._fault(name, slot):
                return slot
        return None

    def start(self, name: str) -> Slot | None:
        """As ``active``, and counted: call it once when vision starts.

        A release on trial that vision has died with ``STARTS`` times is taken back; a damaged one is set aside, to be
        fetched anew.
        """
        record = self.record(name)
        if record.active is None:
            return None
        fault = self._fault(name, record.active)
        if fault:
            self._go_back(name, fault, turn_down=False)
        elif record.trial and record.starts + 1 >= STARTS:
            self._go_back(name, f"vision ended {STARTS} times in the trial of {record.active.version}")
        elif record.trial:
            self._notes.write_record(name, msgspec.structs.replace(record, starts=record.starts + 1))
        return self.active(name)

    def stopped(self, name: str) -> None:
        """Vision ends in good order: its end does not count against a release on trial."""
        record = self.record(name)
        if record.starts or record.tries:
            self._notes.write_record(name, msgspec.structs.replace(record, starts=0, trying=None, tries=0))

    def try_release(self, name: str, slot: Slot, build_engine: BuildEngine) -> Accepted | Refused:
        """Check a release, build its engine, run the golden samples, warm up; beside the one that runs.

        Takes seconds: call it from a thread of its own. A release that fails is written down and not tried again.
        """
        offer = self._notes.offer(name)
        if offer is None or offer.state != "staged" or offer.slot != slot:
            return Refused(f"{name} {slot.version} was not offered by the update client")
        folder = self.folder(name, slot)
        try:
            manifest = check_release(name, folder, slot)
        except ReleaseError as error:
            # The disk is at fault, not the release: the update client fetches it anew, and then it is tried.
            return self._refuse(name, slot, str(error), turn_down=False)
        try:
            self._count_try(name, slot)
            engine = self._try_engine(manifest, folder, build_engine)
        except (ReleaseError, EngineError) as error:
            return self._refuse(name, slot, str(error))
        return Accepted(slot, engine)

    def commit(self, name: str, slot: Slot, before_ms: float = 0.0) -> None:
        """The release runs now: it is on trial. What ran before stays in the other slot; older ones are deleted.

        Args:
            before_ms: median latency of what ran before, in milliseconds; 0 where it is not known.
        """
        record = self.record(name)
        if record.active == slot:
            return
        previous = record.active if record.active is not None and not self._fault(name, record.active) else None
        fresh = Record(active=slot, previous=previous, trial=True, before_ms=before_ms, turned_down=record.turned_down)
        self._notes.write_record(name, fresh)
        log.info("release took over", model=name, version=slot.version, sha256=slot.sha256)
        self._sweep(name)

    def keep(self, name: str) -> None:
        """The trial is over and passed."""
        record = self.record(name)
        if record.trial:
            self._notes.write_record(name, msgspec.structs.replace(record, trial=False, starts=0))
            log.info("release passed its trial", model=name, version=record.active.version if record.active else "")

    def roll_back(self, name: str, reason: str) -> Slot | None:
        """Take the release in use back; returns what runs instead, None for what the box came with."""
        self._go_back(name, reason)
        return self.active(name)

    def health(self, name: str, running: ModelRef | None, latency_ms: float = 0.0) -> ModelHealth:
        """What to report of a detector: what runs, and how the last offer ended."""
        record, offer = self.record(name), self._notes.offer(name)
        state, offered, reason = record.state, record.offered, record.reason
        if offer is not None and offer.state == "refused":
            state, offered, reason = "refused", offer.version, offer.reason
        elif offer is not None and offer.version != offered:
            state, offered, reason = "active", "", ""
        if state == "active" and self._notes.refusal():
            state, reason = "refused", self._notes.refusal()
        return ModelHealth(
            name=name,
            version=running.version if running else "",
            sha256=running.sha256 if running else "",
            state=state,
            offered=offered,
            reason=reason,
            latency_ms=latency_ms,
        )

    def _count_try(self, name: str, slot: Slot) -> None:
        record = self.record(name)
        tries = record.tries + 1 if record.trying == slot else 1
        if tries > STARTS:
            raise ReleaseError(f"vision ended {STARTS} times while {slot.version} was tried")
        self._notes.write_record(name, msgspec.structs.replace(record, trying=slot, tries=tries))

    def _try_engine(self, manifest: Manifest, folder: Path, build_engine: BuildEngine) -> Engine:
        engine: Engine | None = None
        try:
            engine = build_engine(manifest, folder)
            engine.warm_up()
            run_golden(manifest, folder, engine)
        except BaseException as error:
            if engine is not None:
                engine.close()
            if isinstance(error, ReleaseError | EngineError) or not isinstance(error, Exception):
                raise
            # Whatever a release makes an engine throw: it is the release that is at fault.
            raise ReleaseError(f"{manifest.name} {manifest.version}: {type(error).__name__}: {error}") from error
        return engine

    def _refuse(self, name: str, slot: Slot, reason: str, turn_down: bool = True) -> Refused:
        record = self.record(name)
        log.warning("release refused", model=name, version=slot.version, reason=reason)
        self._notes.write_record(
            name,
            msgspec.structs.replace(
                record,
                state="refused",
                offered=slot.version,
                reason=reason,
                trying=None,
                tries=0,
                turned_down=(*record.turned_down, slot)[-_REMEMBERED:] if turn_down else record.turned_down,
            ),
        )
        return Refused(reason)

    def _go_back(self, name: str, reason: str, turn_down: bool = True) -> None:
        record = self.record(name)
        if record.active is None:
            return
        log.warning("release taken back", model=name, version=record.active.version, reason=reason)
        previous = record.previous if record.previous and not self._fault(name, record.previous) else None
        turned_down = (*record.turned_down, record.active)[-_REMEMBERED:] if turn_down else record.turned_down
        self._notes.write_record(
            name,
            Record(
                active=previous,
                state="rolled-back",
                offered=record.active.version,
                reason=reason,
                turned_down=turned_down,
            ),
        )

    def _fault(self, name: str, slot: Slot) -> str:
        try:
            check_release(name, self.folder(name, slot), slot)
        except ReleaseError as error:
            return str(error)
        return ""

    def _sweep(self, name: str) -> None:
        """Delete the folders of releases that neither run, nor ran before, nor wait."""
        record, offer = self.record(name), self._notes.offer(name)
        kept = {slot.version for slot in (record.active, record.previous, offer) if slot is not None}
        for folder in (self._notes.models / name).iterdir():
            if folder.is_dir() and _VERSION_FOLDER.fullmatch(folder.name) and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
