"""Room on the disk: how much bulk may still take, and a reserve for the moment when others have filled it."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from edge.delivery.thinning import free_bytes, used_bytes

SPARE_BYTES: Final = 16 << 20
"""Of the disk, not for readings: alarms, the write-ahead log and its way back into the file need it."""
RESERVE_BYTES: Final = 8 << 20
"""A file of this size is given up when the disk is full all the same: thinning writes before it frees anything, at most
SQLite's log of 1,000 pages twice."""


class Room:
    """The room of one outbox.

    Args:
        outbox: the SQLite file; the reserve lies beside it.
        max_bytes: what the records may take.
    """

    def __init__(self, outbox: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._reserve = outbox.with_name(outbox.name + ".reserve")

    def for_bulk(self, connection: sqlite3.Connection) -> int:
        """Bytes that readings may still take: up to the limit, and of the disk either the file's own free pages or
        what lies above ``SPARE_BYTES``."""
        disk = max(self._disk_free() - SPARE_BYTES, 0) + free_bytes(connection)
        return min(self.max_bytes - used_bytes(connection), disk)

    def give_reserve(self) -> bool:
        """Give the reserve up; False where it is gone already."""
        try:
            self._reserve.unlink()
        except FileNotFoundError:
            return False
        return True

    def keep_reserve(self) -> None:
        """Make it anew, as soon as there is plenty of room."""
        if self._reserve.exists() or self._disk_free() < SPARE_BYTES + 2 * RESERVE_BYTES:
            return
        with contextlib.suppress(OSError), self._reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)

    def _disk_free(self) -> int:
        return shutil.disk_usage(self._reserve.parent).free
