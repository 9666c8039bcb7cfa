"""The release repository: which files make up a release, signed offline, one role a detector.

Targets are ``<detector>/<version>/<file>``; the role of detector ``fire`` may sign ``fire/…`` and nothing else.
``<detector>/floor.json`` carries the lowest version that may still run, under the same offline signature.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from tuf.api.metadata import DelegatedRole, Delegations, TargetFile, Targets

from cloud.fleet.disk import write_file, writer
from cloud.fleet.keys import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Holding, KeyStore, detector
from cloud.fleet.metadata import LIFETIMES, TOP, Lifetimes, MetadataFolder
from contract.ids import Micros, check_id
from contract.manifest import Manifest, ManifestError, decode_manifest

log = structlog.get_logger()

MANIFEST: Final = "manifest.json"
FLOOR: Final = "floor.json"
MAX_DEPTH: Final = 4
"""Folders below a release in which a file may lie: a TUF path pattern's ``*`` does not cross a ``/``."""
_HOLDINGS: Final = {"root": ROOT, "targets": TARGETS, "snapshot": SNAPSHOT, "timestamp": TIMESTAMP}


class PublishError(ValueError):
    """A release that cannot be published; the text names the file or the version and the way out."""


@dataclass(frozen=True)
class Release:
    """One version of one detector, as published."""

    name: str
    version: str
    sha256: str
    """Of its manifest, which names every other file by hash."""
    bytes: int
    """Of its manifest."""
    published: Micros
    floor: str
    """The lowest version of this detector that may still run."""

    @property
    def target(self) -> str:
        """The manifest's path in the repository."""
        return f"{self.name}/{self.version}/{MANIFEST}"


def holding(role: str) -> Holding:
    """Who signs for a role of the release repository."""
    return _HOLDINGS.get(role) or detector(role)


class ReleaseRepository:
    """The release repository on disk, made at first use.

    Args:
        folder: gets ``metadata`` and ``targets``.
        keys: offline and online keys.
        clock: microseconds since 1970.
    """

    def __init__(
        self, folder: Path, keys: KeyStore, clock: Callable[[], Micros], lifetimes: Lifetimes = LIFETIMES
    ) -> None:
        self.folder = folder
        self._clock = clock
        self.metadata = MetadataFolder(folder / "metadata", keys, holding, lifetimes)
        self.targets = folder / "targets"

    def create(self) -> None:
        """Make the repository where there is none."""
        with writer(self.folder):
            self.metadata.create(self._clock())

    def refresh(self) -> bool:
        """Renew signatures that run out; see ``MetadataFolder.refresh``. Makes the repository where there is none."""
        with writer(self.folder):
            self.metadata.create(self._clock())
            return self.metadata.refresh(self._clock())

    def rotate(self, role: str) -> None:
        """Give ``role`` new keys; see ``MetadataFolder.rotate``."""
        with writer(self.folder):
            self.metadata.rotate(role, self._clock())

    def publish(self, name: str, folder: Path, floor: str | None = None) -> Release:
        """Sign a release and offer it. The same release again changes nothing.

        Args:
            name: the detector.
            folder: holds ``manifest.json`` and every file it lists.
            floor: from now on the lowest version that may run; only ever raised.

        Raises:
            PublishError: a file is not what the manifest says; the version is there with other content, or lower than
                one that is published.
            KeyMissingError: the keys are on another machine.
        """
        manifest, files = read_release(name, folder)
        with writer(self.folder):
            self.metadata.create(self._clock())
            known = {release.version: release for release in self._releases(name)}
            before = known.get(manifest.version)
            if before is not None and before.sha256 != _sha256(files[MANIFEST]):
                raise PublishError(f"{name} {manifest.version} is published with other content; raise the version")
            highest = max(known, key=version_key, default=manifest.version)
            if version_key(manifest.version) < version_key(highest):
                raise PublishError(f"{name} {manifest.version} is lower than {highest}, which is published")
            if before is not None and floor in (None, before.floor):
                return before
            self._add(name, manifest.version, files, self._next_floor(name, manifest.version, floor))
            release = next(item for item in self._releases(name) if item.version == manifest.version)
        log.info("release published", model=name, version=release.version, sha256=release.sha256, floor=release.floor)
        return release

    def releases(self) -> list[Release]:
        """Every published release, by name and version."""
        if not self.metadata.exists:
            return []
        names = sorted(role for role in self.metadata.roles() if role not in TOP)
        return [release for name in names for release in self._releases(name)]

    def release(self, name: str, version: str) -> Release:
        """One release. Raises ``PublishError`` where it is not published; names those that are."""
        known = self.releases()
        for release in known:
            if (release.name, release.version) == (name, version):
                return release
        offered = ", ".join(f"{item.name} {item.version}" for item in known) or "none"
        raise PublishError(f"{name} {version} is not published; published are: {offered}")

    def _releases(self, name: str) -> list[Release]:
        if f"{name}.json" not in self.metadata.snapshot().meta:
            return []
        targets = self.metadata.targets(name).targets
        floor = floor_of(targets[f"{name}/{FLOOR}"].custom)
        found = [
            Release(name, path.split("/")[1], file.hashes["sha256"], file.length, _published(file.custom), floor)
            for path, file in targets.items()
            if path.count("/") == 2 and path.endswith(f"/{MANIFEST}")
        ]
        return sorted(found, key=lambda release: version_key(release.version))

    def _next_floor(self, name: str, version: str, floor: str | None) -> str:
        known = self._releases(name)
        current = known[0].floor if known else "0.0.0"
        if floor is None:
            return current
        if not version_key(current) <= version_key(floor) <= version_key(version):
            raise PublishError(f"{name}: floor {floor} must lie between {current}, which holds now, and {version}")
        return floor

    def _add(self, name: str, version: str, files: dict[str, bytes], floor: str) -> None:
        now = self._clock()
        changed = self._role(name)
        signed = changed[name].targets
        for file, raw in files.items():
            target = TargetFile.from_data(f"{name}/{version}/{file}", raw, ["sha256"])
            if file == MANIFEST:
                target.unrecognized_fields["custom"] = {"published": now}
            signed[target.path] = target
            self._write_target(target, raw)
        raw = f'{{"floor": "{floor}"}}\n'.encode()
        target = TargetFile.from_data(f"{name}/{FLOOR}", raw, ["sha256"])
        target.unrecognized_fields["custom"] = {"floor": floor}
        signed[target.path] = target
        self._write_target(target, raw)
        self.metadata.commit(changed, now)

    def _role(self, name: str) -> dict[str, Targets]:
        """The detector's targets, to be changed; and top-level targets too where the role is new."""
        if f"{name}.json" in self.metadata.snapshot().meta:
            return {name: self.metadata.targets(name)}
        top, fresh = self.metadata.targets(), Targets()
        fresh.version = 0
        paths = [f"{name}/{FLOOR}", *(f"{name}" + "/*" * depth for depth in range(2, MAX_DEPTH + 2))]
        role = DelegatedRole(name, [], 1, terminating=True, paths=paths)
        if top.delegations is None:
            top.delegations = Delegations({}, {})
        assert top.delegations.roles is not None
        top.delegations.roles[name] = role
        self.metadata.entrust(top, name)
        return {"targets": top, name: fresh}

    def _write_target(self, target: TargetFile, raw: bytes) -> None:
        """Under the name a consistent snapshot has for it: ``<folder>/<sha256>.<file>``."""
        write_file(self.targets / target.get_prefixed_paths()[0], raw)


def read_release(name: str, folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """A release's manifest and the bytes of all its files, checked against it.

    Raises:
        PublishError: names the file and what is wrong with it.
    """
    try:
        check_id(name, "detector")
        raw = (folder / MANIFEST).read_bytes()
        manifest = decode_manifest(raw)
    except (ManifestError, ValueError) as error:
        raise PublishError(str(error)) from error
    except OSError as error:
        raise PublishError(f"{folder / MANIFEST} cannot be read: {error.strerror}; name a release's folder") from error
    if name in TOP or manifest.name != name:
        raise PublishError(f"{folder / MANIFEST} is of {manifest.name!r}, not of a detector {name!r}")
    files = {MANIFEST: raw}
    for file, (sha256, size) in manifest.files().items():
        if file == MANIFEST or file.count("/") >= MAX_DEPTH:
            raise PublishError(f"{folder / file}: choose another name, at most {MAX_DEPTH - 1} folders deep")
        files[file] = _read_checked(folder / file, sha256, size)
    return manifest, files


def _read_checked(path: Path, sha256: str, size: int | None) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PublishError(f"{path} cannot be read: {error.strerror}; the release is not whole") from error
    if _sha256(raw) != sha256 or size not in (None, len(raw)):
        raise PublishError(
            f"{path} is not the file its manifest names: SHA-256 {_sha256(raw)}, {len(raw)} bytes; "
            f"needed {sha256}, {size if size is not None else 'any number of'} bytes"
        )
    return raw


def version_key(version: str) -> tuple[int, ...]:
    """For comparing versions: ``1.10.0`` is higher than ``1.9.0``. Raises ``PublishError``."""
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise PublishError(f"version {version!r} is not of the form 1.2.3")
    return tuple(int(part) for part in parts)


def floor_of(custom: Any) -> str:
    """The floor in a target's ``custom`` field."""
    return str(custom["floor"]) if isinstance(custom, dict) and "floor" in custom else "0.0.0"


def _published(custom: Any) -> Micros:
    return int(custom["published"]) if isinstance(custom, dict) and "published" in custom else 0


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
