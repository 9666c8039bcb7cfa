"""A release as it lies on the box: a folder whose manifest names every file by hash."""

import hashlib
from pathlib import Path
from typing import Final

from contract.manifest import Manifest, ManifestError, decode_manifest
from edge.updates.state import Slot

MANIFEST: Final = "manifest.json"
_CHUNK: Final = 1024 * 1024


class ReleaseError(ValueError):
    """A release that must not run; the text says why."""


def check_release(name: str, folder: Path, slot: Slot) -> Manifest:
    """The manifest of the release in ``folder``, every file of it having the hash that the manifest gives.

    Raises:
        ReleaseError: names the file that is missing or changed.
    """
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ReleaseError(f"{name} {slot.version}: {MANIFEST} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(raw).hexdigest()
    if found != slot.sha256:
        raise ReleaseError(f"{name} {slot.version}: {MANIFEST} was changed: SHA-256 {found}, signed is {slot.sha256}")
    manifest = read_manifest(name, slot.version, raw)
    for file, (sha256, _) in manifest.files().items():
        found = hash_file(folder / file)
        if found != sha256:
            raise ReleaseError(f"{name} {slot.version}: {file} was changed: SHA-256 {found}, signed is {sha256}")
    return manifest


def read_manifest(name: str, version: str, raw: bytes) -> Manifest:
    """Raises ``ReleaseError`` where this is no manifest, or that of another release."""
    try:
        manifest = decode_manifest(raw)
    except ManifestError as error:
        raise ReleaseError(f"{name} {version}: {error}") from error
    if (manifest.name, manifest.version) != (name, version):
        raise ReleaseError(f"{name} {version}: its manifest is that of {manifest.name} {manifest.version}")
    return manifest


def hash_file(path: Path) -> str:
    """SHA-256 of a file. Raises ``ReleaseError`` where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def version_key(version: str) -> tuple[int, ...]:
    """For comparing versions: ``1.10.0`` is higher than ``1.9.0``. Raises ``ReleaseError``."""
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ReleaseError(f"version {version!r} is not of the form 1.2.3")
    return tuple(int(part) for part in parts)
