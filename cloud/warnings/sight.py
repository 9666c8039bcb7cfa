"""What the detector saw when a rule spoke: read from the events that the signal names."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from cloud.store.times import micros
from cloud.warnings.warning import NOTHING_SEEN, Seen
from contract.detections import Detection
from contract.records import ModelRef
from rules.signal import Signal


def look(connection: psycopg.Connection[Any], signal: Signal) -> Seen:
    """The newest picture among the signal's events, one with detections before one without.

    An event is looked for only at the nodes that the signal names as its sources: ids are a node's own.
    """
    if not signal.events:
        return NOTHING_SEEN
    places = {tuple(source.split("/")[:2]) for source in signal.sources if source.count("/") >= 1}
    rows = connection.execute(
        "SELECT site, node, detections, model, time, detected FROM event WHERE id = ANY(%s) "
        "ORDER BY detections = '[]', time DESC",
        [list(signal.events)],
    )
    for site, node, detections, model, time, detected in rows:
        if not places or (site, node) in places:
            return _seen(detections, model, micros(time), detected and micros(detected))
    return NOTHING_SEEN


def _seen(detections: Sequence[object], model: object, captured: int, detected: int | None) -> Seen:
    return Seen(
        detections=msgspec.convert(detections, tuple[Detection, ...]),
        model=None if model is None else msgspec.convert(model, ModelRef),
        captured=captured,
        detected=detected,
    )
