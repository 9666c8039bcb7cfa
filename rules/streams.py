"""Streams: what a rule can listen to, and the fields of each.

``reading.co``, ``event.fire``, ``health.node``, ``health.source``, ``health.part``, ``health.model``, ``health.beat``,
``notice.deaf``; ``.*`` takes every quantity or kind; a further ``.field`` names the field that a window takes
(``event.gas.attrs.value``).
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.records import Event, Health, Heartbeat, ModelHealth, PartHealth, Phase, Reading, Scalar, SourceHealth
from rules.entry import Notice
from rules.expression import Kind
from rules.signals.window import Value

Item = Reading | Event | Health | SourceHealth | PartHealth | ModelHealth | Heartbeat | Notice


@dataclass(frozen=True)
class Stream:
    """A kind of item: its fields by name, and the one a window takes when none is named."""

    fields: Mapping[str, Kind]
    default: str = ""


_NUMBER, _COUNT, _TEXT = Kind.NUMBER, Kind.COUNT, Kind.TEXT
STREAMS: Final[Mapping[str, Stream]] = {
    "reading": Stream({"value": _NUMBER, "quality": _TEXT, "unit": _TEXT, "quantity": _TEXT, "source": _TEXT}, "value"),
    "event": Stream(
        {
            "score": _NUMBER,
            "kind": _TEXT,
            "phase": _TEXT,
            "zone": _TEXT,
            "source": _TEXT,
            "id": _TEXT,
            "attrs": Kind.ATTRIBUTES,
        },
        "score",
    ),
    "health.node": Stream(
        {
            "uptime_s": _NUMBER,
            "outbox_waiting": _COUNT,
            "outbox_bytes": _COUNT,
            "software": _TEXT,
            "clock_ahead_s": _NUMBER,
            "readings_thinned": _COUNT,
            "uploads_lost": _COUNT,
        },
        "uptime_s",
    ),
    "health.source": Stream(
        {
            "source": _TEXT,
            "kind": _TEXT,
            "state": _TEXT,
            "reason": _TEXT,
            "rate_hz": _NUMBER,
            "dropped": _COUNT,
            "age_s": _NUMBER,
        },
        "state",
    ),
    "health.part": Stream({"part": _TEXT, "state": _TEXT, "restarts": _COUNT, "reason": _TEXT}, "state"),
    "health.model": Stream(
        {
            "name": _TEXT,
            "version": _TEXT,
            "state": _TEXT,
            "offered": _TEXT,
            "reason": _TEXT,
            "latency_ms": _NUMBER,
        },
        "state",
    ),
    "health.beat": Stream({"number": _COUNT}, "number"),
    "notice": Stream({"kind": _TEXT}, "kind"),
}
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Selector:
    """A stream, the quantity or kind in it (``*`` for all; empty for health), and the field a window takes."""

    stream: str
    name: str
    field: str
    kind: Kind
    """What the field is; attributes may be any, and are numbers unless the window says otherwise."""

    @property
    def attribute(self) -> str:
        """The attribute of an event, where the field is one."""
        return self.field.removeprefix("attrs.") if self.field.startswith("attrs.") else ""

    def reader(self, kind: Kind) -> Callable[[Item], Value | None]:
        """How to read the field as a ``kind``; what it reads is None where it is missing or something else."""
        field, attribute = self.field, self.attribute
        if attribute:
            return lambda item: as_kind(item.attrs.get(attribute), kind) if isinstance(item, Event) else None
        if self.stream == "reading" and field == "value" and kind is Kind.NUMBER:
            return lambda item: float(item.value) if isinstance(item, Reading) else None
        return lambda item: as_kind(getattr(item, field), kind)


def parse_selector(text: object) -> Selector:
    """``"event.gas.attrs.value"`` as a selector.

    Raises:
        ValueError: no such stream or field; names the nearest known one.
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not something to listen to; write reading.co, event.fire or health.node")
    parts = text.split(".")
    name = ".".join(parts[:2]) if parts[0] == "health" else parts[0]
    stream = STREAMS.get(name)
    if stream is None:
        near = difflib.get_close_matches(name, list(STREAMS), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(STREAMS)}"
        raise ValueError(f"{text!r} begins with no known stream; {hint}")
    if len(parts) < 2 or not all(parts):
        what = "quantity" if name == "reading" else "kind"
        raise ValueError(f"{text!r} names no {what}; write {name}.NAME or {name}.*")
    item, field = ("", ".".join(parts[2:])) if parts[0] == "health" else (parts[1], ".".join(parts[2:]))
    field = field or stream.default
    if name == "event" and field.startswith("attrs."):
        return Selector(name, item, field, Kind.NUMBER)
    kind = stream.fields.get(field)
    if kind is None or kind is Kind.ATTRIBUTES:
        known = [known for known, of in stream.fields.items() if of is not Kind.ATTRIBUTES]
        near = difflib.get_close_matches(field, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        if name == "event":
            hint += " (what an analyzer measured is written attrs.NAME)"
        raise ValueError(f"{text!r}: {name} has no field {field!r}; {hint}")
    return Selector(name, item, field, kind)


def as_kind(value: object, kind: Kind) -> Value | None:
    """``value`` if it is of that kind, else None."""
    if kind is Kind.NUMBER:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind is Kind.COUNT:
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if kind is Kind.FLAG:
        return value if isinstance(value, bool) else None
    return str(value) if isinstance(value, str) else None


def fields_of(stream: str) -> Callable[[Item], dict[str, Any]]:
    """How a ``where`` over this stream sees an item: its fields by name."""
    names = tuple(name for name in STREAMS[stream].fields if name != "attrs")

    def fields(item: Item) -> dict[str, Any]:
        seen = {name: getattr(item, name) for name in names}
        for name in ("quality", "phase"):
            if name in seen:
                seen[name] = seen[name].value
        if isinstance(item, Event):
            seen["attrs"] = {name: _number(value) for name, value in item.attrs.items()}
        return seen

    return fields


def _number(value: Scalar) -> Scalar:
    """Numbers among attributes are all of one type: whether an analyzer wrote 12 or 12.0 makes no difference."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def is_open(item: Item) -> bool:
    """Whether the item is an event that goes on."""
    return isinstance(item, Event) and item.phase is not Phase.CLOSE


def parts_of(health: Health) -> Iterator[tuple[str, str, Item]]:
    """A health report as items: (stream, who in place of the source, item)."""
    yield "health.node", "", health
    for source in health.sources:
        yield "health.source", source.source, source
    for part in health.parts:
        yield "health.part", part.part, part
    for model in health.models:
        yield "health.model", model.name, model
