"""The live feed: everything that was committed is told, in whatever order the commits came."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.publish
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from cloud.api import live as live_feed
from cloud.store import feed
from cloud.warnings.lifecycle import apply
from rules.signal import Action, Severity
from tests.cloud.api.conftest import Api, add_event, add_readings
from tests.cloud.warnings.samples import EPISODE, signal

ID = signal().warning
Message = dict[str, Any]


def wake(api: Api) -> None:
    """What every process does after its commit."""
    paho.mqtt.publish.single(
        feed.WAKE_TOPIC,
        hostname=api.settings.broker_host,
        port=api.settings.broker_port,
        auth={
            "username": api.settings.broker_username,
            "password": api.settings.broker_password.get_secret_value(),
        },
    )


@contextmanager
def follow(api: Api, query: str = "") -> Iterator[Iterator[Message]]:
    """The messages of the feed, pings left out."""

    def messages(socket: ClientConnection) -> Iterator[Message]:
        while True:
            message = json.loads(socket.recv(timeout=10))
            if message["type"] != "ping":
                yield message

    with connect(api.live + query, max_size=None) as socket:
        yield messages(socket)


def ids(message: Message) -> list[str]:
    return [warning["id"] for warning in message["warnings"]]


def raise_warning(api: Api, key: str = "demo/gate/lobby") -> str:
    one = signal(key=key)
    with api.database.transaction():
        apply(api.database, [one], EPISODE)
    return one.warning


def test_a_snapshot_comes_first_then_changes(api: Api) -> None:
    add_event(api.database)
    raise_warning(api)
    series = add_readings(api.database, [1.0, 2.0, 3.0])
    with follow(api) as messages:
        snapshot = next(messages)
        assert snapshot["type"] == "snapshot"
        assert ids(snapshot) == [ID]
        assert [reading["value"] for reading in snapshot["readings"]] == [1.0, 2.0, 3.0]
        assert [node["node"] for node in snapshot["nodes"]] == ["gate"]
        with api.database.transaction():
            apply(api.database, [signal(Action.CHANGE, 1, Severity.EXTREME)], EPISODE)
        wake(api)
        changes = next(messages)
        assert (changes["type"], changes["readings"], changes["nodes"]) == ("changes", [], [])
        assert [(one["id"], one["severity"], one["revision"]) for one in changes["warnings"]] == [(ID, "Extreme", 2)]
        with api.database.transaction():
            feed.write(api.database, [("reading", "demo/gate", {"series": [series]}), ("node", "demo/gate", {})])
        wake(api)
        changes = next(messages)
        assert [reading["value"] for reading in changes["readings"]] == [3.0]
        assert [node["node"] for node in changes["nodes"]] == ["gate"]


def test_an_officers_action_reaches_the_others_at_once(api: Api) -> None:
    raise_warning(api)
    with follow(api) as one, follow(api) as other:
        next(one), next(other)
        api.http.post(f"/api/v1/warnings/{ID}/acknowledge", json={"by": "lin"})
        for messages in (one, other):
            assert next(messages)["warnings"][0]["acknowledged_by"] == "lin"


def test_without_a_word_from_the_broker_the_poll_finds_it(api: Api) -> None:
    with follow(api) as messages:
        next(messages)
        raise_warning(api)
        assert ids(next(messages)) == [ID]


def test_a_row_that_commits_late_is_not_missed_and_holds_nothing_back(api: Api) -> None:
    with psycopg.connect(api.settings.database) as slow, follow(api) as messages:
        next(messages)
        late = signal(key="demo/gate/yard")
        apply(slow, [late], EPISODE)  # has the lower transaction number and the lower feed id, commits last
        assert ids_of_feed(api) == []
        raise_warning(api)
        wake(api)
        first = next(messages)
        assert ids(first) == [ID]
        slow.commit()
        wake(api)
        second = next(messages)
        assert ids(second) == [late.warning]
        assert second["cursor"] > first["cursor"]


def ids_of_feed(api: Api) -> list[str]:
    return [key for (key,) in api.database.execute("SELECT key FROM feed WHERE topic = 'warning'")]


def test_who_comes_back_hears_what_changed_meanwhile(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "FINISHED", 0)
    with follow(api) as messages:
        cursor = next(messages)["cursor"]
    raise_warning(api)
    api.http.post(f"/api/v1/warnings/{ID}/resolve", json={"by": "lin"})
    with follow(api) as messages:
        assert ids(next(messages)) == []
    with follow(api, f"?cursor={cursor}") as messages:
        assert ids(next(messages)) == [ID]


def test_a_slow_subscriber_is_given_a_snapshot_instead(api: Api) -> None:
    subscriber = live_feed.Subscriber()
    subscriber.fresh = False
    assert all(subscriber.give("{}") for _ in range(live_feed.QUEUE))
    assert subscriber.give("{}") is False
    assert subscriber.fresh
    assert subscriber.queue.empty()


def test_a_lost_database_ends_the_connection_and_a_new_one_finds_everything(api: Api) -> None:
    with connect(api.live) as page:
        page.recv()
        api.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vedette-live' "
            "AND datname = current_database()"
        )
        with pytest.raises(ConnectionClosed) as caught:
            page.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013
    raise_warning(api)
    while True:
        try:
            with follow(api) as messages:
                assert ids(next(messages)) == [ID]
                return
        except ConnectionClosed:
            continue


def test_a_strangers_page_gets_no_feed(api: Api) -> None:
    with pytest.raises(InvalidStatus), connect(api.live, origin="http://evil.example"):  # type: ignore[arg-type]
        pass
    with connect(api.live, origin=api.url) as page:  # type: ignore[arg-type]
        page.recv()


def test_many_writers_lose_nothing(api: Api) -> None:
    keys = [f"demo/gate/cam-{number}" for number in range(24)]

    def write(mine: list[str]) -> None:
        with psycopg.connect(api.settings.database, autocommit=True) as connection:
            for key in mine:
                with connection.transaction():
                    apply(connection, [signal(key=key)], EPISODE)

    with follow(api) as messages:
        next(messages)
        writers = [threading.Thread(target=write, args=(keys[start::4],)) for start in range(4)]
        for writer in writers:
            writer.start()
        wanted = {signal(key=key).warning for key in keys}
        while wanted:
            wanted -= set(ids(next(messages)))
        for writer in writers:
            writer.join()


def test_a_damaged_row_stops_none_of_the_others(api: Api) -> None:
    raise_warning(api)
    damaged = raise_warning(api, "demo/gate/yard")
    api.database.execute("UPDATE warning SET content = '{}' WHERE id = %s", [damaged])
    with follow(api) as messages:
        assert ids(next(messages)) == [ID]
