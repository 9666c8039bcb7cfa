"""Two workers take readings in around the very minute that a third thread is closing, and every one is counted once."""

import contextlib
import queue
import time
from collections.abc import Callable
from random import Random

import psycopg
import pytest

from cloud.ingest import upkeep
from cloud.settings import CloudSettings
from cloud.store import rollups
from cloud.store.times import moment
from contract.records import Lane, Reading
from tests.cloud.ingest.conftest import Node, await_rows, rows, working

MINUTE = 60_000_000
SPAN = 60
"""Minutes that are closed while readings come, one every twentieth of a second."""

FROM_READINGS = """
SELECT series_id, date_bin('1 minute', time, '2000-01-01 00:00:00+00') AS begin, count(*), sum(value), min(value),
    max(value), (array_agg(value ORDER BY time DESC, value DESC))[1] FROM reading GROUP BY 1, 2"""
FROM_ROLLUPS = "SELECT series_id, time AS begin, count, sum, min, max, last FROM rollup_minute"


def _wait_until_heard(node: Node) -> None:
    """A worker may hold a partition for a moment before the broker carries to it what its nodes say."""
    while True:
        node.hello()
        with contextlib.suppress(queue.Empty):
            node.heard.get(timeout=1.0)
            break
    with contextlib.suppress(queue.Empty):
        while True:
            node.heard.get(timeout=0.5)  # answers to further greetings


@pytest.mark.slow  # a minute is closed every twentieth of a second, while readings come
def test_readings_around_the_horizon_are_counted_once(
    settings: CloudSettings, nodes: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "ROLLUPS_S", 0.05)
    monkeypatch.setattr(rollups, "STEP", MINUTE)
    monkeypatch.setattr(rollups, "_MOST_STEPS", 1)
    random, begin = Random(1), time.time_ns() // 1000 // MINUTE * MINUTE - (SPAN + 5) * MINUTE
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute("UPDATE rollup_state SET horizon = %(to)s, closed = %(to)s", {"to": moment(begin)})
        both = [nodes(3), nodes(200)]
        sent = [0, 0]
        half = settings.model_copy(update={"partitions": 128})
        with working(half), working(half, wait=False):
            await_rows(settings.database, "SELECT count(*) FROM worker", lambda found: found == [(2,)])
            for node in both:
                _wait_until_heard(node)
            while True:
                row = connection.execute("SELECT closed FROM rollup_state").fetchone()
                assert row is not None
                if row[0] >= moment(begin + SPAN * MINUTE):
                    break
                closed = int(row[0].timestamp()) * 1_000_000
                for index, node in enumerate(both):
                    times = [closed + random.randrange(-3 * MINUTE, 3 * MINUTE) for _ in range(40)]
                    node.send(
                        sent[index] + 1,
                        [Reading(time=at, source="gas", quantity="co", value=float(at % 97)) for at in times],
                    )
                    sent[index] += 40
                    node.acked(sent[index], Lane.LIVE)
            await_rows(
                settings.database,
                f"SELECT closed > '{moment(begin + (SPAN + 3) * MINUTE)}' AND NOT EXISTS (SELECT FROM rollup_due) "
                "FROM rollup_state",
                lambda found: found == [(True,)],
            )
    assert rows(settings.database, "SELECT count(*) FROM reading") == [(sum(sent),)]
    late = rows(settings.database, "SELECT count(*) FILTER (WHERE late), count(*) FILTER (WHERE NOT late) FROM reading")
    assert min(late[0]) > 100  # type: ignore[type-var]  # both ways were gone
    assert rows(settings.database, f"({FROM_READINGS}) EXCEPT ({FROM_ROLLUPS})") == []
    assert rows(settings.database, f"({FROM_ROLLUPS}) EXCEPT ({FROM_READINGS})") == []
