"""Brings releases onto the box: asks the director what to run, checks it against the release repository, stages it.

A release is taken when the director (online key, this node's own) and the release repository (offline keys) name the
same manifest by hash and length, it lies on or above the floor, and every file of it is signed and unchanged. Anything
else is refused with its reason. With the link down the box keeps what it has.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
)
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface, Updater

from contract.ids import Micros, check_id
from contract.manifest import Manifest
from edge.config import ConfigError, NodeConfig
from edge.notices import ReleaseStaged
from edge.paths import NodePaths
from edge.updates.disk import make_folder, move_folder, sync_tree, write_file
from edge.updates.fetcher import Fetcher
from edge.updates.release import MANIFEST, ReleaseError, check_release, read_manifest, version_key
from edge.updates.state import Notes, Offer, Slot
from edge.updates.trust import DIRECTOR, RELEASES, Anchor

log = structlog.get_logger()

_UNTRUSTED: Final = (DownloadLengthMismatchError, SlowRetrievalError, RepositoryError, ReleaseError)
"""What no honest repository shows, as against one that is away."""
EVERY_S: Final = 60.0
FLOOR: Final = "floor.json"
MAX_RELEASE_BYTES: Final = 2 * 1024**3
SPARE_BYTES: Final = 128 * 1024**2
"""Of the disk, left free for records and evidence."""
_CLOCK_SLACK: Final = 3600 * 1_000_000


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How the last look went. ``state``: ``ok``, ``off`` (no trust configured), ``unreachable``, ``refused``."""

    state: str
    reason: str = ""
    checked: Micros = 0


class UpdateClient:
    """The update client of one node. ``run`` it in a thread of the delivery process.

    Args:
        config: ``trust``, ``uplink`` and the node's name are used.
        paths: ``trust`` and ``models`` are written.
        clock: microseconds since 1970.
        fetcher: how to fetch; over HTTP with the uplink's credentials when left out.
    """

    def __init__(
        self,
        config: NodeConfig,
        paths: NodePaths,
        clock: Callable[[], Micros],
        fetcher: FetcherInterface | None = None,
    ) -> None:
        self._config = config
        self._paths = paths
        self._clock = clock
        self._fetcher = fetcher
        self._notes = Notes(paths.models)
        self._releases = Anchor(paths.trust / RELEASES)
        self._director = Anchor(paths.trust / DIRECTOR)
        self.report = Report(state="off")

    def run(
        self,
        stop: threading.Event,
        poke: threading.Event,
        notify: Callable[[ReleaseStaged], None],
        every_s: float = EVERY_S,
    ) -> None:
        """Look every ``every_s`` seconds and whenever ``poke`` is set, until ``stop`` is; set ``poke`` too to end at
        once."""
        while not stop.is_set():
            for staged in self.check():
                notify(staged)
            poke.wait(every_s)
            poke.clear()
        if isinstance(self._fetcher, Fetcher):
            self._fetcher.close()

    def check(self) -> list[ReleaseStaged]:
        """Look once; what lies ready and was not tried yet. Faults are in ``report``, the log and the offers."""
        if self._config.trust is None:
            return []
        try:
            staged = list(self._look(self._config.trust))
        except _UNTRUSTED as error:
            self._notes.write_refusal(_reason(error))
            return self._fail("refused", error)
        except (DownloadError, ConfigError) as error:
            return self._fail("unreachable", error)
        except OSError as error:
            return self._fail("failed", error)
        self._notes.write_refusal("")
        self.report = Report(state="ok", checked=self._clock())
        return staged

    def _look(self, trust: Path) -> Iterator[ReleaseStaged]:
        fetcher = self._fetcher = self._fetcher or Fetcher(self._config)
        self._check_clock()
        for anchor in (self._releases, self._director):
            anchor.install(trust)
        cloud = self._config.uplink.cloud.rstrip("/")
        own = f"{cloud}/director/{self._config.site}/{self._config.node}"
        director = self._director.updater(f"{own}/metadata", f"{own}/targets", fetcher)
        releases = self._releases.updater(f"{cloud}/tuf/metadata", f"{cloud}/tuf/targets", fetcher)
        for anchor, updater in ((self._director, director), (self._releases, releases)):
            updater.refresh()
            anchor.keep()
        self._note_clock()
        for path in self._director.listed():
            staged = self._bring(path, director, releases)
            if staged is not None:
                yield staged

    def _bring(self, path: str, director: Updater, releases: Updater) -> ReleaseStaged | None:
        """One assignment; a fault in it leaves the others alone."""
        name, version = _parse(path)
        try:
            slot = self._agreed(path, name, version, director, releases)
            folder = self._notes.folder(name, version)
            if not _whole(name, folder, slot):
                self._stage(name, slot, releases)
                log.info("release staged", model=name, version=version, sha256=slot.sha256)
        except (*_UNTRUSTED, DownloadHTTPError) as error:
            log.warning("release refused", model=name, version=version, reason=_reason(error))
            self._notes.write_offer(name, Offer(version=version, state="refused", reason=_reason(error)))
            return None
        self._notes.write_offer(name, Offer(version=version, sha256=slot.sha256))
        return ReleaseStaged(name, version, str(folder)) if self._notes.wanted(name, slot) else None

    def _agreed(self, path: str, name: str, version: str, director: Updater, releases: Updater) -> Slot:
        """The release both repositories mean."""
        assigned, signed = director.get_targetinfo(path), releases.get_targetinfo(path)
        own = f"{self._config.site}/{self._config.node}"
        if assigned is None or _custom(assigned, "node") != own or _custom(assigned, "detector") != name:
            raise ReleaseError(f"{path} is assigned to {_custom(assigned, 'node') or 'nobody'}, not to {own}")
        if signed is None:
            raise ReleaseError(f"{path} is assigned, but no offline key has signed it")
        if (assigned.length, assigned.hashes) != (signed.length, signed.hashes):
            raise ReleaseError(f"{path}: director and release repository disagree about its content")
        floor = self._floor(name, releases)
        if version_key(version) < version_key(floor):
            raise ReleaseError(f"{name} {version} lies under the floor {floor}")
        return Slot(version, signed.hashes["sha256"])

    def _floor(self, name: str, releases: Updater) -> str:
        """The lowest version that may run: signed offline, and never lower than what was signed before."""
        known = self._paths.trust / "floors"
        floors: dict[str, str] = msgspec.json.decode(known.read_bytes()) if known.exists() else {}
        before = floors.get(name, "0.0.0")
        signed = _custom(releases.get_targetinfo(f"{name}/{FLOOR}"), "floor") or "0.0.0"
        if version_key(signed) > version_key(before):
            write_file(known, msgspec.json.encode({**floors, name: signed}))
            return signed
        return before

    def _stage(self, name: str, slot: Slot, releases: Updater) -> None:
        """Fetch what is missing, check it, and put the release into its place."""
        staging = self._paths.models / ".staging" / name / slot.sha256
        _clear(staging.parent, staging.name)
        make_folder(staging)
        prefix = f"{name}/{slot.version}"
        raw = self._fetch(releases, f"{prefix}/{MANIFEST}", staging / MANIFEST).read_bytes()
        manifest = read_manifest(name, slot.version, raw)
        targets = {file: _signed_file(releases, prefix, manifest, file) for file in manifest.files()}
        self._check_room(name, slot, sum(target.length for target in targets.values()))
        for file, target in targets.items():
            self._fetch(releases, target.path, staging / file)
        check_release(name, staging, slot)
        sync_tree(staging)
        move_folder(staging, self._notes.folder(name, slot.version))

    def _fetch(self, releases: Updater, path: str, to: Path) -> Path:
        """One signed file; what an earlier attempt left is used where it is right."""
        target = releases.get_targetinfo(path)
        if target is None:
            raise ReleaseError(f"{path} is not signed")
        if releases.find_cached_target(target, str(to)) is None:
            try:
                releases.download_target(target, str(to))
            except (LengthOrHashMismatchError, DownloadLengthMismatchError) as error:
                raise ReleaseError(f"{path} is not what was signed: {str(error).strip()}") from error
        return to

    def _check_room(self, name: str, slot: Slot, size: int) -> None:
        free = shutil.disk_usage(self._paths.models).free - SPARE_BYTES
        if size > min(free, MAX_RELEASE_BYTES):
            raise ReleaseError(
                f"{name} {slot.version} takes {size} bytes; {max(free, 0)} are free and {MAX_RELEASE_BYTES} allowed"
            )

    def _check_clock(self) -> None:
        """Expiry is told by the clock: one that was set back would make old metadata young again."""
        seen = self._paths.trust / "seen"
        last = int(seen.read_text()) if seen.exists() else 0
        if self._clock() < last - _CLOCK_SLACK:
            raise ReleaseError("the box's clock is behind the last time it looked; set it (check NTP)")

    def _note_clock(self) -> None:
        seen = self._paths.trust / "seen"
        if not seen.exists() or self._clock() > int(seen.read_text()) + _CLOCK_SLACK:
            write_file(seen, str(self._clock()).encode())

    def _fail(self, state: str, error: Exception) -> list[ReleaseStaged]:
        report = Report(state=state, reason=_reason(error), checked=self._clock())
        if (report.state, report.reason) != (self.report.state, self.report.reason):
            log.warning("no releases over the air", state=state, reason=report.reason)
        self.report = report
        return []


def _parse(path: str) -> tuple[str, str]:
    parts = path.split("/")
    if len(parts) != 3 or parts[2] != MANIFEST:
        raise ReleaseError(f"the director names {path!r}, which is no release")
    try:
        check_id(parts[0], "detector")
    except ValueError as error:
        raise ReleaseError(f"the director names {path!r}: {error}") from error
    version_key(parts[1])
    return parts[0], parts[1]


def _signed_file(releases: Updater, prefix: str, manifest: Manifest, file: str) -> TargetFile:
    sha256, size = manifest.files()[file]
    target = releases.get_targetinfo(f"{prefix}/{file}")
    if target is None:
        raise ReleaseError(f"{prefix}/{file} is in the manifest, but not signed")
    if target.hashes.get("sha256") != sha256 or size not in (None, target.length):
        raise ReleaseError(f"{prefix}/{file}: manifest and signature disagree about its content")
    return target


def _custom(target: TargetFile | None, key: str) -> str:
    custom: Any = target.custom if target is not None else None
    return str(custom.get(key, "")) if isinstance(custom, dict) else ""


def _whole(name: str, folder: Path, slot: Slot) -> bool:
    try:
        check_release(name, folder, slot)
    except ReleaseError:
        return False
    return True


def _clear(folder: Path, keep: str) -> None:
    """Remove what earlier attempts at other releases left."""
    for path in folder.glob("*"):
        if path.name != keep:
            shutil.rmtree(path, ignore_errors=True)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
