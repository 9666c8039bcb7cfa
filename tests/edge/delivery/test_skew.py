"""Box, broker, worker and database, all real: an alarm is heard now, whatever the box's clock says."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from cloud.settings import CloudSettings
from cloud.store.times import micros
from contract.records import Event, Health, Phase, Reading
from contract.topics import Address
from edge.delivery.outbox import Outbox
from tests.cloud.ingest.conftest import await_rows, rows, settings, working  # noqa: F401
from tests.conftest import RunningBroker
from tests.edge.delivery.talking import talking

HOUR = 3_600_000_000
NEAR = 3_000_000
OPEN = "SELECT kind, past FROM warning WHERE kind IN ('fire', 'gas') AND state = 'open' ORDER BY 1"


class WrongClock:
    """The real time, and ``off`` microseconds more."""

    def __init__(self, off: int) -> None:
        self.off = off

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.off


def fire(clock: Callable[[], int], name: str, phase: Phase = Phase.OPEN, revision: int = 1) -> Event:
    now = clock()
    return Event(id=name, kind="fire", phase=phase, revision=revision, time=now, started=now, source="gate", score=0.9)


def carbon_monoxide(clock: Callable[[], int]) -> Reading:
    return Reading(time=clock(), source="gas", quantity="co", value=250.0, unit="[ppm]")


def enrol(database: str, address: Address) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO node (site, node, partition) VALUES (%s, %s, %s)",
            [address.site, address.node, address.partition],
        )


def box(tmp_path: Path, clock: WrongClock) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite", 1_000_000_000, clock)


@pytest.mark.parametrize("off", [-HOUR, HOUR, -86400 * 365 * 40 * 1_000_000], ids=["slow", "fast", "decades slow"])
def test_a_live_alarm_of_a_box_whose_clock_is_wrong_warns_now(
    settings: CloudSettings,  # noqa: F811
    broker: RunningBroker,
    tmp_path: Path,
    off: int,
) -> None:
    address = Address(5, "mill", f"clock-{abs(off)}-{off > 0}".lower()[:32])
    enrol(settings.database, address)
    clock = WrongClock(off)
    outbox = box(tmp_path, clock)
    with working(settings), talking(outbox, address, clock, broker, broker.add_node(address)) as talker:
        began = time.time_ns() // 1000
        outbox.append([fire(clock, "f1"), carbon_monoxide(clock), Health(time=clock())])
        talker.deliver()
        warned = await_rows(settings.database, OPEN, lambda found: len(found) == 2)
        assert warned == [("fire", False), ("gas", False)]
        for (episode,) in rows(settings.database, "SELECT episode FROM warning WHERE kind IN ('fire', 'gas')"):
            assert isinstance(episode, datetime)
            assert abs(micros(episode) - began) < NEAR
    for table in ("event", "reading"):
        [(told, replaced)] = rows(settings.database, f"SELECT time, replaced FROM {table}")
        assert replaced is True
        assert abs(micros(told) - began) < NEAR  # type: ignore[arg-type]
    [(ahead, at)] = rows(
        settings.database, "SELECT (health ->> 'clock_ahead_s')::float, health_time FROM node WHERE health IS NOT NULL"
    )
    assert abs(ahead - off / 1e6) < 3  # type: ignore[operator]
    assert abs(micros(at) - began) < NEAR  # type: ignore[arg-type]
    outbox.close()


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_that_is_set_while_records_wait_and_while_they_flow(
    settings: CloudSettings,  # noqa: F811
    broker: RunningBroker,
    tmp_path: Path,
    step: int,
) -> None:
    """Wrong first and right then, or right first and wrong then: each record lies where it happened."""
    address = Address(5, "mill", f"step-{'on' if step > 0 else 'back'}")
    enrol(settings.database, address)
    clock = WrongClock(-step if step > 0 else 0)
    outbox = box(tmp_path, clock)
    who = broker.add_node(address)
    began = time.time_ns() // 1000
    outbox.append([fire(clock, "before"), Reading(time=clock(), source="gas", quantity="co", value=1.0)])
    clock.off += step
    outbox.append([Reading(time=clock(), source="gas", quantity="co", value=2.0)])
    with working(settings), talking(outbox, address, clock, broker, who) as talker:
        talker.deliver()
        clock.off -= step
        outbox.append([Reading(time=clock(), source="gas", quantity="co", value=3.0), fire(clock, "after")])
        talker.deliver()
        clock.off += step
        outbox.append([Reading(time=clock(), source="gas", quantity="co", value=250.0, unit="[ppm]")])
        talker.deliver()
        await_rows(settings.database, OPEN, lambda found: [kind for kind, _ in found] == ["fire", "gas"])
        await_rows(
            settings.database, "SELECT events FROM warning WHERE kind = 'fire'", lambda found: len(found[0][0]) == 2
        )
    found = rows(settings.database, "SELECT time, value, replaced FROM reading ORDER BY arrived, value")
    wrong_first = step > 0
    assert [(value, replaced) for _, value, replaced in found] == [
        (1.0, wrong_first),
        (2.0, not wrong_first),
        (3.0, wrong_first),
        (250.0, not wrong_first),
    ]
    for told, _, _ in found:
        assert 0 <= micros(told) - began + NEAR < 30_000_000  # type: ignore[arg-type]
    [(latest,)] = rows(settings.database, "SELECT value FROM latest JOIN series ON id = series_id WHERE unit = ''")
    assert latest == 3.0
    outbox.close()


def test_history_of_a_slow_clock_lies_where_it_happened_and_warns_nobody(
    settings: CloudSettings,  # noqa: F811
    broker: RunningBroker,
    tmp_path: Path,
) -> None:
    address = Address(5, "mill", "slow-history")
    enrol(settings.database, address)
    clock = WrongClock(-HOUR)
    uptime = [0]
    outbox = Outbox(tmp_path / "outbox.sqlite", 10**9, clock, uptime=lambda: time.monotonic_ns() // 1000 + uptime[0])
    outbox.append([fire(clock, "over"), fire(clock, "over", Phase.CLOSE, 2), carbon_monoxide(clock)])
    began = time.time_ns() // 1000
    # Ten minutes pass by both, without the link.
    uptime[0] += 600_000_000
    clock.off += 600_000_000
    with working(settings), talking(outbox, address, clock, broker, broker.add_node(address)) as talker:
        talker.deliver()
        lanes = "SELECT lane FROM event UNION SELECT lane FROM reading"
        assert rows(settings.database, lanes) == [(2,)]
        await_rows(settings.database, "SELECT past FROM warning WHERE kind = 'fire'", lambda found: found == [(True,)])
        assert rows(settings.database, OPEN) == []
    [(told,)] = rows(settings.database, "SELECT time FROM reading")
    assert abs(micros(told) - (began - 600_000_000)) < NEAR  # type: ignore[arg-type]
    outbox.close()
