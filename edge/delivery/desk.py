"""What a part has to say, on its way to the outbox: nothing that was seen is dropped because a disk was full."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from contract.records import Event, Evidence, Lane, Reading, Record, Summary, lane_of
from contract.wire import encode_record
from edge.delivery.outbox import MAX_RECORD_BYTES, Outbox
from edge.delivery.schema import OutboxError
from edge.delivery.thinning import SPANS_US, merge, series_of

log = structlog.get_logger()

_MANY: Final = 500
MAX_WAITING: Final = 10_000
"""Records kept in memory while the outbox takes none; beyond that readings give way to summaries of them."""


class RecordDesk:
    """Gathers records and appends them, in order; what the outbox does not take is tried again.

    Args:
        outbox: of the node.
        woken: called after each append, to wake delivery.
    """

    def __init__(self, outbox: Outbox, woken: Callable[[], object]) -> None:
        self._outbox, self._woken = outbox, woken
        self._waiting: list[Record] = []
        self.thinned = 0
        """Readings that found no room, and that a summary stands for."""
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
        """Summaries of a minute in place of readings, where that is not enough of an hour, then of a day; down to half
        of what may wait, so that it does not begin again at the next reading."""
        for span in SPANS_US:
            self._waiting = self._summed(span)
            if len(self._waiting) <= MAX_WAITING // 2:
                return

    def _summed(self, span: int) -> list[Record]:
        groups: dict[tuple[str, ...], list[Reading | Summary]] = {}
        places: dict[tuple[str, ...], int] = {}
        for place, record in enumerate(self._waiting):
            if isinstance(record, Reading | Summary):
                key = series_of(record, span)
                groups.setdefault(key, []).append(record)
                places[key] = place
        # A summary stands where the last of its readings stood; a reading alone stays what it is.
        sums = {places[key]: members[0] if len(members) == 1 else merge(members) for key, members in groups.items()}
        self.thinned += sum(isinstance(r, Reading) for members in groups.values() if len(members) > 1 for r in members)
        return [
            sums.get(place, record)
            for place, record in enumerate(self._waiting)
            if place in sums or not isinstance(record, Reading | Summary)
        ]


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
