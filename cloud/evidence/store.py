"""Where evidence is kept: files named by their SHA-256. On disk; an S3-compatible store fits the same protocol."""

import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SPARE_BYTES: Final = 256 * 1024 * 1024
_CHUNK: Final = 1024 * 1024


class OffsetError(Exception):
    """An upload goes on from another offset than the one it was sent for."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset


class ContentError(ValueError):
    """The bytes are complete and do not match their name; they were thrown away."""


class NoRoomError(OSError):
    """The disk is too full for the file."""


class Upload(Protocol):
    """One file on its way in, held by one request at a time."""

    offset: int

    def write(self, chunk: bytes) -> None:
        """Append; ``offset`` grows by the chunk."""

    def finish(self) -> None:
        """Check the whole against its name and keep it, durable on return.

        Raises:
            ContentError: it was another file; what came was removed.
        """


class EvidenceStore(Protocol):
    """Files by SHA-256. What is kept never changes."""

    def size(self, sha256: str) -> int | None:
        """Bytes of a kept file; None where it is not kept."""

    def received(self, sha256: str, sender: str) -> int:
        """Bytes of it that ``sender`` has uploaded so far. What was complete when the power went is kept here and now,
        so that a node never takes an unchecked file for a kept one."""

    def upload(self, sha256: str, sender: str, offset: int, length: int) -> contextlib.AbstractContextManager[Upload]:
        """Go on with an upload; what was written stays when the context ends early.

        Raises:
            OffsetError: ``offset`` is not where the upload stands, or another request is at it right now.
            NoRoomError: the file would fill the disk.
        """

    def local(self, sha256: str) -> Path | None:
        """A file to serve it from; None where it is not kept."""

    def forget(self, sha256: str) -> None:
        """Remove a kept file; nothing where it is not kept."""

    def forget_abandoned(self, older_than_s: float, now_s: float) -> int:
        """Remove uploads that nobody has gone on with for so long (``now_s`` as ``time.time()``); how many."""


class _DiskUpload:
    def __init__(self, file: io.BufferedRandom, partial: Path, kept: Path) -> None:
        self._file = file
        self._partial = partial
        self._kept = kept
        self.offset = file.seek(0, os.SEEK_END)

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self.offset += len(chunk)

    def finish(self) -> None:
        self._file.flush()
        self._file.seek(0)
        found = hashlib.file_digest(self._file, "sha256").hexdigest()
        if found != self._kept.name:
            self._partial.unlink()
            raise ContentError(f"the uploaded bytes have the SHA-256 {found}, not {self._kept.name}; upload again")
        os.fsync(self._file.fileno())
        self._kept.parent.mkdir(exist_ok=True)
        self._partial.rename(self._kept)
        for folder in (self._kept.parent, self._kept.parent.parent):
            _sync_folder(folder)


@dataclass(frozen=True)
class DiskStore:
    """``<folder>/<first two digits>/<sha256>``; uploads grow in ``<folder>/incoming``, one file a sender and hash, so
    that no node can spoil another's upload."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "incoming").mkdir(parents=True, exist_ok=True)

    def size(self, sha256: str) -> int | None:
        """Bytes of a kept file; None where it is not kept."""
        path = self.local(sha256)
        return None if path is None else path.stat().st_size

    def received(self, sha256: str, sender: str) -> int:
        """Bytes of it that ``sender`` has uploaded so far. See ``EvidenceStore.received``."""
        partial = self._partial(sha256, sender)
        try:
            with partial.open("r+b") as file:
                if _locked(file) and hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    _DiskUpload(file, partial, self._kept(sha256)).finish()
                return file.seek(0, os.SEEK_END)
        except FileNotFoundError:
            return self.size(sha256) or 0

    @contextlib.contextmanager
    def upload(self, sha256: str, sender: str, offset: int, length: int) -> Iterator[_DiskUpload]:
        """Go on with an upload. See ``EvidenceStore.upload``."""
        if shutil.disk_usage(self.folder).free < length - offset + _SPARE_BYTES:
            raise NoRoomError(
                f"{self.folder} has no room for {length} bytes more; make room there, the node tries again"
            )
        partial = self._partial(sha256, sender)
        with partial.open("a+b") as file:
            if not _locked(file):
                raise OffsetError(file.seek(0, os.SEEK_END), "another request is uploading this file")
            stands = file.seek(0, os.SEEK_END)
            if stands > length:
                file.truncate(0)
                stands = 0
            if stands != offset or not _same_file(file, partial):
                raise OffsetError(stands, f"the upload stands at {stands}, not at {offset}; go on from there")
            yield _DiskUpload(file, partial, self._kept(sha256))

    def local(self, sha256: str) -> Path | None:
        """A file to serve it from; None where it is not kept."""
        path = self._kept(sha256)
        return path if path.is_file() else None

    def forget(self, sha256: str) -> None:
        """Remove a kept file; nothing where it is not kept."""
        self._kept(sha256).unlink(missing_ok=True)

    def forget_abandoned(self, older_than_s: float, now_s: float) -> int:
        """Remove uploads that nobody has gone on with for so long (``now_s`` as ``time.time()``); how many."""
        gone = 0
        for partial in (self.folder / "incoming").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if partial.stat().st_mtime < now_s - older_than_s:
                    partial.unlink()
                    gone += 1
        return gone

    def _kept(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no SHA-256: 64 hexadecimal digits in lower case")
        return self.folder / sha256[:2] / sha256

    def _partial(self, sha256: str, sender: str) -> Path:
        self._kept(sha256)
        return self.folder / "incoming" / f"{sender.replace('/', '.')}.{sha256}"


def _locked(file: io.BufferedRandom) -> bool:
    """Take the file for this request alone, until it is closed; False where another one has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(file: io.BufferedRandom, path: Path) -> bool:
    """Whether ``path`` still names the open file: another request may have finished it before we had the lock."""
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
