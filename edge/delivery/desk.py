"""What a part has to say, on its way to the outbox: nothing that was seen is dropped because a disk was full."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from contract.records import Event, Evidence, Lane, Reading, Record, lane_of
from contract.wire import encode_record
from edge.delivery.outbox import MAX_RECORD_BYTES, Outbox
from edge.delivery.schema import OutboxError

log = structlog.get_logger()

_MANY: Final = 500
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
        self._waiting += [_fitted(record) for record in records]
        if len(self._waiting) > MAX_WAITING:
            self._thin()

    def flush(self) -> bool:
        """Append all that waits, in one go; on the disk when this returns True. False where the outbox takes not all.

        Where there is no room for readings there may be some for alarms: these do not wait for the others.
        """
        if not self._waiting:
            return True
        try:
            self._outbox.append(self._waiting)
        except OutboxError as error:
            self._keep_alarms()
            if not self.problem:
                log.error("records not kept", waiting=len(self._waiting), reason=str(error))
            self.problem = str(error)
            return False
        self._waiting, self.problem = [], ""
        self._woken()
        return True

    def _keep_alarms(self) -> None:
        alarms = [record for record in self._waiting if lane_of(record) is Lane.ALARM]
        if not alarms or len(alarms) == len(self._waiting):
            return
        try:
            self._outbox.append(alarms)
        except OutboxError:
            return
        self._waiting = [record for record in self._waiting if lane_of(record) is not Lane.ALARM]
        self._woken()

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


def _fitted(record: Record) -> Record:
    """A whole crowd can have more boxes than a message carries: the least sure ones stay behind, and an event's
    ``boxes_left_out`` says how many. What was counted stands in ``attrs`` and is not touched."""
    if not isinstance(record, Event | Evidence) or len(record.detections) < _MANY:
        return record
    boxes = sorted(record.detections, key=lambda item: -item.score)
    fitted: Event | Evidence = record
    while len(encode_record(fitted)) > MAX_RECORD_BYTES:
        boxes = boxes[: len(boxes) * 3 // 4]
        fitted = msgspec.structs.replace(record, detections=tuple(boxes))
        if isinstance(fitted, Event):
            left_out = len(record.detections) - len(boxes)
            fitted = msgspec.structs.replace(fitted, attrs=fitted.attrs | {"boxes_left_out": left_out})
    return fitted
