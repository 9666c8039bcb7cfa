"""A repository of The Update Framework (TUF 1.0) on disk: its metadata, written so that a reader always finds a whole.

Snapshots are consistent (section 6.2 of the specification): ``N.root.json``, ``N.targets.json``, ``N.<role>.json``,
``N.snapshot.json`` and last ``timestamp.json``, whose renaming makes a change visible. What an interrupted change left
behind is named by nobody and is written over by the next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Key, Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from cloud.fleet.disk import write_file
from cloud.fleet.keys import Holding, KeyMissingError, KeyStore
from contract.ids import Micros

log = structlog.get_logger()

T = TypeVar("T", Root, Targets, Snapshot, Timestamp)
TOP: Final = ("root", "targets", "snapshot", "timestamp")


class DamagedError(RuntimeError):
    """The repository on disk is not whole; the text names the file."""


@dataclass(frozen=True)
class Lifetimes:
    """For how long a signature holds. A node that is shown older metadata refuses it."""

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    snapshot: timedelta = timedelta(days=14)
    timestamp: timedelta = timedelta(days=2)

    def of(self, role: str) -> timedelta:
        """The lifetime of ``role``; roles that targets delegates to live as long as targets."""
        return {"root": self.root, "snapshot": self.snapshot, "timestamp": self.timestamp}.get(role, self.targets)


LIFETIMES: Final = Lifetimes()


class MetadataFolder:
    """The metadata of one repository. Callers hold ``disk.writer`` while they change it.

    Args:
        folder: made at the first ``create``.
        keys: where the signing keys lie.
        holding: who signs for a role, by its name.
    """

    def __init__(
        self, folder: Path, keys: KeyStore, holding: Callable[[str], Holding], lifetimes: Lifetimes = LIFETIMES
    ) -> None:
        self.folder = folder
        self._keys = keys
        self._holding = holding
        self._lifetimes = lifetimes

    @property
    def exists(self) -> bool:
        """Whether there is something to read."""
        return (self.folder / "timestamp.json").exists()

    def create(self, now: Micros) -> None:
        """Make root, an empty targets, snapshot and timestamp, with new keys; no more than goes on where one has begun.

        Raises:
            DamagedError: there was a repository and its timestamp is gone.
        """
        if self.exists:
            return
        if (self.folder / "2.snapshot.json").exists():
            raise DamagedError(f"{self.folder}/timestamp.json is gone; put the repository back from a copy")
        if not (self.folder / "1.root.json").exists():
            root = Root(consistent_snapshot=True)
            for role in TOP:
                self._entrust(root, role, self._keys.make(self._holding(role)))
            self._write_root(root, self._signers(root, "root"), now)
        targets, snapshot, timestamp = Targets(), Snapshot(), Timestamp()
        targets.version = snapshot.version = timestamp.version = 0
        self._commit({"targets": targets}, snapshot, timestamp, now)

    def root(self) -> Root:
        """The latest root."""
        version = max((int(path.name.split(".")[0]) for path in self.folder.glob("*.root.json")), default=0)
        return self._read(f"{version}.root.json", Root)

    def root_bytes(self) -> bytes:
        """The latest root as signed: what a box is given to start from."""
        return (self.folder / f"{self.root().version}.root.json").read_bytes()

    def timestamp(self) -> Timestamp:
        """The timestamp that holds now."""
        return self._read("timestamp.json", Timestamp)

    def snapshot(self) -> Snapshot:
        """The snapshot that holds now."""
        return self._read(f"{self.timestamp().snapshot_meta.version}.snapshot.json", Snapshot)

    def targets(self, role: str = "targets") -> Targets:
        """The targets of a role that hold now. Raises ``DamagedError`` where there is no such role."""
        meta = self.snapshot().meta.get(f"{role}.json")
        if meta is None:
            raise DamagedError(f"{self.folder}: role {role!r} is not in the snapshot")
        return self._read(f"{meta.version}.{role}.json", Targets)

    def roles(self) -> list[str]:
        """``targets`` and every role it delegates to."""
        return [name.removesuffix(".json") for name in self.snapshot().meta]

    def commit(self, changed: Mapping[str, Targets], now: Micros) -> None:
        """Sign the changed roles with the next version each, and make all of it visible at once.

        Raises:
            KeyMissingError: a key is not on this machine; nothing was changed.
        """
        self._commit(changed, self.snapshot(), self.timestamp(), now)

    def entrust(self, delegator: Root | Targets, role: str) -> None:
        """Let ``delegator`` name the role's keys on this machine; they are made where missing."""
        self._entrust(delegator, role, self._keys.make(self._holding(role)))

    def rotate(self, role: str, now: Micros) -> None:
        """Give a role new keys; nodes follow, and what the former keys sign from now on is refused.

        Raises:
            KeyMissingError: too few of the delegator's keys are here.
        """
        holding, delegator = self._holding(role), self._delegator(role)
        former = self._signers(self.root(), "root")
        fresh = self._keys.make(holding, following=True)
        for keyid in list(delegator.get_delegated_role(role).keyids):
            delegator.revoke_key(keyid, role)
        self._entrust(delegator, role, fresh)
        if isinstance(delegator, Root):
            self._write_root(delegator, former + (self._signers(delegator, role) if role == "root" else []), now)
            changed = {"targets": self.targets()} if role == "targets" else {}
        else:
            changed = {"targets": delegator, role: self.targets(role)}
        if role != "root":
            self.commit(changed, now)
        self._keys.promote(holding)

    def refresh(self, now: Micros) -> bool:
        """Renew what has used up half of its life and can be signed here; True where anything was.

        Call it more often than a quarter of the timestamp's lifetime. What cannot be signed here is logged.
        """
        root = self.root()
        renew_root = self._due("root", root.expires, now) and self._can_sign("root", root.expires)
        if renew_root:
            self._write_root(root, self._signers(root, "root"), now)
        changed = {role: self.targets(role) for role in self.roles() if self._stale(role, now)}
        changed = {role: content for role, content in changed.items() if self._can_sign(role, content.expires)}
        if changed or self._stale("snapshot", now):
            self.commit(changed, now)
        elif self._stale("timestamp", now):
            self._write_timestamp(self.timestamp(), now)
        else:
            return renew_root
        return True

    def _commit(self, changed: Mapping[str, Targets], snapshot: Snapshot, timestamp: Timestamp, now: Micros) -> None:
        signed = [(role, self._signed(role, content, now, changed)) for role, content in changed.items()]
        for role, raw in signed:
            version = changed[role].version
            write_file(self.folder / f"{version}.{role}.json", raw)
            snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, raw, ["sha256"])
        raw = self._signed("snapshot", snapshot, now)
        write_file(self.folder / f"{snapshot.version}.snapshot.json", raw)
        timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, raw, ["sha256"])
        self._write_timestamp(timestamp, now)

    def _write_timestamp(self, timestamp: Timestamp, now: Micros) -> None:
        write_file(self.folder / "timestamp.json", self._signed("timestamp", timestamp, now))

    def _write_root(self, root: Root, signers: list[Any], now: Micros) -> None:
        root.version = root.version + 1 if (self.folder / f"{root.version}.root.json").exists() else root.version
        root.expires = moment(now) + self._lifetimes.root
        metadata = Metadata(root)
        for signer in signers:
            metadata.sign(signer, append=True)
        write_file(self.folder / f"{root.version}.root.json", metadata.to_bytes())

    def _signed(
        self, role: str, content: Targets | Snapshot | Timestamp, now: Micros, fresh: Mapping[str, Targets] = {}
    ) -> bytes:
        """The next version of ``content`` as bytes. ``fresh``: roles whose delegations hold together with it."""
        signers = self._signers(self._delegator(role, fresh), role)
        content.version += 1
        content.expires = moment(now) + self._lifetimes.of(role)
        metadata: Metadata[Any] = Metadata(content)
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def _delegator(self, role: str, fresh: Mapping[str, Targets] = {}) -> Root | Targets:
        if role in TOP:
            return self.root()
        return fresh.get("targets") or self.targets()

    def _signers(self, delegator: Root | Targets, role: str) -> list[Any]:
        return list(self._keys.signers(self._holding(role), delegator.get_delegated_role(role).keyids))

    def _can_sign(self, role: str, expires: datetime) -> bool:
        try:
            self._signers(self._delegator(role), role)
        except KeyMissingError as error:
            log.warning("role must be signed again soon", role=role, expires=expires.isoformat(), reason=str(error))
            return False
        return True

    def _entrust(self, delegator: Root | Targets, role: str, keys: list[Any]) -> None:
        for key in keys:
            assert isinstance(key, Key)
            delegator.add_key(key, role)
        delegator.get_delegated_role(role).threshold = self._holding(role).threshold

    def _stale(self, role: str, now: Micros) -> bool:
        """Whether a role has used up half of its life, or is not signed by the keys named for it: a rotation that was
        cut off leaves that behind."""
        meta = self.timestamp().snapshot_meta if role == "snapshot" else None
        meta = meta or (None if role == "timestamp" else self.snapshot().meta[f"{role}.json"])
        path = self.folder / (f"{meta.version}.{role}.json" if meta else "timestamp.json")
        metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
        try:
            self._delegator(role).verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except RepositoryError:
            return True
        return self._due(role, metadata.signed.expires, now)

    def _due(self, role: str, expires: datetime, now: Micros) -> bool:
        return expires - moment(now) < self._lifetimes.of(role) / 2

    def _read(self, name: str, kind: type[T]) -> T:
        path = self.folder / name
        try:
            signed = Metadata.from_bytes(path.read_bytes()).signed
        except (OSError, RepositoryError) as error:
            raise DamagedError(f"{path} cannot be read: {error}; put the repository back from a copy") from error
        if not isinstance(signed, kind):
            raise DamagedError(f"{path} is no {kind.__name__}; put the repository back from a copy")
        return signed


def moment(time: Micros) -> datetime:
    """A time as TUF writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(time // 1_000_000, UTC)
