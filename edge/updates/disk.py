"""Files and folders that are whole or not there, whenever the power is cut."""

import os
import shutil
from pathlib import Path
from typing import Final

_ASIDE: Final = ".new"


def write_file(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``; after a power cut the old or the new content is there, never a part. Makes folders."""
    make_folder(path.parent)
    aside = path.with_name(path.name + _ASIDE)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    aside.replace(path)
    sync(path.parent)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and what is missing above it, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Force a file's content, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Force everything in ``folder`` to the disk, and the names in it."""
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink():
            sync(path)
    sync(folder)


def move_folder(source: Path, target: Path) -> None:
    """Let ``source``, forced to the disk before, take the place of ``target``, which may exist."""
    make_folder(target.parent)
    if target.exists():
        away = target.with_name(target.name + ".old")
        shutil.rmtree(away, ignore_errors=True)
        target.rename(away)
        source.rename(target)
        sync(target.parent)
        shutil.rmtree(away, ignore_errors=True)
    else:
        source.rename(target)
        sync(target.parent)
