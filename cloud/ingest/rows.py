"""Records as rows of their tables. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, NamedTuple

import msgspec

from cloud.ingest.clocks import believable
from cloud.ingest.journal import BINARY_HEADER, BINARY_TRAILER
from cloud.store.buckets import Bucket, Key, gather
from cloud.store.codes import LANE_CODE, QUALITY_CODE
from cloud.store.times import POSTGRES_EPOCH, moment
from contract.ids import Micros
from contract.records import Event, Evidence, Health, Lane, Phase, Reading, Record, Summary

_READING: Final = Struct("!hiqiiidihihiqi?i?")
"""Eight fields, each with its length: time, series, value, quality, lane, arrived, replaced, late."""


class Series(NamedTuple):
    """What readings of one kind from one source belong to."""

    site: str
    node: str
    source: str
    quantity: str
    unit: str


@dataclass(slots=True)
class Newest:
    """The newest reading of a series in this transaction."""

    time: Micros
    value: float
    quality: int
    lane: int
    arrived: Micros


@dataclass(frozen=True, slots=True)
class Thinned:
    """A summary, ``figures`` being its least, greatest, mean and last."""

    time: Micros
    until: Micros
    count: int
    figures: tuple[float, float, float, float]
    quality: int
    lane: int
    arrived: Micros


@dataclass
class Rows:
    """What one transaction writes, table by table."""

    readings: list[tuple[Series, Micros, float, int, int, Micros, bool]] = field(default_factory=list)
    newest: dict[Series, Newest] = field(default_factory=dict)
    fresh: dict[str, set[Series]] = field(default_factory=dict)
    """By ``site/node``: the series that got readings outside the backlog."""
    summaries: list[tuple[Series, Thinned]] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)
    evidence: list[tuple[object, ...]] = field(default_factory=list)
    health: dict[tuple[str, str], tuple[Micros, Health]] = field(default_factory=dict)
    changed_events: set[str] = field(default_factory=set)
    ended: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    """By site and node: events of the backlog that are over, for the past warnings."""

    def add(self, site: str, node: str, lane: Lane, arrived: Micros, record: Record, shifted: bool = False) -> None:
        """Take in a record that ``cloud.ingest.records`` finds fit. ``shifted``: its node's clock was wrong, and its
        times are not those that the node told."""
        if isinstance(record, Reading):
            self._reading(site, node, lane, arrived, record, shifted)
        elif isinstance(record, Event):
            self._event(site, node, lane, arrived, record, shifted)
        elif isinstance(record, Health):
            time = believable(record.time, arrived)
            known = self.health.get((site, node))
            if known is None or known[0] <= time:
                self.health[site, node] = time, record
        elif isinstance(record, Evidence):
            self._evidence(site, node, arrived, record)
        elif isinstance(record, Summary):
            self._summary(site, node, lane, arrived, record)

    def binary_readings(self, ids: dict[Series, int], horizon: Micros) -> Iterator[bytes]:
        """The readings as PostgreSQL's binary COPY format takes them, in pieces; those before ``horizon`` are late."""
        pack = _READING.pack
        yield BINARY_HEADER
        yield b"".join(
            pack(8, 8, time - POSTGRES_EPOCH, 4, ids[series], 8, value, 2, quality, 2, lane,
                 8, arrived - POSTGRES_EPOCH, 1, replaced, 1, time < horizon)
            for series, time, value, quality, lane, arrived, replaced in self.readings
        )  # fmt: skip
        yield BINARY_TRAILER

    def parts(self, ids: dict[Series, int], horizon: Micros) -> dict[Key, Bucket]:
        """What must be added to rollups: readings before ``horizon``, and summaries."""
        return gather(
            (
                (ids[series], time, value, quality)
                for series, time, value, quality, *_ in self.readings
                if time < horizon
            ),
            ((ids[series], one.time, one.until, one.count, one.figures, one.quality) for series, one in self.summaries),
        )

    def series(self) -> set[Series]:
        """Every series that a row belongs to."""
        return set(self.newest) | {series for series, _ in self.summaries}

    def _reading(self, site: str, node: str, lane: Lane, arrived: Micros, record: Reading, shifted: bool) -> None:
        series = Series(site, node, record.source, record.quantity, record.unit)
        time = believable(record.time, arrived)
        quality, code = QUALITY_CODE[record.quality], LANE_CODE[lane]
        replaced = shifted or time != record.time
        self.readings.append((series, time, record.value, quality, code, arrived, replaced))
        known = self.newest.get(series)
        if known is None or known.time <= time:
            self.newest[series] = Newest(time, record.value, quality, code, arrived)
        if lane is not Lane.BACKLOG:
            self.fresh.setdefault(f"{site}/{node}", set()).add(series)

    def _summary(self, site: str, node: str, lane: Lane, arrived: Micros, record: Summary) -> None:
        series = Series(site, node, record.source, record.quantity, record.unit)
        self.summaries.append(
            (
                series,
                Thinned(
                    believable(record.time, arrived), believable(record.until, arrived), record.count,
                    (record.min, record.max, record.mean, record.last), QUALITY_CODE[record.quality],
                    LANE_CODE[lane], arrived,
                ),
            )
        )  # fmt: skip

    def _event(self, site: str, node: str, lane: Lane, arrived: Micros, record: Event, shifted: bool) -> None:
        time = believable(record.time, arrived)
        self.events.append(
            (
                site, node, record.id, record.source, record.kind, str(record.phase), record.revision, moment(time),
                moment(believable(record.started, arrived)), record.zone, record.score,
                None if record.model is None else _json(record.model), _json(record.detections), _json(record.attrs),
                None if record.detected is None else moment(believable(record.detected, arrived)), LANE_CODE[lane],
                moment(arrived), shifted or time != record.time,
            )
        )  # fmt: skip
        self.changed_events.add(f"{site}/{node}/{record.id}")
        if lane is Lane.BACKLOG and record.phase is Phase.CLOSE:
            self.ended.setdefault((site, node), []).append(record)

    def _evidence(self, site: str, node: str, arrived: Micros, record: Evidence) -> None:
        self.evidence.append(
            (
                site, node, record.event, record.sha256, record.bytes, record.media_type, record.role, record.source,
                moment(believable(record.time, arrived)), record.duration_s, moment(arrived),
                _json(record.detections),
            )
        )  # fmt: skip
        self.changed_events.add(f"{site}/{node}/{record.event}")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
