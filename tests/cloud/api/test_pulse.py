"""The heartbeat is asked for while all works, and withheld as soon as something stands still."""

import http.server
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from cloud.api import pulse
from cloud.api.app import create_app
from cloud.api.context import Context
from cloud.settings import CloudSettings, SettingsError
from cloud.store.connection import connect
from tests.cloud.ingest.conftest import await_rows, working


class Watch(http.server.BaseHTTPRequestHandler):
    """Whoever waits for the beat."""

    beats: ClassVar[list[str]] = []
    code = 200

    def do_GET(self) -> None:
        self.beats.append(self.path)
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def watch() -> Iterator[str]:
    Watch.beats, Watch.code = [], 200
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Watch)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/beat/1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def context(settings: CloudSettings) -> Iterator[Context]:
    found: Context = create_app(settings).state.context
    found.pool.open()
    yield found
    found.pool.close()


def test_nodes_that_are_connected_and_whose_heartbeats_do_not_come_through_are_a_fault(
    settings: CloudSettings, context: Context
) -> None:
    with connect(settings.database, "test") as connection:
        connection.execute(
            "INSERT INTO node (site, node, partition, state, heartbeat) VALUES "
            "('mill', 'one', 5, '{\"online\": true}', now() - interval '10 min'), "
            "('mill', 'two', 5, '{\"online\": true}', now()), "
            "('mill', 'gone', 5, '{\"online\": false}', now() - interval '1 day'), "
            "('mill', 'old', 5, '{\"online\": true}', NULL)"
        )
        with working(settings):
            await_rows(settings.database, "SELECT 1 FROM journal WHERE kind = 'tick'", bool)
        assert pulse.faults(connection) == []
        connection.execute("UPDATE node SET heartbeat = now() - interval '200 s' WHERE node = 'two'")
        assert pulse.faults(connection) == ["no heartbeat of 2 connected nodes has come the whole way for 180 s"]


def enrol(settings: CloudSettings) -> None:
    with connect(settings.database, "test") as connection:
        connection.execute("INSERT INTO node (site, node, partition) VALUES ('mill', 'box', 5)")


TICK = "SELECT max(seq) FROM journal WHERE kind = 'tick'"
OLDER = "UPDATE journal SET arrived = arrived - interval '10 min'"


def test_it_beats_while_all_works_and_is_withheld_where_a_worker_stands_still(
    settings: CloudSettings,
    context: Context,
    watch: str,
) -> None:
    enrol(settings)
    with capture_logs() as logs:
        assert not pulse.beat(context, watch)
    assert "no worker has written to 1 partitions with nodes for 20 s" in logs[0]["reason"]
    with working(settings):
        await_rows(settings.database, TICK, lambda found: found != [(None,)])
        assert pulse.beat(context, watch)
    assert Watch.beats == ["/beat/1"]
    with connect(settings.database, "test") as connection:
        connection.execute(OLDER)
        assert (
            pulse.faults(connection)
            == [
                "no worker has written to 1 partitions with nodes for 20 s",
            ]
            or "behind" in pulse.faults(connection)[1]
        )
    assert not pulse.beat(context, watch)
    assert Watch.beats == ["/beat/1"]


def test_rules_that_stand_still_withhold_it(settings: CloudSettings, context: Context) -> None:
    enrol(settings)
    with working(settings):
        await_rows(settings.database, TICK, lambda found: found != [(None,)])
    with connect(settings.database, "test") as connection:
        assert pulse.faults(connection) == []
        connection.execute("UPDATE rule_state SET seq = 0")
        assert pulse.faults(connection) == []
        connection.execute(OLDER)
        assert "the rules of 1 partitions are 180 s behind" in pulse.faults(connection)[-1]


def test_a_watch_that_does_not_answer_and_a_database_that_is_gone_are_told(
    settings: CloudSettings,
    context: Context,
    watch: str,
) -> None:
    Watch.code = 500
    with capture_logs() as logs:
        assert not pulse.beat(context, watch)
        assert not pulse.beat(context, "http://127.0.0.1:1/")
    assert [log["event"] for log in logs] == ["heartbeat not heard"] * 2
    context.pool.close()
    with capture_logs() as logs:
        assert not pulse.beat(context, watch)
    assert logs[0]["event"] == "heartbeat withheld"
    assert logs[0]["reason"].startswith("database: ")


def test_an_address_that_is_none_is_refused(settings: CloudSettings) -> None:
    variables = settings.environment() | {"VEDETTE_HEARTBEAT_URL": "file:///etc/passwd"}
    with pytest.raises(SettingsError, match="must be http://host"):
        CloudSettings.from_environment(variables)
