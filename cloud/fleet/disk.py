"""Files that are whole or not there: written aside, forced to the disk, then renamed."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ASIDE: Final = ".new"


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put ``data`` at ``path``; after a power cut the old or the new content is there, never a part. Makes folders."""
    make_folder(path.parent)
    aside = path.with_name(path.name + _ASIDE)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    aside.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and what is missing above it, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in ``folder`` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writer(folder: Path) -> Iterator[None]:
    """The one writer of ``folder``, among all processes of the machine; waits for its turn."""
    make_folder(folder)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
