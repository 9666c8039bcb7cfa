"""One command, and the city is watched: what ``vedette up`` shows within a minute."""

import hashlib
from typing import Any

import httpx

from tests.vedette.conftest import System, vedette


def warning_of(system: System, kind: str) -> dict[str, Any]:
    """The first warning of a kind, with its evidence where it has any coming."""

    def look() -> dict[str, Any] | None:
        found = system.json("warnings", "list", "--kind", kind)
        return found[0] if found else None

    return dict(system.wait(f"a {kind} warning", look, 60.0))


def test_fire_comes_all_the_way_with_its_picture(system: System) -> None:
    warning = warning_of(system, "fire")
    assert warning["model"]["name"] == "fire"
    assert any(detection["label"] == "fire" for detection in warning["detections"])

    def pictures() -> list[dict[str, Any]]:
        whole = system.json("warnings", "show", warning["id"])
        return [file for file in whole["evidence"] if file["stored"] and file["media_type"] == "image/jpeg"]

    picture = system.wait("the picture", pictures, 60.0)[0]
    answer = httpx.get(system.url + picture["url"])
    assert answer.headers["content-type"] == "image/jpeg"
    assert hashlib.sha256(answer.content).hexdigest() == picture["sha256"]
    assert any(detection["label"] == "fire" for detection in picture["detections"])


def test_fire_has_a_clip_from_before_it(system: System) -> None:
    warning = warning_of(system, "fire")

    def clips() -> list[dict[str, Any]]:
        whole = system.json("warnings", "show", warning["id"])
        return [file for file in whole["evidence"] if file["stored"] and file["media_type"] == "video/mp4"]

    clip = system.wait("the clip", clips, 60.0)[0]
    part = httpx.get(system.url + clip["url"], headers={"Range": "bytes=0-31"})
    assert part.status_code == 206
    assert b"ftyp" in part.content


def test_gas_comes_all_the_way_with_its_reasons(system: System) -> None:
    warning = warning_of(system, "gas")
    assert warning["condition"]
    assert warning["values"]
    assert "demo/box-1/boiler-room" in warning["sources"]
    last = system.json("readings", "--source", "demo/box-1/boiler-room", "--quantity", "co")
    assert last[0]["unit"] == "[ppm]"


def test_every_source_reports_and_no_part_is_down(system: System) -> None:
    def all_well() -> list[dict[str, Any]] | None:
        nodes = system.json("status")["nodes"]
        states = {source["state"] for node in nodes for source in node["sources"]}
        return nodes if nodes and states == {"ok"} else None

    node = system.wait("every source to be well", all_well, 60.0)[0]
    assert node["online"]
    assert {model["name"] for model in node["models"]} == {"fire", "person"}
    assert {part["state"] for part in node["parts"]} == {"ok"}


def test_warning_of_one_fire_is_one_warning(system: System) -> None:
    warning_of(system, "fire")
    found = system.json("warnings", "list", "--kind", "fire")
    assert len({warning["key"] for warning in found}) == len(found)


def test_events_and_readings_are_in_the_terminal(system: System) -> None:
    warning_of(system, "fire")
    assert any(event["kind"] == "fire" for event in system.json("events"))
    assert {"co", "person-count"} <= {reading["quantity"] for reading in system.json("readings")}
    for words in (["warnings", "list"], ["events"], ["readings"], ["status"]):
        assert "demo" in vedette(*words, "--data-dir", str(system.home)).stdout


def test_the_rules_of_the_journal_say_again_what_they_said(system: System) -> None:
    warning_of(system, "fire")
    said = system.json("rules", "replay")
    assert ("fire", "raise") in {(signal["kind"], signal["action"]) for signal in said}
    assert system.json("rules", "replay", "--check") == []


def test_tap_shows_records_and_acknowledgements_decoded(system: System) -> None:
    shown = vedette("tap", "--seconds", "4", "--json", "--data-dir", str(system.home)).stdout
    assert '"type": "reading"' in shown
    assert '"type": "ack"' in shown
    assert '"error"' not in shown


def test_cap_message_is_a_test(system: System) -> None:
    warning = warning_of(system, "fire")
    answer = httpx.get(f"{system.url}/api/v1/warnings/{warning['id']}/cap")
    assert answer.status_code == 200
    assert "<status>Test</status>" in answer.text


def test_officer_acknowledges_and_it_is_on_record(system: System) -> None:
    warning = warning_of(system, "gas")
    with system.client() as client:
        client.post(f"/warnings/{warning['id']}/acknowledge", {"by": "Li Wei", "note": "engine 3 is on its way"})
    shown = system.json("warnings", "show", warning["id"])
    assert shown["state"] == "acknowledged"
    assert [step["by"] for step in shown["steps"] if step["action"].startswith("ack")] == ["Li Wei"]


def test_publish_json_reaches_others(system: System) -> None:
    """The doll's house goes on burning, and the drawn street again and again: the fire's event changes often."""
    warning_of(system, "fire")

    def heard() -> str:
        return vedette("tap", "vedette/v1/events/#", "--seconds", "5", "--json", "--data-dir", str(system.home)).stdout

    assert '"kind"' in system.wait("an event as plain JSON", heard, 90.0)
