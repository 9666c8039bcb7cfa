"""The audit finds a number that is lost, one that came twice, one out of its order, and a signal that is wrong."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from cloud.ingest.ruleset import shipped_texts
from cloud.settings import CloudSettings
from contract.records import Lane, Record
from edge.delivery.conversation import FRESH_US
from tests.chaos.audit import Sent, audit, check_journal
from tests.chaos.records import SITE, Numbered, event, reading
from tests.chaos.run import ChaosError, Outcome, Scale, run
from tests.cloud.ingest.conftest import Node, await_rows, nodes, settings, working  # noqa: F401

NODE = Numbered("box-1", 10, readings=60, events=8)
NOW = time.time_ns() // 1000
HEARD = "SELECT 1 FROM rule_state r JOIN journal_head h USING (partition) WHERE r.seq = h.seq AND partition = 10"

OTHER_NUMBER = "partition, seq, number + 99, warning, rule, key, action, kind, severity, time, body"


@pytest.fixture
def tables(settings: CloudSettings, nodes: Callable[..., Node]) -> str:  # noqa: F811
    """What a worker has written that took in all numbers of one node; how to connect to it."""
    node = nodes(partition=NODE.partition, name=NODE.node, site=SITE)
    with working(settings):
        for first in range(0, NODE.readings, 20):
            node.send(first + 1, [reading(n, NOW) for n in range(first, first + 20)])
            node.acked(first + 20)
        node.send(1, [event(n, NOW) for n in range(NODE.events)], Lane.ALARM)
        node.acked(NODE.events, Lane.ALARM)
        await_rows(settings.database, "SELECT action FROM signal WHERE rule = 'fire'", bool)
    assert await_rows(settings.database, HEARD, bool)
    return settings.database


def findings(conninfo: str, *tampering: str) -> str:
    """What the audit says after that was done to the tables."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in tampering:
            assert connection.execute(statement.encode()).rowcount > 0
        return "\n".join(audit(connection, [NODE], shipped_texts()).faults)


def test_what_is_whole_is_found_whole(tables: str) -> None:
    with psycopg.connect(tables, autocommit=True) as connection:
        report = audit(connection, [NODE], shipped_texts())
    assert report.faults == []
    assert report.records == {Lane.LIVE: NODE.readings, Lane.ALARM: NODE.events}
    assert report.signals >= 1


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("DELETE FROM reading WHERE value = 33", "reading: box-1 has 33 0 times"),
        ("INSERT INTO reading SELECT * FROM reading WHERE value = 34", "reading: box-1 has 34 2 times"),
        ("UPDATE reading SET value = 999 WHERE value = 59", "reading: box-1 has 999 1 times, never written"),
        ("DELETE FROM event WHERE id = 'e2'", "event: box-1 has e2 at revision None, and should at 2"),
        ("UPDATE event SET phase = 'open' WHERE id = 'e2'", "event: box-1 has e2 at revision 2, and should at 2"),
        ("DELETE FROM journal WHERE first = 21", "journal: box-1 live goes from 20 to 41–60"),
        (
            "UPDATE journal SET body = (SELECT body FROM journal WHERE first = 1 AND lane = 1) WHERE first = 21",
            "journal: box-1 live has reading 0 after 19",
        ),
        ("UPDATE position SET position = 59 WHERE position = 60", "position: box-1 live is 59, in the journal 60"),
        ("UPDATE journal_head SET seq = seq + 1 WHERE partition = 10", "head: partition 10 says"),
        ("DELETE FROM signal WHERE rule = 'fire'", "the table has None, an undisturbed engine says"),
        ("UPDATE signal SET body = jsonb_set(body, '{severity}', '\"Minor\"') WHERE rule = 'fire'", "Minor"),
        (
            f"INSERT INTO signal SELECT {OTHER_NUMBER} FROM signal",
            "an undisturbed engine says None",
        ),
        ("UPDATE rule_state SET seq = seq - 1 WHERE partition = 10", "the rules of partition 10 stand at"),
        (
            "INSERT INTO quarantine (arrived, topic, site, node, reason, body) VALUES (now(), '', 'a', 'b', 'bad', '')",
            "quarantine: a/b: bad",
        ),
    ],
)
def test_what_was_tampered_with_is_named(tables: str, tampering: str, said: str) -> None:
    assert said in findings(tables, tampering)


def batch(first: int, records: Sequence[Record], lane: Lane = Lane.LIVE) -> Sent:
    return Sent(NODE.node, lane, 1, first, first + len(records) - 1, NOW, tuple(records))


GOOD = (
    batch(1, [reading(0, NOW), reading(1, NOW)]),
    batch(1, [event(0, NOW), event(1, NOW), event(2, NOW)], Lane.ALARM),
    batch(3, [reading(2, NOW)]),
)
THREE = replace(NODE, readings=3, events=3)


def test_a_journal_in_order_is_in_order() -> None:
    assert check_journal(GOOD, [THREE]) == []


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        (GOOD[:2], "reading 2 is missing"),
        ((*GOOD, batch(4, [reading(1, NOW)])), "reading 1 came 2 times"),
        ((GOOD[2], *GOOD[:2]), "goes from 0 to 3–3"),
        ((batch(1, [reading(1, NOW), reading(0, NOW)]), *GOOD[1:]), "box-1 live has reading 0 after 1"),
        ((GOOD[0], GOOD[2], batch(1, [event(n, NOW) for n in (0, 2, 1)], Lane.ALARM)), "alarm has event 1 after 2"),
        ((replace(GOOD[0], last=3), *GOOD[1:]), "goes from 0 to 1–3"),
        ((*GOOD, batch(4, [reading(3, NOW)])), "reading 3 was never written"),
        ((*GOOD, replace(batch(1, [reading(3, NOW)]), epoch=2)), "box-1 has 2 epochs"),
    ],
)
def test_a_journal_that_is_not_is_told_apart(batches: Sequence[Sent], said: str) -> None:
    assert said in "\n".join(check_journal(batches, [THREE]))


def test_an_event_that_lay_long_may_come_behind_younger_ones() -> None:
    old = NOW - FRESH_US
    late = batch(1, [event(0, NOW), event(2, NOW), event(1, old)], Lane.ALARM)
    assert check_journal((GOOD[0], GOOD[2], late), [THREE]) == []


def test_a_failed_run_says_how_to_have_it_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> Outcome:
        raise AssertionError("broker ended by itself")

    monkeypatch.setattr("tests.chaos.run._run", fail)
    said: list[str] = []
    with pytest.raises(ChaosError) as failed:
        run(42, Scale(100, 5, 1.5), tmp_path, said.append)
    assert str(failed.value) == "make chaos SEED=42 RECORDS=100 FAULTS=5 PAUSE=1.5\nbroker ended by itself"
    assert "seed 42" in said[0]
