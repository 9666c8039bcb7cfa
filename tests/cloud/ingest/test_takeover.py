"""A worker may be killed or stand still at the worst moment: another one takes over, and every record counts once."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.ingest import journal
from cloud.ingest.election import LOOKS, SILENT_AFTER_S, STALLED_AFTER_S, Election
from cloud.servers.postgres import EmbeddedPostgres
from cloud.settings import CloudSettings
from cloud.store.connection import PoolerError, connect, prove_direct
from contract.ids import PARTITIONS
from contract.records import Event, Lane, Phase, Reading
from tests.cloud.ingest.conftest import WAIT_S, Node, await_rows, rows, working

Make = Callable[..., Node]
_RUN = """
import os, signal, sys, threading
from cloud.ingest import journal, session, worker
from cloud.settings import CloudSettings
{sabotage}
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
worker.run(CloudSettings.from_environment(os.environ), stop)
"""
NOTHING = ""
DIE_BEFORE_THE_ACK = """
def answer(self, gathered):
    if gathered.answers:
        os.kill(os.getpid(), signal.SIGKILL)
session.Session._answer = answer
"""
STAND_STILL_IN_THE_TRANSACTION = """
whole = journal.append
def append(connection, heads, lines, numbers):
    moved = whole(connection, heads, lines, numbers)
    if any(line.kind == "batch" for line in lines):
        os.kill(os.getpid(), signal.SIGSTOP)
    return moved
session.commit.__globals__["journal"].append = append
"""
STAND_STILL_IN_THE_COPY = """
import psycopg
write = psycopg.Copy.write
def half(self, data):
    write(self, data)
    if b"gas-7" in bytes(data):
        self.connection.pgconn.flush()
        os.kill(os.getpid(), signal.SIGSTOP)
psycopg.Copy.write = half
"""


@contextmanager
def process(settings: CloudSettings, sabotage: str = NOTHING) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, once it holds its partitions."""
    child = subprocess.Popen(
        [sys.executable, "-c", _RUN.format(sabotage=sabotage)],
        env={**os.environ, **settings.environment()},
        stdout=subprocess.DEVNULL,
    )
    try:
        await_rows(settings.database, HOLDERS, bool)
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGCONT)
            child.kill()
        child.wait()


HOLDERS = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = {0x5645_4401} AND granted LIMIT 1"


def reading(number: int) -> Reading:
    return Reading(time=time.time_ns() // 1000, source="gas-1", quantity="co", value=number)


def fire() -> Event:
    now = time.time_ns() // 1000
    return Event(id="e1", kind="fire", phase=Phase.OPEN, revision=1, time=now, started=now, source="cam-1")


def until_acked(node: Node, position: int, first: int, records: list[Reading | Event], lane: Lane) -> None:
    """As a node does: send again until it is acknowledged."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        node.send(first, records, lane)
        try:
            ack = node.heard.get(timeout=0.3)
        except queue.Empty:
            continue
        if getattr(ack, "position", -1) == position:
            return
    raise AssertionError(f"{position} was not acknowledged")


def test_killed_between_commit_and_acknowledgement(settings: CloudSettings, nodes: Make) -> None:
    node = nodes()
    with process(settings, DIE_BEFORE_THE_ACK) as child:
        pause = threading.Event()
        while child.poll() is None:  # until it hears us, and dies of it
            node.send(1, [fire()], Lane.ALARM)
            pause.wait(0.1)
        assert child.returncode == -signal.SIGKILL
    assert rows(settings.database, "SELECT count(*) FROM event") == [(1,)]
    assert rows(settings.database, "SELECT count(*) FROM warning") == [(0,)]
    assert node.heard.empty()
    with working(settings):
        until_acked(node, 1, 1, [fire()], Lane.ALARM)
        # The rules had not heard of it; whoever comes next reads it in the journal.
        await_rows(settings.database, "SELECT kind, state FROM warning", lambda found: ("fire", "open") in found)
    assert rows(settings.database, "SELECT count(*) FROM journal WHERE kind = 'batch'") == [(1,)]


@pytest.mark.parametrize("sabotage", [NOTHING, STAND_STILL_IN_THE_TRANSACTION], ids=["at rest", "in its transaction"])
def test_standing_still(settings: CloudSettings, nodes: Make, sabotage: str) -> None:
    node = nodes()
    with process(settings, sabotage) as child:
        if sabotage:
            pause = threading.Event()
            while not _stopped(child):
                node.send(1, [reading(1), reading(2)])
                pause.wait(0.05)
        else:
            until_acked(node, 2, 1, [reading(1), reading(2)], Lane.LIVE)
            child.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with working(settings):
            until_acked(node, 2, 1, [reading(1), reading(2)], Lane.LIVE)
            until_acked(node, 3, 3, [reading(3)], Lane.LIVE)
            assert time.monotonic() - began < SILENT_AFTER_S + 4
            child.send_signal(signal.SIGCONT)
            until_acked(node, 4, 4, [reading(4)], Lane.LIVE)
            await_rows(settings.database, MEMBERS, lambda found: found == [(2,)])  # back, and harmless
    assert rows(settings.database, "SELECT value FROM reading ORDER BY 1") == [(1.0,), (2.0,), (3.0,), (4.0,)]


def test_stopped_within_a_copy_it_writes_nothing_and_its_partition_goes_on(
    settings: CloudSettings, nodes: Make
) -> None:
    """Two workers with a full share each; the one that has the node's partition stops in the middle of a COPY."""
    node = nodes()
    with process(settings, STAND_STILL_IN_THE_COPY) as one:
        until_acked(node, 1, 1, [reading(1)], Lane.LIVE)
        with process(settings, STAND_STILL_IN_THE_COPY) as other:
            await_rows(settings.database, SHARES, lambda found: [n for (n,) in found] == [128, 128])
            stuck = threading.Event()
            marked = Reading(time=time.time_ns() // 1000, source="gas-7", quantity="co", value=2)
            while not (_stopped(one) or _stopped(other)):
                node.send(2, [marked], Lane.LIVE)
                stuck.wait(0.02)
            began = time.monotonic()
            assert rows(settings.database, IN_COPY) == [(1,)]
            until_acked(node, 2, 2, [reading(2)], Lane.LIVE)
            assert time.monotonic() - began < 5
            for child in (one, other):
                child.send_signal(signal.SIGCONT)
            await_rows(settings.database, SHARES, lambda found: [n for (n,) in found] == [128, 128])
            until_acked(node, 3, 3, [reading(3)], Lane.LIVE)
    assert rows(settings.database, "SELECT value FROM reading ORDER BY 1") == [(1.0,), (2.0,), (3.0,)]
    assert rows(settings.database, "SELECT count(*) FROM series WHERE source = 'gas-7'") == [(0,)]


SHARES = (
    f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {0x5645_4401} AND granted GROUP BY pid"
)
IN_COPY = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vedette-ingest' AND state = 'active' "
    "AND query ^@ 'COPY' AND wait_event_type = 'Client'"
)
MEMBERS = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {0x5645_4402} AND granted"


def _stopped(child: subprocess.Popen[bytes]) -> bool:
    """By proc(5): the state after the command's name."""
    return Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def test_workers_share_and_inherit(database: str) -> None:
    first_connection = connect(database, "test")
    with first_connection, connect(database, "test") as second_connection:
        first = Election(first_connection, PARTITIONS, "first", time.monotonic)
        assert first.round() == (set(range(256)), set())
        second = Election(second_connection, PARTITIONS, "second", time.monotonic)
        assert second.round() == (set(), set())
        _, surplus = first.round()
        assert len(surplus) == 128
        first.give_up(surplus)
        assert second.round() == (surplus, set())
        assert first.held | second.held == set(range(256))
        first_connection.close()
        pause = threading.Event()
        while len(second.held) < 256:
            second.round()
            pause.wait(0.01)


def test_a_partition_that_comes_back_is_not_remembered_as_it_was(settings: CloudSettings, nodes: Make) -> None:
    """Another worker had it in between, and took in what the node had sent it."""
    node = nodes(partition=200)
    position = "SELECT position FROM position"
    with working(settings):
        until_acked(node, 1, 1, [reading(1)], Lane.LIVE)
        with connect(settings.database, "test") as connection:
            other = Election(connection, PARTITIONS, "other", time.monotonic)
            pause = threading.Event()
            while 200 not in other.held:
                other.round()
                pause.wait(0.05)
            connection.execute("UPDATE position SET position = 5")
        await_rows(settings.database, SHARES, lambda found: found == [(256,)])
        until_acked(node, 5, 2, [reading(2)], Lane.LIVE)
        assert rows(settings.database, position) == [(5,)]
        until_acked(node, 6, 6, [reading(6)], Lane.LIVE)
    assert rows(settings.database, "SELECT value FROM reading ORDER BY 1") == [(1.0,), (6.0,)]
    assert rows(settings.database, position) == [(6,)]


def test_a_holder_whose_beat_stands_still_is_ended_even_in_a_statement(database: str) -> None:
    now = [0.0]
    with connect(database, "test") as held, connect(database, "test") as other, ThreadPoolExecutor(1) as pool:
        first = Election(held, PARTITIONS, "first", lambda: now[0])
        first.round()
        busy = pool.submit(held.execute, "SELECT pg_sleep(60)")
        second = Election(other, PARTITIONS, "second", lambda: now[0])
        second.round()
        for _ in range(LOOKS):
            # PostgreSQL does not wait for this one: it is given longer.
            now[0] += (STALLED_AFTER_S - 1) / LOOKS
            second.round()
        assert second.evicted == 0
        now[0] += 2
        second.round()
        assert second.evicted == 1
        with pytest.raises(psycopg.errors.AdminShutdown):
            busy.result(WAIT_S)
        pause = threading.Event()
        while not second.round()[0]:
            pause.wait(0.01)
        assert len(second.held) == PARTITIONS


def test_a_worker_with_a_full_share_ends_a_silent_one_and_not_after_one_long_look(database: str) -> None:
    now = [0.0]
    with connect(database, "test") as held, connect(database, "test") as other:
        first = Election(held, PARTITIONS, "first", lambda: now[0])
        first.round()
        second = Election(other, PARTITIONS, "second", lambda: now[0])
        second.round()
        first.give_up(first.round()[1])
        second.round()
        assert len(second.held) == len(first.held) == 128
        # The database kept us waiting: for all that we know it kept the other one too.
        now[0] += 60
        second.round()
        assert second.evicted == 0
        first.round()
        for _ in range(LOOKS + 1):
            second.round()
            now[0] += SILENT_AFTER_S / LOOKS
        assert second.evicted == 1
        pause = threading.Event()
        while len(second.held) < PARTITIONS:
            second.round()
            pause.wait(0.01)


def test_a_partition_is_taken_only_once_what_was_committed_is_safe(postgres: EmbeddedPostgres, database: str) -> None:
    """With synchronous replication and no standby: what a worker that was ended has left in view may be taken back."""
    with (
        connect(database, "test") as connection,
        psycopg.connect(postgres.conninfo, autocommit=True) as admin,
        ThreadPoolExecutor(1) as pool,
    ):
        assert journal.heads(connection, [5]) == {5: (0, "")}
        try:
            replicate_to(admin, "nobody")
            pause = threading.Event()
            for _ in range(50):  # until PostgreSQL has taken the setting in
                taken = pool.submit(journal.heads, connection, [5])
                pause.wait(0.2)
                if not taken.done():
                    break
                taken.result()
            assert rows(database, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == [(1,)]
            assert not taken.done()
        finally:
            replicate_to(admin, "")
        assert taken.result(WAIT_S) == {5: (0, "")}


def replicate_to(admin: psycopg.Connection, standby: str) -> None:
    admin.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(standby))
    admin.execute("SELECT pg_reload_conf()")


def test_a_holder_that_beats_is_left_alone(database: str) -> None:
    now = [0.0]
    with connect(database, "test") as one, connect(database, "test") as two:
        first = Election(one, 200, "first", lambda: now[0])
        second = Election(two, PARTITIONS, "second", lambda: now[0])
        for _ in range(20):
            first.round()
            second.round()
            now[0] += 1
        assert second.evicted == first.evicted == 0


class Pooled(psycopg.Connection):
    """A connection whose every statement may run in another session, as behind a transaction pooler."""

    def execute(self, *_: Any, **__: Any) -> psycopg.Cursor:
        others.append(others.pop(0))
        return others[0].execute("SELECT pg_backend_pid()")


others: list[psycopg.Connection] = []


def test_a_transaction_pooler_is_told_from_the_database(database: str) -> None:
    with connect(database, "test") as one, connect(database, "test") as two, Pooled.connect(database) as pooled:
        prove_direct(one, database)
        others[:] = [one, two]
        with pytest.raises(PoolerError, match="through a transaction pooler; name the database itself"):
            prove_direct(pooled, database)
