"""Files come out of the API while they are read, and out of the terminal whole or not at all."""

from pathlib import Path

import pytest
from arro3.io import read_parquet
from typer.testing import CliRunner

from cloud.store.times import iso, moment
from tests.cloud.api.conftest import Api, add_event, add_readings
from tests.cloud.warnings.samples import EPISODE
from vedette.cli import app

SPAN = {"since": iso(EPISODE), "until": iso(EPISODE + 3_600_000_000)}


def _running(api: Api) -> int:
    row = api.database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vedette-export' "
        "AND datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


def _many(api: Api, number: int) -> None:
    series = add_readings(api.database, [0.5])
    api.database.execute(
        "INSERT INTO reading (time, series_id, value, quality, lane, arrived) "
        "SELECT %s::timestamptz + n * interval '1 millisecond', %s, n, 0, 1, now() FROM generate_series(1, %s) AS n",
        [moment(EPISODE), series, number],
    )


def test_csv_comes_whole(api: Api) -> None:
    add_readings(api.database, [1.0, 9.0, -3.0])
    answer = api.http.get("/api/v1/export/readings", params=SPAN)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="vedette-readings.csv"'
    lines = answer.text.splitlines()
    assert lines[0] == "site,node,source,quantity,unit,time,value,quality,lane,arrived,replaced"
    assert [line.split(",")[6] for line in lines[1:]] == ["1.0", "9.0", "-3.0"]
    assert lines[1].startswith(f"demo,gate,gas,co,[ppm],{iso(EPISODE)},1.0,good,live,")


def test_what_is_wrong_is_said_before_anything_is_sent(api: Api) -> None:
    for what, query in (
        ("everything", {}),
        ("readings", {"site": "\0"}),
        ("events", {"quantity": "\0", "format": "parquet"}),
        ("readings", {"format": "xls"}),
    ):
        assert api.http.get(f"/api/v1/export/{what}", params={**SPAN, **query}).status_code == 422, (what, query)
    backwards = {"since": SPAN["until"], "until": SPAN["since"]}
    assert api.http.get("/api/v1/export/readings", params=backwards).status_code == 422
    assert _running(api) == 0


def test_without_its_package_there_is_no_parquet(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.store.parquet.importlib.util.find_spec", lambda name: None)
    answer = api.http.get("/api/v1/export/readings", params={**SPAN, "format": "parquet"})
    assert (answer.status_code, "vedette[parquet]" in answer.json()["detail"]) == (501, True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_whoever_goes_away_leaves_nothing_running(api: Api, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.store.parquet._GROUP_ROWS", 5_000)
    _many(api, 80_000)
    for _ in range(5):  # more than may run at once
        with api.http.stream("GET", "/api/v1/export/readings", params={**SPAN, "format": kind}) as answer:
            assert answer.status_code == 200
            next(answer.iter_raw())
            assert kind == "parquet" or _running(api) >= 1
        for _ in range(500):
            if not _running(api):
                break
            api.database.execute("SELECT pg_sleep(0.02)")
        assert _running(api) == 0


def test_no_more_than_a_few_run_at_once(api: Api) -> None:
    _many(api, 80_000)
    path = "/api/v1/export/readings"
    with (
        api.http.stream("GET", path, params=SPAN) as first,
        api.http.stream("GET", path, params=SPAN) as second,
        api.http.stream("GET", path, params=SPAN) as third,
    ):
        assert [first.status_code, second.status_code, third.status_code] == [200] * 3
        assert api.http.get(path, params=SPAN).status_code == 503
        assert len(third.read().splitlines()) == 80_002


def test_the_terminal_writes_a_file(api: Api, tmp_path: Path) -> None:
    add_event(api.database)
    add_readings(api.database, [1.0, 2.0])
    run = CliRunner().invoke
    common = ["--since", SPAN["since"], "--until", SPAN["until"], "--server", api.url]
    done = run(app, ["export", "readings", *common, "-o", str(tmp_path / "r.parquet")])
    assert done.exit_code == 0, done.output
    table = read_parquet(tmp_path / "r.parquet").read_all()
    assert [item.as_py() for item in table.column("value")] == [1.0, 2.0]
    done = run(app, ["export", "events", *common, "--quantity", "fire"])
    assert [line.split(",")[4] for line in done.stdout.splitlines()] == ["id", "fire-1"]
    assert run(app, ["export", "readings", *common, "--format", "parquet"]).exit_code == 2
    assert run(app, ["export", "readings", "--since", "yesterday", "--server", api.url]).exit_code == 2
    failed = run(app, ["export", "readings", "--since", SPAN["until"], "--until", SPAN["since"], "--server", api.url,
                       "-o", str(tmp_path / "none.csv")])  # fmt: skip
    assert failed.exit_code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["r.parquet"]
