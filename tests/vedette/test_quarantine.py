"""``vedette quarantine``: what was set apart is listed, shown and tried again."""

import json

import pytest
from typer.testing import CliRunner, Result

from cloud.ingest.quarantine import QuarantineError
from cloud.store.connection import connect
from cloud.store.times import moment
from contract.records import Reading
from contract.wire import encode_record
from vedette.cli import app
from vedette.up.home import Home

NOW = 1_800_000_000_000_000


@pytest.fixture
def kept(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A reading and a piece of nonsense, of one node."""

    class Settings:
        """What the command asks for."""

    Settings.database = database  # type: ignore[attr-defined]
    monkeypatch.setattr(Home, "settings", lambda self: Settings)
    good = encode_record(Reading(time=NOW, source="gas-1", quantity="co", value=41.5))
    with connect(database, "test") as connection:
        connection.execute("INSERT INTO node (site, node, partition) VALUES ('mill', 'box', 5)")
        for number, body in ((7, good), (8, b"\xc1 nonsense")):
            connection.execute(
                "INSERT INTO quarantine (arrived, topic, partition, site, node, lane, epoch, number, reason, body) "
                "VALUES (%s, 'vedette/v1/5/mill/box/up', 5, 'mill', 'box', 1, 1, %s, 'why', %s)",
                [moment(NOW), number, body],
            )
    return database


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["quarantine", *map(str, arguments)])


def test_it_is_listed_shown_and_tried_again(kept: str) -> None:
    bad, good = json.loads(call("list", "--json").stdout)
    assert (bad["record"], good["record"], good["lane"], good["reason"]) == (8, 7, "live", "why")
    assert json.loads(call("list", "--node", "mill/other", "--json").stdout) == []
    assert "mill/box" in call("list").stdout
    (shown,) = json.loads(call("show", good["number"]).stdout)["body"]
    assert shown["value"] == 41.5
    assert "bytes" in json.loads(call("show", bad["number"]).stdout)["body"]
    done = call("retry", "--all")
    assert done.exit_code == 1
    assert f"{good['number']}: 1 records taken in" in done.stdout
    assert "still makes no sense" in done.stderr
    with connect(kept, "test") as connection:
        assert connection.execute("SELECT value FROM reading").fetchall() == [(41.5,)]
    assert [one["number"] for one in json.loads(call("list", "--json").stdout)] == [bad["number"]]


@pytest.mark.usefixtures("kept")
def test_what_is_asked_wrongly_says_so() -> None:
    assert isinstance(call("show", 999).exception, QuarantineError)
    assert "name numbers of 'vedette quarantine list'" in str(call("retry").exception)
