"""Files that show events, named by their content, until the cloud has them."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from contract.evidence import MAX_FILE_BYTES

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_PARTIAL: Final = ".partial-"
_CHUNK: Final = 1 << 20
SPARE_BYTES: Final = 64 << 20
"""Of the disk, left free: records come before pictures."""

_log = structlog.get_logger()


class EvidenceError(ValueError):
    """A file that cannot be kept as evidence; the text says why."""


class EvidenceFiles:
    """A folder of files named by their SHA-256. Any process of the node may add; delivery removes.

    Args:
        folder: made when missing.
        max_bytes: above this the oldest files go, whether the cloud has them or not; ``evicted`` counts them.
        disk_free: bytes free on the disk of a folder; below ``SPARE_BYTES`` the oldest files go, too.
    """

    def __init__(
        self, folder: Path, max_bytes: int, disk_free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    ) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.evicted = 0
        self._disk_free = disk_free
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, data: bytes | Path) -> tuple[str, int]:
        """Keep ``data``; a file given by its path is taken over (moved). Durable on return.

        Returns:
            The content's SHA-256 in hexadecimal and its length in bytes, as they stand in an ``Evidence`` record.

        Raises:
            EvidenceError: empty, or larger than the cloud takes.
            OSError: the disk is full or the file cannot be read; nothing is left behind.
        """
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        if not 0 < size <= MAX_FILE_BYTES:
            what = "evidence" if isinstance(data, bytes) else str(data)
            raise EvidenceError(f"{what} has {size} bytes; between 1 and {MAX_FILE_BYTES} can be kept")
        self._evict(self.max_bytes - size, size)
        partial = self.folder / f"{_PARTIAL}{os.getpid()}-{secrets.token_hex(8)}"
        try:
            sha256 = _write(partial, data)
            partial.rename(self.path(sha256))
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(self.folder)
        if isinstance(data, Path) and data != self.path(sha256):
            data.unlink(missing_ok=True)
        return sha256, size

    def path(self, sha256: str) -> Path:
        """Where the file of that name lies, or would lie.

        Raises:
            ValueError: not a SHA-256 in lower-case hexadecimal.
        """
        if not _NAME.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is not a SHA-256 in lower-case hexadecimal")
        return self.folder / sha256

    def remove(self, sha256: str) -> None:
        """Delete the file; nothing happens where it is gone already."""
        self.path(sha256).unlink(missing_ok=True)

    def total_bytes(self) -> int:
        """What all files take together."""
        return sum(size for _, size, _ in self._files())

    def sweep(self) -> None:
        """Delete what writers that died have left half written. Call it while nobody adds: at the start of the node."""
        for path in self.folder.glob(f"{_PARTIAL}*"):
            owner = path.name.removeprefix(_PARTIAL).split("-")[0]
            if not Path(f"/proc/{owner}").exists():
                path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[int, int, Path]]:
        """Modification time (ns), bytes and path of each file."""
        found = []
        for path in self.folder.iterdir():
            if _NAME.fullmatch(path.name):
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    found.append((stat.st_mtime_ns, stat.st_size, path))
        return found

    def _evict(self, most: int, needed: int) -> None:
        """Delete the oldest files until the rest takes ``most`` bytes and ``needed`` bytes find room on the disk.

        Raises:
            OSError: they do not, even with all files gone.
        """
        files = sorted(self._files(), reverse=True)
        total = sum(size for _, size, _ in files)
        while total > most or self._disk_free(self.folder) < SPARE_BYTES + needed:
            if not files:
                break
            _, size, path = files.pop()
            path.unlink(missing_ok=True)
            total -= size
            self.evicted += 1
            _log.warning("evidence.evicted", sha256=path.name, bytes=size, limit=self.max_bytes)
        if self._disk_free(self.folder) < SPARE_BYTES + needed:
            raise OSError(
                errno.ENOSPC, f"evidence of {needed} bytes has no room; make room on the disk", str(self.folder)
            )


def _write(target: Path, data: bytes | Path) -> str:
    """Write and fsync ``target``; the SHA-256 of what was written."""
    if isinstance(data, Path):
        try:
            data.rename(target)
        except OSError:  # another file system
            shutil.copyfile(data, target)
        os.utime(target)
        with target.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        return sha256
    with target.open("xb") as file:
        for start in range(0, len(data), _CHUNK):
            file.write(data[start : start + _CHUNK])
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(data).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
