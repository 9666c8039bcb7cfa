"""The REST part of the API: what it answers, and how it says no."""

import httpx

from cloud.store.times import iso
from cloud.warnings.lifecycle import apply
from rules.signal import Action, Severity
from tests.cloud.api.conftest import Api, add_event, add_evidence, add_readings
from tests.cloud.warnings.samples import EPISODE, signal

ID = signal().warning


def raise_warning(api: Api) -> None:
    with api.database.transaction():
        apply(api.database, [signal()], EPISODE + 1)


def test_a_warning_explains_itself(api: Api) -> None:
    add_event(api.database)
    add_evidence(api.database, "ab" * 32, 10)
    raise_warning(api)
    listed = api.http.get("/api/v1/warnings", params={"state": "open", "kind": "fire"}).json()
    assert [warning["id"] for warning in listed] == [ID]
    warning = api.http.get(f"/api/v1/warnings/{ID}").json()
    assert warning["title"] == {"en": "Fire in the lobby", "zh": "大厅起火"}
    assert warning["condition"] == "fire.score > 0.5"
    assert warning["values"] == {"fire.score": 0.83}
    assert warning["model"] == {"name": "fire", "version": "1.0", "sha256": "ab"}
    assert warning["detections"] == [{"label": "fire", "score": 0.8, "box": [0.1, 0.2, 0.3, 0.4], "track": 3}]
    assert (warning["captured"], warning["detected"]) == (EPISODE, EPISODE + 40_000)
    assert warning["sources"] == ["demo/gate/lobby"]
    assert warning["evidence"][0]["url"] == f"/api/v1/evidence/{'ab' * 32}"
    assert warning["evidence"][0]["stored"] is False
    assert [step["action"] for step in warning["steps"]] == ["raised"]
    assert warning["signals"][0]["rule"] == "fire"
    assert {name: warning[name] for name in listed[0]} == listed[0]


def test_evidence_of_another_node_with_the_same_event_id_is_not_shown(api: Api) -> None:
    add_evidence(api.database, "ab" * 32, 10)
    api.database.execute("UPDATE evidence SET node = 'yard'")
    raise_warning(api)
    assert api.http.get(f"/api/v1/warnings/{ID}").json()["evidence"] == []


def test_an_officer_acts_and_the_second_one_is_told(api: Api) -> None:
    raise_warning(api)
    path = f"/api/v1/warnings/{ID}"
    done = api.http.post(f"{path}/acknowledge", json={"by": " lin ", "note": "going", "revision": 1})
    assert done.status_code == 200
    assert (done.json()["state"], done.json()["acknowledged_by"], done.json()["revision"]) == ("acknowledged", "lin", 2)
    late = api.http.post(f"{path}/resolve", json={"by": "chen", "revision": 1})
    assert late.status_code == 409
    assert "look at it again" in late.json()["detail"]
    assert api.http.post(f"{path}/assign", json={"by": "lin", "to": "chen"}).json()["assigned_to"] == "chen"
    steps = api.http.get(path).json()["steps"]
    assert [(step["action"], step["by"], step["note"]) for step in steps] == [
        ("raised", "fire", ""),
        ("acknowledged", "lin", "going"),
        ("assigned", "lin", ""),
    ]


def test_cap_is_the_message_that_went_out(api: Api) -> None:
    raise_warning(api)
    with api.database.transaction():
        apply(api.database, [signal(Action.CHANGE, 1, Severity.EXTREME)], EPISODE + 2)
    answer = api.http.get(f"/api/v1/warnings/{ID}/cap")
    assert answer.headers["content-type"].startswith("application/cap+xml")
    assert "<msgType>Update</msgType>" in answer.text
    assert "<msgType>Alert</msgType>" in api.http.get(f"/api/v1/warnings/{ID}/cap?revision=1").text
    assert api.http.get(f"/api/v1/warnings/{ID}/cap?revision=9").status_code == 404


def test_records_are_listed_newest_first(api: Api) -> None:
    add_event(api.database, "a", EPISODE)
    add_event(api.database, "b", EPISODE + 1)
    add_readings(api.database, [1.0, 2.0, 3.0])
    assert [event["id"] for event in api.http.get("/api/v1/events?kind=fire").json()] == ["b", "a"]
    where = "site=demo&node=gate&source=gas&quantity=co"
    values = [reading["value"] for reading in api.http.get(f"/api/v1/readings?{where}&limit=2").json()]
    assert values == [3.0, 2.0]
    latest = api.http.get("/api/v1/readings/latest").json()
    assert latest == [
        {
            "site": "demo",
            "node": "gate",
            "source": "gas",
            "quantity": "co",
            "unit": "[ppm]",
            "value": 3.0,
            "quality": "good",
            "time": latest[0]["time"],
        }
    ]
    assert api.http.get("/api/v1/nodes").json()[0]["online"] is False


def test_status_health_and_metrics_tell_how_it_is(api: Api) -> None:
    raise_warning(api)
    status = api.http.get("/api/v1/status").json()
    assert status["warnings"] == {"open": 1, "acknowledged": 0}
    assert status["nodes"] == {"online": 0, "offline": 1}
    assert status["database"].startswith("PostgreSQL ")
    assert status["note"] == "a test"
    api.database.execute("UPDATE rollup_state SET closed = now() - interval '300 seconds'")
    assert 300 <= api.http.get("/api/v1/status").json()["rollups_age_s"] < 400
    assert api.http.get("/healthz").json() == {"status": "ok"}
    metrics = api.http.get("/metrics").text
    assert 'vedette_warnings{state="open"} 1.0' in metrics
    assert "vedette_rollups_age_seconds 3" in metrics
    everything = api.http.get("/api/v1/status").text + metrics + api.http.get("/api/v1/nodes").text
    assert "scrypt" not in everything
    assert api.settings.broker_password.get_secret_value() not in everything


def test_a_refusal_names_the_thing(api: Api) -> None:
    for method, path, status, words in (
        ("GET", "/api/v1/warnings/nothing", 404, "no warning 'nothing'"),
        ("GET", "/api/v1/warnings/nothing/cap", 404, "no warning 'nothing'"),
        ("GET", "/api/v1/nothing", 404, "openapi.json"),
        ("DELETE", "/api/v1/warnings", 405, "DELETE is not possible"),
        ("GET", "/api/v1/warnings?limit=0", 422, "query.limit"),
        ("GET", "/api/v1/warnings?limit=100000", 422, "query.limit"),
        ("GET", "/api/v1/warnings?state=burning", 422, "query.state"),
        ("GET", "/api/v1/warnings?kind=%00", 422, "cannot hold"),
        ("GET", "/api/v1/readings?since=2026-01-01T00:00:00", 422, "timezone"),
        ("GET", "/api/v1/evidence/nothing", 422, "path.sha256"),
        ("GET", f"/api/v1/evidence/{'0' * 64}", 404, "is not here"),
        ("POST", "/api/v1/warnings/nothing/acknowledge", 422, "body"),
        ("POST", "/api/v1/warnings/nothing/burn", 422, "path.action"),
    ):
        answer = api.http.request(method, path)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), (path, answer.text)


def test_an_action_without_a_proper_name_is_refused(api: Api) -> None:
    raise_warning(api)
    for body in ({}, {"by": " "}, {"by": "lin", "nite": "x"}, {"by": "l\0n"}, {"by": "x" * 100}):
        assert api.http.post(f"/api/v1/warnings/{ID}/acknowledge", json=body).status_code == 422
    assert api.http.get(f"/api/v1/warnings/{ID}").json()["state"] == "open"


def test_the_names_of_strangers_are_not_answered_to(api: Api) -> None:
    assert api.http.get("/api/v1/status", headers={"Host": "evil.example"}).status_code == 421
    raise_warning(api)
    path = f"/api/v1/warnings/{ID}/acknowledge"
    assert api.http.post(path, json={"by": "x"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert api.http.post(path, json={"by": "x"}, headers={"Origin": api.url}).status_code == 200


def test_without_a_built_page_it_says_how_to_build_it(api: Api) -> None:
    answer = api.http.get("/")
    assert answer.status_code == 503
    assert "make page" in answer.text
    assert str(api.settings.console) in answer.text


def test_a_request_during_a_lost_database_is_told_to_come_back(api: Api) -> None:
    with httpx.Client(base_url=api.url) as http:
        api.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
        assert http.get("/api/v1/warnings").status_code == 200


def test_a_chart_shows_a_source_over_a_time(api: Api) -> None:
    add_readings(api.database, [1.0, 9.0, 3.0])
    add_readings(api.database, [20.0], "temperature")
    where = {"site": "demo", "node": "gate", "source": "gas", "since": iso(EPISODE), "until": iso(EPISODE + 2_000_000)}
    charts = api.http.get("/api/v1/readings/chart", params=where).json()
    assert [(chart["quantity"], chart["unit"], chart["detail"]) for chart in charts] == [
        ("co", "[ppm]", "reading"), ("temperature", "[ppm]", "reading"),
    ]  # fmt: skip
    assert charts[0]["points"][1] == {
        "time": charts[0]["points"][1]["time"], "until": charts[0]["points"][1]["time"], "count": 1, "bad": 0,
        "min": 9.0, "max": 9.0, "mean": 9.0, "last": 9.0, "quality": "good",
    }  # fmt: skip
    assert [len(chart["points"]) for chart in charts] == [2, 1]
    assert len(api.http.get("/api/v1/readings/chart", params={**where, "quantity": "co"}).json()) == 1
    assert api.http.get("/api/v1/readings/chart", params={**where, "until": iso(EPISODE)}).status_code == 422
    assert api.http.get("/api/v1/readings/chart", params={**where, "source": "other"}).json() == []
    assert api.http.get("/api/v1/readings/chart", params={**where, "since": "0001-01-01T00:00:00Z"}).status_code == 200
