"""A node whose clock is wrong is measured at its batches, and what it says gets the time it happened at."""

import time
from collections.abc import Callable

import msgspec
import pytest

from cloud.ingest import journal
from cloud.ingest.clocks import AHEAD, LONGEST_WAY, behind, shifted
from cloud.settings import CloudSettings
from cloud.store.connection import connect
from cloud.store.times import micros
from contract.messages import Batch
from contract.records import Event, Health, Lane, Phase, Reading, Summary
from contract.wire import encode
from rules.entry import RecordEntry
from tests.cloud.ingest.conftest import Node, await_rows, batch, rows, working

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
SECOND = 1_000_000
Make = Callable[..., Node]
RULE = """
rule: clock
kind: test
key: node
let:
  ahead: {last: health.node.clock_ahead_s, over: 60s}
when: ahead > 5.0 || ahead < -5.0
severity: Minor
title: {en: "{ahead:.0f}", zh: 时钟}
"""


def sent(at: int, ahead: int | None) -> Batch:
    return Batch(epoch=1, lane=Lane.LIVE, first=1, last=0, sent=at, ahead=ahead, records=())


@pytest.mark.parametrize(
    ("at", "ahead", "found"),
    [
        (NOW, 0, 0),
        (NOW - HOUR, 0, 0),  # the node knows that its clock is right: the way was long
        (NOW - HOUR - 50_000, -HOUR, HOUR),
        (NOW + HOUR - 50_000, HOUR, -HOUR),
        (NOW, HOUR, -HOUR),  # it came late by an hour
        (NOW, -HOUR, 0),  # it would have come an hour before it was sent
        (NOW + HOUR, 0, -HOUR),
        (NOW, None, 0),
        (NOW - LONGEST_WAY, None, 0),
        (NOW - LONGEST_WAY - 1, None, LONGEST_WAY + 1),
        (NOW + AHEAD, None, 0),
        (NOW + AHEAD + 1, None, -AHEAD - 1),
        (0, None, 0),
        (1, -HOUR, 0),
        (5 * SECOND, -NOW + 5 * SECOND, NOW - 5 * SECOND),
    ],
)
def test_how_far_a_clock_is_behind(at: int, ahead: int | None, found: int) -> None:
    assert behind(sent(at, ahead), NOW) == found


def test_every_time_of_a_record_is_moved_and_none_out_of_range() -> None:
    event = Event(id="e", kind="fire", phase=Phase.OPEN, revision=1, time=9, started=8, detected=7, source="cam")
    assert shifted(event, HOUR) == msgspec.structs.replace(event, time=HOUR + 9, started=HOUR + 8, detected=HOUR + 7)
    assert shifted(event, -HOUR) == msgspec.structs.replace(event, time=0, started=0, detected=0)
    summary = Summary(time=1, until=2, source="a", quantity="co", count=1, min=0, max=0, mean=0, last=0)
    assert shifted(summary, 5) == msgspec.structs.replace(summary, time=6, until=7)
    assert shifted(Health(time=1), HOUR) == Health(time=1 + HOUR, clock_ahead_s=-3600.0)
    assert shifted(Health(time=1, clock_ahead_s=-3599.0), HOUR).clock_ahead_s == -3599.0  # type: ignore[union-attr]
    top = shifted(Reading(time=4_102_444_799_999_999, source="a", quantity="co", value=1.0), HOUR)
    assert top.time == 4_102_444_799_999_999


def test_a_slow_clock_of_an_earlier_release_is_measured_here(settings: CloudSettings, nodes: Make) -> None:
    """It says nothing of its clock; by what its batches say of their sending it is an hour behind."""
    node = nodes()
    slow = time.time_ns() // 1000 - HOUR
    records = [Health(time=slow), Reading(time=slow, source="gas-1", quantity="co", value=1)]
    with working(settings, {"test.yaml": RULE}):
        node.say(encode(msgspec.structs.replace(batch(1, 1, records), sent=slow)))
        node.acked(2)
        [(said,)] = await_rows(settings.database, "SELECT body -> 'title' ->> 'en' FROM signal", bool)
    assert abs(float(str(said)) + 3600) <= 2
    [(told, arrived, replaced)] = rows(settings.database, "SELECT time, arrived, replaced FROM reading")
    assert replaced is True
    assert abs(micros(told) - micros(arrived)) < SECOND  # type: ignore[arg-type]


def test_a_replay_gives_a_slow_nodes_records_the_same_times(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    slow = time.time_ns() // 1000 - HOUR
    with working(settings, {}):
        one = batch(1, 1, [Reading(time=slow, source="gas-1", quantity="co", value=1)])
        node.say(encode(msgspec.structs.replace(one, sent=slow, ahead=-HOUR)))
        node.acked(1)
    with connect(settings.database, "test") as connection:
        lines = [line for _, line in journal.read(connection, 5, 0, 1000) if line.kind == "batch"]
    [entry] = journal.entries(lines[0])
    assert isinstance(entry, RecordEntry)
    [(told,)] = rows(settings.database, "SELECT time FROM reading")
    assert entry.time == entry.record.time == micros(told) == slow + HOUR  # type: ignore[arg-type]
