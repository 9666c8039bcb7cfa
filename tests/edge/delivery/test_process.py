"""The delivery process as it runs on a box: a real process, a real broker, real HTTP."""

import json
import os
import signal
import time

import pytest

from contract.messages import CheckUpdates, Command, Ping
from contract.records import Event, Evidence, Health, Lane, Phase
from contract.topics import Channel
from contract.wire import decode_reply, decode_state, encode
from edge.evidence.files import EvidenceFiles
from edge.supervisor.status import read_status
from tests.edge.delivery.conftest import Box, now
from tests.edge.delivery.samples import PLENTY, event, evidence, reading
from tests.edge.delivery.servers import CloudClient, EvidenceServer


def test_records_arrive_and_leave_the_box_and_it_says_how_it_is(box: Box, cloud: CloudClient) -> None:
    box.append(reading(1), event("fire"))
    with box.delivery():
        cloud.wait(lambda: event("fire") in cloud.cloud.records[Lane.ALARM])
        box.append(event("fire", 2, Phase.CHANGE))
        cloud.wait(lambda: event("fire", 2, Phase.CHANGE) in cloud.cloud.records[Lane.ALARM])
        cloud.wait(lambda: any(isinstance(r, Health) for r in cloud.cloud.records[Lane.LIVE]))
        assert reading(1) in cloud.cloud.records[Lane.LIVE]
        cloud.wait(lambda: sum(box.outbox.waiting().values()) == 0)
        status = read_status(box.paths.status / "delivery.json")
    assert status is not None
    assert set(status.detail["waiting"]) == {"alarm", "live", "backlog"}
    health = next(r for r in cloud.cloud.records[Lane.LIVE] if isinstance(r, Health))
    assert "delivery" in {part.part for part in health.parts}


def test_the_node_shows_that_it_is_online_and_that_it_is_not(box: Box, cloud: CloudClient) -> None:
    with box.delivery() as process:
        cloud.wait(lambda: [decode_state(p).online for p, _ in cloud.seen(Channel.STATE)] == [True])
        process.terminate()
        assert process.wait(10) == 0
        cloud.wait(lambda: [decode_state(p).online for p, _ in cloud.seen(Channel.STATE)] == [True, False])
    with box.delivery() as process:
        cloud.wait(lambda: len(cloud.seen(Channel.STATE)) == 3)
        process.kill()
        cloud.wait(lambda: [decode_state(p).online for p, _ in cloud.seen(Channel.STATE)][2:] == [True, False])


@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_delivery_goes_on_where_the_database_stands(box: Box, cloud: CloudClient, deadly: int) -> None:
    sent = 0
    for _ in range(2):
        with box.delivery() as process:
            for _ in range(20):
                box.append(event(f"e{sent}"), reading(sent))
                sent += 1
            cloud.wait(lambda least=sent - 10: len(cloud.cloud.records[Lane.ALARM]) >= least)
            os.kill(process.pid, deadly)
    with box.delivery():
        cloud.wait(lambda: len(cloud.cloud.records[Lane.ALARM]) >= sent)
        cloud.wait(lambda: box.outbox.waiting()[Lane.ALARM] == 0)
    assert cloud.cloud.records[Lane.ALARM] == [event(f"e{i}") for i in range(sent)]


def test_alarms_given_while_ingest_is_away_arrive_when_it_is_back(box: Box, cloud: CloudClient) -> None:
    with box.delivery():
        box.append(event("first"))
        cloud.wait(lambda: event("first") in cloud.cloud.records[Lane.ALARM])
        cloud.deaf = True
        for number in range(50):
            box.append(event(f"e{number}"))
        cloud.wait(lambda: len(cloud.seen(Channel.UP)) > 4)
        cloud.deaf = False
        cloud.wait(lambda: len(cloud.cloud.records[Lane.ALARM]) == 51)


def test_commands_are_answered_and_stale_ones_are_not_carried_out(box: Box, cloud: CloudClient) -> None:
    with box.delivery():
        cloud.wait(lambda: len(cloud.seen(Channel.STATE)) == 1)
        minute = 60_000_000
        commands = [
            Command(id="a", time=now(), expires=now() + minute, verb=Ping()),
            Command(id="b", time=now() - 2 * minute, expires=now() - minute, verb=Ping()),
            Command(id="c", time=now(), expires=now() + minute, verb=CheckUpdates()),
        ]
        cloud.say(Channel.CMD, b"nonsense")
        for command in commands:
            cloud.say(Channel.CMD, encode(command))
        cloud.wait(lambda: len(cloud.seen(Channel.REPLY)) == 3)
    replies = {reply.id: reply for reply in (decode_reply(p) for p, _ in cloud.seen(Channel.REPLY))}
    assert replies["a"].ok
    assert not replies["b"].ok
    assert "expired 60" in replies["b"].error
    assert "trust" in replies["c"].error


@pytest.mark.parametrize("ahead_s", [3600, -3600])
def test_a_command_expires_by_the_clouds_clock(box: Box, cloud: CloudClient, ahead_s: int) -> None:
    def theirs() -> int:
        return now() - ahead_s * 1_000_000

    cloud.cloud.clock = theirs
    minute = 60_000_000
    with box.delivery():
        box.append(reading(1))
        cloud.wait(lambda: reading(1) in cloud.cloud.records[Lane.LIVE])
        cloud.say(Channel.CMD, encode(Command(id="a", time=theirs(), expires=theirs() + minute, verb=Ping())))
        cloud.say(Channel.CMD, encode(Command(id="b", time=theirs(), expires=theirs() - minute, verb=Ping())))
        cloud.wait(lambda: len(cloud.seen(Channel.REPLY)) == 2)
        path = box.paths.status / "delivery.json"
        cloud.wait(lambda: (read_status(path) or pytest.fail("no status")).detail["clock_ahead_s"] is not None)
        status = read_status(path)
    replies = {reply.id: reply for reply in (decode_reply(p) for p, _ in cloud.seen(Channel.REPLY))}
    assert (replies["a"].ok, replies["b"].ok) == (True, False)
    assert abs(replies["a"].time - theirs()) < 30_000_000
    assert status is not None
    assert abs(status.detail["clock_ahead_s"] - ahead_s) < 1
    way = "ahead of" if ahead_s > 0 else "behind"
    assert f"3600.0 s {way} the cloud's; set it and keep it set" in status.detail["clock_reason"]


def test_each_event_goes_out_once_as_plain_json(box: Box, cloud: CloudClient) -> None:
    def published() -> list[dict[str, object]]:
        return [json.loads(p) for topic, p, _ in cloud.messages if topic == box.address.events("fire")]

    with box.delivery():
        box.append(event("a"), reading(1))
        cloud.wait(lambda: len(published()) == 1)
    with box.delivery():
        box.append(event("a", 2, Phase.CLOSE))
        cloud.wait(lambda: len(published()) == 2)
        cloud.wait(lambda: len(cloud.cloud.records[Lane.ALARM]) == 2)
    first, second = published()
    assert (first["id"], first["phase"], first["revision"], first["site"]) == ("a", "open", 1, "square")
    assert first["time_iso"] == "2026-09-21T14:13:20.000+00:00"
    assert second["phase"] == "close"


def test_evidence_follows_its_record_and_leaves_the_box(box: Box, cloud: CloudClient, web: EvidenceServer) -> None:
    picture = b"picture" * 100_000
    sha256, size = EvidenceFiles(box.paths.evidence, PLENTY).add(picture)
    with box.delivery():
        box.append(event("fire"), evidence(sha256, size=size, name="fire"))
        cloud.wait(lambda: any(isinstance(r, Evidence) for r in cloud.cloud.records[Lane.ALARM]))
        web.wait(lambda: sha256 in web.kept)
        cloud.wait(lambda: not (box.paths.evidence / sha256).exists())
    assert web.kept == {sha256: picture}
    (authorization,) = web.authorization
    assert authorization.startswith("Basic ")


def test_an_alarm_is_on_the_wire_within_a_few_milliseconds(box: Box, cloud: CloudClient) -> None:
    """From the call of ``append`` to the arrival behind the broker, two fsyncs on the way; the bound is generous for a
    machine that runs other things too."""
    with box.delivery():
        cloud.wait(lambda: any(isinstance(r, Health) for r in cloud.cloud.records[Lane.LIVE]))
        times = []
        for number in range(20):
            before = len(cloud.arrivals)
            start = time.monotonic()
            box.append(event(f"e{number}"))
            cloud.wait(lambda number=number: event(f"e{number}") in cloud.cloud.records[Lane.ALARM])
            times.append(cloud.arrivals[before] - start)
    assert isinstance(cloud.cloud.records[Lane.ALARM][0], Event)
    assert sorted(times)[len(times) // 2] < 0.1
