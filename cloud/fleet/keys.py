"""The keys that sign releases and assignments: Ed25519 (RFC 8032), one PEM file (PKCS #8) each, mode 0600.

``offline`` holds what must not lie on a server that answers the network: the roots, the targets role, one role a
detector. ``online`` holds what has to sign without anybody present: snapshot, timestamp, the director. The embedded
system makes all of them at first use and keeps them side by side; docs/models-over-the-air.md tells how to part them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from securesystemslib.signer import CryptoSigner, SSlibKey

from cloud.fleet.disk import make_folder, write_file


class KeyMissingError(LookupError):
    """A signature is needed whose key is not on this machine; the text names the file."""


@dataclass(frozen=True)
class Holding:
    """Who signs for a role: ``keys`` keys, of which ``threshold`` must sign.

    ``name`` is the file's: ``fire`` for one key, ``root-1``, ``root-2``, … for several.
    """

    name: str
    online: bool
    keys: int = 1
    threshold: int = 1

    def files(self) -> list[str]:
        """The names of the keys' files, below the folder of keys."""
        folder = "online" if self.online else "offline"
        names = [self.name] if self.keys == 1 else [f"{self.name}-{number}" for number in range(1, self.keys + 1)]
        return [f"{folder}/{name}.pem" for name in names]


ROOT: Final = Holding("root", online=False, keys=3, threshold=2)
TARGETS: Final = Holding("targets", online=False, keys=3, threshold=2)
SNAPSHOT: Final = Holding("snapshot", online=True)
TIMESTAMP: Final = Holding("timestamp", online=True)
DIRECTOR_ROOT: Final = Holding("director-root", online=False, keys=3, threshold=2)


def detector(name: str) -> Holding:
    """The role that may sign releases of detector ``name`` and of no other."""
    return Holding(f"detector-{name}", online=False)


def director(site: str, node: str) -> Holding:
    """The role that says what this node shall run. A key for each node: no other node's assignment can pass for it."""
    return Holding(f"directors/{site}/{node}", online=True)


class KeyStore:
    """The folder of keys. A key that shall follow another lies beside it as ``.next`` until it is promoted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, holding: Holding, following: bool = False) -> list[SSlibKey]:
        """The public keys of a role, or of those that shall follow them; what is missing is made.

        Raises:
            KeyMissingError: the folder of offline keys was taken away: no others are made in their place.
        """
        if not holding.online and (self.folder / "online").is_dir() and not (self.folder / "offline").is_dir():
            raise KeyMissingError(f"{self.folder}/offline is kept elsewhere; do this where {holding.name}'s keys are")
        if not self.folder.is_dir():
            make_folder(self.folder)
            self.folder.chmod(0o700)
        paths = [self._path(file, following) for file in holding.files()]
        for path in paths:
            if not path.exists():
                write_file(path, _generate(), mode=0o600)
        return [_read(path).public_key for path in paths]

    def signers(self, holding: Holding, keyids: Collection[str]) -> list[CryptoSigner]:
        """The keys of a role that are on this machine and among ``keyids``, which its delegator lists.

        Raises:
            KeyMissingError: too few to reach the threshold.
        """
        paths = [self._path(file, following) for file in holding.files() for following in (False, True)]
        here = [_read(path) for path in paths if path.exists()]
        found = [signer for signer in here if signer.public_key.keyid in keyids]
        if len(found) < holding.threshold:
            raise KeyMissingError(
                f"{holding.threshold} of {', '.join(holding.files())} must sign; {len(found)} found in {self.folder}; "
                "do this on the machine that keeps these keys"
            )
        return found

    def promote(self, holding: Holding) -> None:
        """The keys that follow take the place of the former ones, which are gone thereafter."""
        for file in holding.files():
            if self._path(file, following=True).exists():
                self._path(file, following=True).replace(self._path(file, following=False))

    def _path(self, file: str, following: bool) -> Path:
        path = self.folder / file
        return path.with_suffix(".next") if following else path


def _generate() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read(path: Path) -> CryptoSigner:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise KeyMissingError(f"key {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise KeyMissingError(f"key {path} is no private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyMissingError(f"key {path} is a {type(key).__name__}; needed is an Ed25519 key")
    return CryptoSigner(key)
