"""The box, the broker, the ingest worker and the database, all real: every record arrives, once."""

import os
import signal

import psycopg

from cloud.settings import CloudSettings
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
