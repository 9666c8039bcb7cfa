"""The health report says what the parts say, and speaks for those that have fallen silent."""

from typing import Any

from contract.records import Health, ModelHealth, PartHealth, SourceHealth
from edge.delivery.health import compose
from edge.supervisor.status import Status


def status(part: str, detail: dict[str, Any], beat: float = 100.0, state: str = "ok") -> Status:
    return Status(part=part, pid=1, state=state, monotonic=beat, time=0, detail=detail)


def health(*statuses: Status) -> Health:
    return compose(
        {s.part: s for s in statuses},
        monotonic=101.0,
        time=5,
        software="vedette 1",
        uptime_s=9.0,
        waiting=3,
        outbox_bytes=4096,
    )


SOURCE = {"source": "gate", "kind": "camera", "state": "ok", "rate_hz": 5.0, "title": "Gate"}


def test_it_gathers_the_sources_models_and_parts() -> None:
    gas = {"source": "gas", "kind": "sensor", "state": "down", "reason": "no answer"}
    model = {"name": "fire", "version": "1.0.0", "state": "active"}
    report = health(
        status("capture.gate", {"source": SOURCE}),
        status("sensing", {"sources": [gas]}),
        status("vision", {"models": [model]}),
        status("supervisor", {"parts": [{"part": "vision", "state": "ok", "restarts": 2}]}),
    )
    assert [(s.source, s.state) for s in report.sources] == [("gate", "ok"), ("gas", "down")]
    assert report.models == (ModelHealth(name="fire", version="1.0.0"),)
    assert report.parts == (PartHealth(part="vision", state="ok", restarts=2),)
    assert (report.outbox_waiting, report.outbox_bytes, report.uptime_s) == (3, 4096, 9.0)


def test_a_silent_part_does_not_vouch_for_its_camera() -> None:
    (source,) = health(status("capture.gate", {"source": SOURCE}, beat=41.0)).sources
    assert (source.source, source.state) == ("gate", "down")
    assert "capture.gate" in source.reason
    assert "60 s" in source.reason
    assert source.title == "Gate"


def test_without_a_supervisor_the_parts_speak_for_themselves() -> None:
    report = health(status("vision", {}, state="degraded"), status("sensing", {}, beat=10.0))
    assert [(p.part, p.state) for p in report.parts] == [("vision", "degraded"), ("sensing", "down")]


def test_it_counts_what_gave_way_in_the_outbox_and_in_the_parts_memories() -> None:
    statuses = [
        status("vision", {"readings_thinned": 5}),
        status("sensing", {"readings_thinned": 7}),
        status("old", {}),
    ]
    report = compose(
        {s.part: s for s in statuses},
        monotonic=101.0,
        time=5,
        software="",
        uptime_s=9.0,
        waiting=0,
        outbox_bytes=0,
        clock_ahead_s=-3.5,
        counters={"thinned": 100, "uploads_refused": 2, "uploads_vanished": 1},
    )
    assert (report.readings_thinned, report.uploads_lost, report.clock_ahead_s) == (112, 3, -3.5)
    assert health().clock_ahead_s is None


def test_what_makes_no_sense_is_left_out_and_the_rest_is_said() -> None:
    report = health(status("sensing", {"sources": [{"nonsense": 1}, SOURCE], "models": "none"}))
    assert report.sources == (SourceHealth(source="gate", kind="camera", state="ok", rate_hz=5.0, title="Gate"),)
    assert report.models == ()
