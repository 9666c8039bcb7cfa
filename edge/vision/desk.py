"""What vision has to say, on its way to the outbox: nothing that was seen is dropped because a disk was full."""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from contract.records import Reading, Record
from edge.delivery.outbox import Outbox
from edge.delivery.schema import OutboxError

log = structlog.get_logger()

MAX_WAITING: Final = 10_000
"""Records kept in memory while the outbox takes none; beyond that the oldest readings go, and are counted."""


class RecordDesk:
    """Gathers records and appends them, in order; what the outbox does not take is tried again.

    Args:
        outbox: of the node.
        woken: called after each append, to wake delivery.
    """

    def __init__(self, outbox: Outbox, woken: Callable[[], object]) -> None:
        self._outbox, self._woken = outbox, woken
        self._waiting: list[Record] = []
        self.dropped = 0
        """Readings that found no room."""
        self.problem = ""
        """Why the outbox takes nothing; empty while it does."""

    def add(self, records: Sequence[Record]) -> None:
        """Keep the records for the next ``flush``."""
        self._waiting += records
        if len(self._waiting) > MAX_WAITING:
            self._thin()

    def flush(self) -> bool:
        """Append all that waits, in one go; on the disk when this returns True. False where the outbox takes none."""
        if not self._waiting:
            return True
        try:
            self._outbox.append(self._waiting)
        except OutboxError as error:
            if not self.problem:
                log.error("records not kept", waiting=len(self._waiting), reason=str(error))
            self.problem = str(error)
            return False
        self._waiting, self.problem = [], ""
        self._woken()
        return True

    def _thin(self) -> None:
        surplus = len(self._waiting) - MAX_WAITING
        kept: list[Record] = []
        for record in self._waiting:
            if surplus > 0 and isinstance(record, Reading):
                surplus -= 1
                self.dropped += 1
                continue
            kept.append(record)
        self._waiting = kept
