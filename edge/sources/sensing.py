"""The sensing process: all buses, a thread each; readings and gas alarms straight to the outbox.

It needs no other part of the node but the outbox's file: with vision dead, gas still raises its alarm.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from contract.ids import Micros
from contract.records import Event, Record
from edge.analyzers.events import EventIds, close_orphan, random_id
from edge.config import NodeConfig, Sensor
from edge.delivery.desk import RecordDesk
from edge.delivery.outbox import Outbox
from edge.notices import Notices, RecordsWaiting
from edge.paths import NodePaths
from edge.sources import bus
from edge.sources.replay import load_rows, step_s
from edge.sources.sensor import Failure, Sample, SensorError
from edge.sources.sensor_watch import SensorWatch
from edge.supervisor.status import PartStatus

_log = structlog.get_logger()
_TURN_S: Final = 0.25
_CHECK_S: Final = 1.0
_MOST_WAITING: Final = 10_000


def run(
    config: NodeConfig,
    paths: NodePaths,
    stop: threading.Event,
    status: PartStatus,
    *,
    clock: Callable[[], Micros] = lambda: time.time_ns() // 1000,
    monotonic: Callable[[], float] = time.monotonic,
    ids: EventIds = random_id,
) -> None:
    """Read all sensors until ``stop`` is set."""
    # Its complaints about a device that is away would come at every try; ours come once.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    notices = Notices(paths.run, "sensing")
    outbox = Outbox(paths.outbox, config.storage.outbox_bytes, clock)
    arrivals: queue.Queue[Sample | Failure] = queue.Queue(_MOST_WAITING)
    try:
        desk = RecordDesk(outbox, lambda: notices.send("delivery", RecordsWaiting()))
        sensing = Sensing(config, outbox.open_events(), clock, monotonic, ids)
        desk.add(sensing.orphans())
        threads = bus.start(config.sensors, arrivals.put, stop)
        checked = float("-inf")
        while not stop.is_set():
            for arrival in _drain(arrivals):
                desk.add(sensing.take(arrival))
            if monotonic() - checked >= _CHECK_S:
                checked = monotonic()
                desk.add(sensing.check())
                detail = sensing.detail() | {"readings_thinned": desk.thinned}
                status.beat(detail, "degraded" if desk.problem else "ok", desk.problem)
            desk.flush()
            dead = [thread.name for thread in threads if not thread.is_alive() and not stop.is_set()]
            if dead:
                raise RuntimeError(f"the thread of {dead[0]} has ended; its error stands above")
        desk.flush()
    finally:
        outbox.close()
        notices.close()


class Sensing:
    """All sensors of the node.

    Args:
        config: of the node.
        opened: events that an earlier run left open.
        clock: microseconds since 1970.
        monotonic: seconds.
        ids: names for events.
    """

    def __init__(
        self,
        config: NodeConfig,
        opened: list[Event],
        clock: Callable[[], Micros],
        monotonic: Callable[[], float],
        ids: EventIds,
    ) -> None:
        self._config, self._opened, self._clock, self._monotonic = config, opened, clock, monotonic
        now = monotonic()
        self._watches = {
            name: SensorWatch(name, sensor, opened, ids, now, _period(name, sensor))
            for name, sensor in config.sensors.items()
        }

    def take(self, arrival: Sample | Failure) -> list[Record]:
        """What a bus found."""
        watch = self._watches[arrival.sensor]
        if isinstance(arrival, Sample):
            return _told(watch.take(arrival, self._monotonic()))
        known = watch.health(self._monotonic()).reason
        if known != arrival.reason:
            _log.error("sensor.down", sensor=arrival.sensor, reason=arrival.reason)
        return _told(watch.fail(arrival))

    def check(self) -> list[Record]:
        """Time has passed."""
        now_s, now = self._monotonic(), self._clock()
        return _told([event for watch in self._watches.values() for event in watch.check(now_s, now)])

    def orphans(self) -> list[Record]:
        """Closes the gas events of sensors, channels and alarms that are not in the settings any more."""
        mine = {event.id for watch in self._watches.values() for event in watch.open_events()}
        gone = [event for event in self._opened if event.kind == "gas" and event.id not in mine]
        return _told([close_orphan(event, self._clock(), "it is no longer watched for") for event in gone])

    def detail(self) -> dict[str, object]:
        """``sources``: a ``SourceHealth`` for each."""
        now = self._monotonic()
        return {"sources": [watch.health(now) for watch in self._watches.values()]}


def _period(name: str, sensor: Sensor) -> float:
    if sensor.kind == "modbus":
        return sensor.every_s
    try:
        return step_s(load_rows(name, sensor))
    except SensorError:
        return sensor.every_s


def _drain(arrivals: "queue.Queue[Sample | Failure]") -> list[Sample | Failure]:
    """All that has come; waits a little for the first."""
    found = []
    try:
        found.append(arrivals.get(timeout=_TURN_S))
        while True:
            found.append(arrivals.get_nowait())
    except queue.Empty:
        return found


def _told(records: list[Record] | list[Event]) -> list[Record]:
    for record in records:
        if isinstance(record, Event):
            _log.info(
                "event.told", kind=record.kind, phase=record.phase.value, source=record.source, event_id=record.id
            )
    return list(records)
