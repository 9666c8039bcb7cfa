"""One message of every kind, with every field filled: what the golden bytes and the documents are checked against."""

import msgspec

from contract.detections import Detection
from contract.messages import (
    Ack,
    Batch,
    CheckUpdates,
    Command,
    Hello,
    NodeState,
    Ping,
    Reply,
    Welcome,
)
from contract.records import (
    Event,
    Evidence,
    Health,
    Heartbeat,
    Lane,
    ModelHealth,
    ModelRef,
    PartHealth,
    Phase,
    Quality,
    Reading,
    Record,
    SourceHealth,
    Summary,
)
from contract.wire import encode_record

NOON = 1_790_000_000_000_000

RECORDS: dict[str, Record] = {
    "reading": Reading(time=NOON, source="boiler", quantity="co", value=37.5, unit="[ppm]", quality=Quality.UNCERTAIN),
    "summary": Summary(
        time=NOON,
        until=NOON + 60_000_000,
        source="boiler",
        quantity="co",
        unit="[ppm]",
        count=60,
        min=1.0,
        max=9.5,
        mean=4.25,
        last=9.5,
        quality=Quality.GOOD,
    ),
    "event": Event(
        id="0123456789abcdef0123456789abcdef",
        kind="fire",
        phase=Phase.CHANGE,
        revision=3,
        time=NOON,
        started=NOON - 5_000_000,
        source="lobby",
        zone="stairs",
        score=0.875,
        model=ModelRef(name="fire", version="1.2.3", sha256="ab" * 32),
        detections=(Detection("fire", 0.875, (0.25, 0.5, 0.375, 0.75), 7),),
        attrs={"area_share": 0.03125, "note": "näher", "count": 2, "open": True},
        detected=NOON + 40_000,
    ),
    "evidence": Evidence(
        event="0123456789abcdef0123456789abcdef",
        sha256="cd" * 32,
        bytes=48_213,
        media_type="video/mp4",
        role="clip",
        source="lobby",
        time=NOON,
        duration_s=12.5,
        detections=(Detection("fire", 0.875, (0.25, 0.5, 0.375, 0.75), 7),),
    ),
    "health": Health(
        time=NOON,
        software="0.1.0",
        uptime_s=86_400.0,
        sources=(
            SourceHealth(
                source="lobby",
                kind="camera",
                state="degraded",
                reason="2 fps",
                rate_hz=2.0,
                dropped=4,
                age_s=0.5,
                title="Lobby",
                note="drawn",
            ),
        ),
        parts=(PartHealth(part="vision", state="ok", restarts=1, reason="exit 139"),),
        models=(
            ModelHealth(
                name="fire",
                version="1.2.3",
                sha256="ab" * 32,
                state="rolled-back",
                offered="1.3.0",
                reason="golden",
                latency_ms=9.5,
            ),
        ),
        outbox_waiting=12,
        outbox_bytes=40_960,
        clock_ahead_s=-3600.25,
        readings_thinned=61,
        uploads_lost=1,
    ),
    "heartbeat": Heartbeat(time=NOON, number=1440),
}

MESSAGES: dict[str, Hello | Batch | Welcome | Ack | Command | Reply | NodeState] = {
    "hello": Hello(
        epoch=2**62 + 1, last={Lane.ALARM: 3, Lane.LIVE: 1000, Lane.BACKLOG: 0}, time=NOON, software="0.1.0"
    ),
    "batch": Batch(
        epoch=2**62 + 1,
        lane=Lane.LIVE,
        first=1001,
        last=1006,
        sent=NOON,
        ahead=-3_600_250_000,
        records=tuple(msgspec.Raw(encode_record(record)) for record in RECORDS.values()),
    ),
    "welcome": Welcome(
        epoch=2**62 + 1, positions={Lane.ALARM: 3, Lane.LIVE: 1000, Lane.BACKLOG: 0}, time=NOON, credit=262_144
    ),
    "ack": Ack(epoch=2**62 + 1, lane=Lane.ALARM, position=4, time=NOON, credit=262_144, expected=5),
    "command-check-updates": Command(id="c1", time=NOON, expires=NOON + 60_000_000, verb=CheckUpdates()),
    "command-ping": Command(id="c2", time=NOON, expires=NOON + 60_000_000, verb=Ping()),
    "reply": Reply(id="c1", time=NOON, ok=False, error="no trust", result=""),
    "state": NodeState(node="gate-1", site="harbour", online=True, time=NOON, software="0.1.0"),
}
