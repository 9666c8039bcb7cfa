"""The JSON of the API: what a page, a terminal or somebody else's program reads. Fields are only ever added."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """Every answer of the API."""

    model_config = ConfigDict(frozen=True)


class Words(Shape):
    """The same in two languages; ``zh`` may be empty."""

    en: str
    zh: str


class DetectionShape(Shape):
    """A box in the picture that decided; fractions of its width and height."""

    label: str
    score: float
    box: tuple[float, float, float, float]
    track: int | None = None


class EvidenceShape(Shape):
    """A file that shows an event; ``stored`` says whether its bytes are here yet."""

    sha256: str
    role: str
    media_type: str
    bytes: int
    url: str
    time: datetime
    duration_s: float
    source: str
    detections: list[DetectionShape] = []
    """What the event saw in this very picture."""
    stored: bool


class ModelShape(Shape):
    """The model that saw it, exactly."""

    name: str
    version: str
    sha256: str


class StepShape(Shape):
    """What happened to a warning, by whom (a rule or a person) and when."""

    revision: int
    time: datetime
    action: str
    by: str
    note: str
    state: str
    severity: str
    cap: str | None
    """Type of the CAP message that went out with it."""


class WarningShape(Shape):
    """A warning and why."""

    id: str
    kind: str
    rule: str
    rule_version: str
    key: str
    severity: str
    state: str
    title: Words
    text: Words
    playbook: Words
    site: str
    node: str
    sources: list[str]
    episode: datetime
    raised: datetime
    changed: datetime
    cleared: datetime | None
    condition: str
    values: dict[str, float | int | str | bool | None]
    events: list[str]
    evidence: list[EvidenceShape]
    detections: list[DetectionShape]
    model: ModelShape | None
    captured: int | None
    """Capture time of the frame that decided, microseconds since 1970 UTC."""
    detected: int | None
    """When the detector or sensor gave the result, microseconds since 1970 UTC."""
    acknowledged_by: str
    assigned_to: str
    past: bool
    revision: int


class WholeWarning(WarningShape):
    """A warning with its history and the signals that made it."""

    steps: list[StepShape]
    signals: list[dict[str, Any]]


class EventShape(Shape):
    """Something an analyzer said happened, at its latest revision."""

    id: str
    site: str
    node: str
    source: str
    kind: str
    phase: str
    revision: int
    time: datetime
    started: datetime
    zone: str
    score: float
    model: ModelShape | None
    detections: list[DetectionShape]
    attrs: dict[str, Any]
    detected: datetime | None
    lane: str
    replaced: bool = False
    """Whether the times are not those that the node told: its clock was wrong."""


class ReadingShape(Shape):
    """A number from a source."""

    site: str
    node: str
    source: str
    quantity: str
    unit: str
    value: float
    quality: str
    time: datetime


class PointShape(Shape):
    """Readings from ``time`` to before ``until`` (at ``time`` where they are the same), or a summary for them.

    ``count`` of them gave the figures, which are null where there is none; ``bad`` more could not be trusted.
    """

    time: datetime
    until: datetime
    count: int
    bad: int
    min: float | None
    max: float | None
    mean: float | None
    last: float | None
    quality: str
    """The worst among them."""


class ChartShape(Shape):
    """One series over a time; ``detail`` says what its points were made from."""

    site: str
    node: str
    source: str
    quantity: str
    unit: str
    since: datetime
    until: datetime
    detail: Literal["reading", "minute", "hour", "day"]
    points: list[PointShape]


class NodeShape(Shape):
    """A node and how it is; ``sources``, ``models`` and ``parts`` are those of its last health report."""

    site: str
    node: str
    partition: int
    online: bool
    software: str
    state_time: datetime | None
    health_time: datetime | None
    uptime_s: float
    outbox_waiting: int
    outbox_bytes: int
    heartbeat: datetime | None = None
    """The last one that came the whole way, through database and rules; None from a node that has none."""
    clock_ahead_s: float | None = None
    """How far its clock is ahead of ours, below 0 where it is behind; None where nobody can tell."""
    readings_thinned: int = 0
    """Readings that gave way to summaries for want of room on the box."""
    uploads_lost: int = 0
    """Evidence files that the box gave up."""
    sources: list[dict[str, Any]]
    models: list[dict[str, Any]]
    parts: list[dict[str, Any]]


class Changes(Shape):
    """A message of the live feed. A snapshot replaces what the receiver has, changes are folded into it."""

    type: Literal["snapshot", "changes"]
    cursor: int
    warnings: list[WarningShape]
    readings: list[ReadingShape]
    nodes: list[NodeShape]
