"""A machine whose power is cut at the n-th write to the disk.

Stands in for the module ``os`` and for ``Path``'s renames. What was written and not forced to the disk is cut to half;
a name that was changed in a folder that was not forced goes back to what it was: the worst a file system may do.
"""

import os as real
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class PowerCutError(BaseException):
    """The power is gone; nothing catches this."""


class Cutter:
    """Counts what changes the disk, and cuts before number ``at``."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.count = 0
        self._unforced: dict[int, Path] = {}
        self._names: list[tuple[Path, Path, bytes | None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        """As ``os.open``."""
        if flags & real.O_CREAT:
            self.step()
        descriptor = real.open(path, flags, mode)
        if flags & real.O_CREAT and not str(path).endswith("lock"):
            self._unforced[descriptor] = Path(path)
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        """As ``os.write``, a part at a time."""
        self.step()
        return real.write(descriptor, bytes(data)[: max(1, len(data) // 2)])

    def fsync(self, descriptor: int) -> None:
        """As ``os.fsync``."""
        self.step()
        self._unforced.pop(descriptor, None)
        folder = Path(f"/proc/self/fd/{descriptor}").readlink()
        self._names = [change for change in self._names if change[1].parent != folder]

    def replace(self, source: Path, target: Path) -> None:
        """As ``Path.replace``."""
        self.step()
        before = target.read_bytes() if target.is_file() else None
        real.replace(source, target)  # noqa: PTH105 - Path.replace leads back here
        self._names.append((source, target, before))

    def step(self) -> None:
        """One more change of the disk."""
        self.count += 1
        if self.count == self._at:
            self._lose()
            raise PowerCutError

    def _lose(self) -> None:
        for path in self._unforced.values():
            if path.exists():
                real.truncate(path, path.stat().st_size // 2)
        for source, target, before in reversed(self._names):
            if target.is_dir():
                shutil.move(target, source)
            elif before is None:
                target.unlink(missing_ok=True)
            else:
                target.write_bytes(before)


@contextmanager
def cut(module: str, at: int) -> Iterator[Cutter]:
    """Cut the power at the ``at``-th change that ``module`` makes; 0 never."""
    cutter = Cutter(at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{module}.os", cutter)
        patch.setattr(Path, "replace", lambda self, target: cutter.replace(self, Path(target)))
        patch.setattr(Path, "rename", lambda self, target: cutter.replace(self, Path(target)))
        yield cutter
