"""The box, the broker, the ingest worker and the database, all real: every record arrives, once."""

import os
import signal
from datetime import UTC, datetime, timedelta

import psycopg

from cloud.api import reads
from cloud.settings import CloudSettings
from cloud.store.connection import connect
from contract.records import Phase
from tests.cloud.ingest.conftest import await_rows, rows, settings, working  # noqa: F401
from tests.edge.delivery.conftest import Box
from tests.edge.delivery.samples import event, reading


def test_every_record_is_in_the_database_once_whoever_dies(box: Box, settings: CloudSettings) -> None:  # noqa: F811
    database = settings.database
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO node (site, node, partition) VALUES (%s, %s, %s)",
            [box.address.site, box.address.node, box.address.partition],
        )
    sent = 0

    def append(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            box.append(reading(sent), event("fire", sent + 1, Phase.CHANGE))
            sent += 1

    def arrived(least: int) -> None:
        await_rows(database, "SELECT max(revision) FROM event", lambda found: (found[0][0] or 0) >= least)  # type: ignore[operator]

    append(40)
    for _ in range(2):
        with working(settings, {}), box.delivery() as delivery:
            append(40)
            arrived(sent - 20)
            os.kill(delivery.pid, signal.SIGKILL)
            append(20)
        with box.delivery(), working(settings, {}):
            append(40)
            arrived(sent)
    with box.delivery(), working(settings, {}):
        readings = "SELECT value FROM reading JOIN series ON series.id = series_id WHERE quantity = 'co' ORDER BY 1"
        found = await_rows(database, readings, lambda found: len(found) >= sent)
        await_rows(database, "SELECT 1", lambda _: sum(box.outbox.waiting().values()) == 0)
    assert [value for (value,) in found] == list(range(sent))
    assert rows(database, "SELECT id, revision FROM event") == [("fire", sent)]


def test_a_box_that_is_up_shows_its_heartbeat_and_that_its_clock_is_right(
    box: Box,
    settings: CloudSettings,  # noqa: F811
) -> None:
    with psycopg.connect(settings.database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO node (site, node, partition) VALUES (%s, %s, %s)",
            [box.address.site, box.address.node, box.address.partition],
        )
    with working(settings), box.delivery():
        await_rows(settings.database, "SELECT heartbeat FROM node", lambda found: found[0][0] is not None)
        # The first health report may be made before the cloud has told its time.
        box.append(reading(1))
        known = "SELECT health ->> 'clock_ahead_s' FROM node"
        await_rows(settings.database, known, lambda found: found[0][0] is not None)
    with connect(settings.database, "test") as connection:
        [node] = reads.nodes().run(connection)
    assert node.heartbeat is not None
    assert timedelta(0) <= datetime.now(UTC) - node.heartbeat < timedelta(seconds=30)
    assert node.clock_ahead_s is not None
    assert abs(node.clock_ahead_s) < 0.5
    assert (node.readings_thinned, node.uploads_lost) == (0, 0)
