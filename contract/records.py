"""Records: what a node sends to the cloud, and which lane each travels in.

Fields are only ever added, with defaults; a decoder skips those it does not know.
"""

from enum import StrEnum

import msgspec

from contract.detections import Detection
from contract.ids import Id, Micros

Scalar = str | float | int | bool


class Lane(StrEnum):
    """A queue of its own, with numbers of its own: an alarm never waits behind bulk."""

    ALARM = "alarm"
    LIVE = "live"
    BACKLOG = "backlog"


class Quality(StrEnum):
    """How far a reading can be trusted, after the OPC UA status classes good, uncertain and bad."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Phase(StrEnum):
    """Where an event stands in its life."""

    OPEN = "open"
    CHANGE = "change"
    CLOSE = "close"


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    """The model that saw it, exactly: the artefact's SHA-256 tells two builds of one version apart."""

    name: str
    version: str
    sha256: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="reading"):
    """A number from a source, measured or computed. ``value`` is finite: what could not be read has quality ``bad``."""

    time: Micros
    source: Id
    quantity: str
    """What is measured: ``co``, ``temperature``, ``person-count``."""
    value: float
    unit: str = ""
    """UCUM code: ``[ppm]``, ``Cel``, ``%``, ``{persons}``."""
    quality: Quality = Quality.GOOD


class Summary(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="summary"):
    """Stands for ``count`` readings of one series that a full disk forced out, of ``time`` to ``until``."""

    time: Micros
    until: Micros
    source: Id
    quantity: str
    unit: str = ""
    count: int
    min: float
    max: float
    mean: float
    last: float
    quality: Quality = Quality.GOOD


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="event"):
    """Something an analyzer says happened. The same ``id`` is sent when it opens, changes and closes; the highest
    ``revision`` is what holds."""

    id: str
    kind: str
    """``fire``, ``smoke``, ``gas``, ``crowd``, ``tamper``, ``blind``."""
    phase: Phase
    revision: int
    time: Micros
    """When this revision was made: for what was seen, the capture time of the frame that decided it."""
    started: Micros
    source: Id
    zone: str = ""
    score: float = 1.0
    """How sure the analyzer is, 0 to 1."""
    model: ModelRef | None = None
    detections: tuple[Detection, ...] = ()
    attrs: dict[str, Scalar] = {}
    """What the analyzer measured: names are ``snake_case``; units stand in the name (``co_ppm``, ``area_share``)."""
    detected: Micros | None = None
    """When the detector or sensor gave the result, for the delay from there on."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="evidence"):
    """A file that shows an event, named by its SHA-256; the bytes travel over HTTPS, not in here."""

    event: str
    sha256: str
    bytes: int
    media_type: str
    """``image/jpeg``, ``video/mp4``."""
    role: str
    """``snapshot`` or ``clip``."""
    source: Id
    time: Micros
    """The capture time of the picture, or of the clip's first frame."""
    duration_s: float = 0.0
    detections: tuple[Detection, ...] = ()
    """What the event saw in this very picture; an event that goes on sees other boxes later."""


class SourceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One camera or sensor. ``state``: ``ok``, ``starting``, ``degraded``, ``down``."""

    source: Id
    kind: str
    state: str
    reason: str = ""
    rate_hz: float = 0.0
    """Frames or readings a second over the last period."""
    dropped: int = 0
    """Frames that were never looked at, since the part started."""
    age_s: float = -1.0
    """Since the last frame or reading; -1 where there was none."""
    title: str = ""
    note: str = ""
    """What people must know of it: that its pictures are drawn, that its readings are replayed."""


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the node."""

    part: str
    state: str
    restarts: int = 0
    reason: str = ""


class ModelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The release in use for one detector, and how the last switch went."""

    name: str
    version: str
    sha256: str = ""
    state: str = "active"
    """``active``, ``refused`` or ``rolled-back``: the last two name in ``reason`` what happened to ``offered``."""
    offered: str = ""
    reason: str = ""
    latency_ms: float = 0.0


class Health(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="health"):
    """How a node is, every ten seconds; its absence is itself a sign."""

    time: Micros
    software: str = ""
    uptime_s: float = 0.0
    sources: tuple[SourceHealth, ...] = ()
    parts: tuple[PartHealth, ...] = ()
    models: tuple[ModelHealth, ...] = ()
    outbox_waiting: int = 0
    outbox_bytes: int = 0
    clock_ahead_s: float | None = None
    """How far the node's clock is ahead of the cloud's, below 0 where it is behind; None where nobody can tell."""
    readings_thinned: int = 0
    """Readings that gave way to summaries for want of room, since the outbox was made or the part began."""
    uploads_lost: int = 0
    """Evidence files that were given up, since the outbox was made: refused too often, or gone from the disk."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="heartbeat"):
    """Says nothing, once a minute, and goes the whole way of a reading: outbox, broker, database, rules, page. The age
    of the last one that came through is how blind the whole is."""

    time: Micros
    number: int
    """Counts from 1 since the node started."""


Record = Reading | Summary | Event | Evidence | Health | Heartbeat


def lane_of(record: Record) -> Lane:
    """The lane a fresh record travels in."""
    return Lane.ALARM if isinstance(record, Event | Evidence) else Lane.LIVE
