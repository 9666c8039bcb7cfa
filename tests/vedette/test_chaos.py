"""Kill any process, stop it, cut the power: every record arrives once, the others go on, and what died is back."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from contract.records import Reading
from edge.delivery.outbox import Outbox
from tests.vedette.conftest import REPOSITORY, VEDETTE, System, start_system, vedette
from vedette.up.home import Home

pytestmark = [
    pytest.mark.slow,  # every part is killed in turn, and each must be seen to come back
    pytest.mark.timeout(420),
]
NODE_PARTS = ("capture.{camera}", "vision", "sensing", "delivery")
UP_PARTS = ("postgres", "broker", "ingest", "api", "gas", "node")


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = start_system(tmp_path_factory.mktemp("chaos"))
    yield system
    assert system.stop() == 0, system.tail()


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Writer:
    """Appends numbered readings to a node's outbox, as any part of the node does, until told to stop."""

    def __init__(self, outbox: Path, source: str) -> None:
        self.source = source
        self.durable: list[int] = []
        self._outbox = outbox
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        outbox = Outbox(self._outbox, 1_000_000_000, now)
        try:
            while not self._stop.wait(0.02):
                number = len(self.durable)
                outbox.append([Reading(time=now(), source=self.source, quantity="number", value=float(number))])
                self.durable.append(number)
        finally:
            outbox.close()


def arrived(system: System, source: str) -> Counter[int]:
    """How often each number of a source stands in the database."""
    query = "SELECT value FROM reading JOIN series ON series.id = series_id WHERE source = %s AND quantity = 'number'"
    with psycopg.connect(Home(system.home).settings().database) as connection:
        return Counter(int(value) for (value,) in connection.execute(query, (source,)))


def node_processes(system: System) -> dict[str, int]:
    """The demonstration node's parts by name, out of the process table: what the kernel says, not the node."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "edge.supervisor.part" in words and any(str(system.home) in word for word in words):
            found[words[words.index("edge.supervisor.part") + 1]] = int(entry.name)
    return found


def latest(system: System) -> dict[str, str]:
    """Time of the last reading of every source."""
    return {row["source"]: row["time"] for row in system.json("readings") if row["quantity"] != "number"}


def all_well(system: System) -> bool:
    nodes = [node for node in system.json("status")["nodes"] if node["node"] == "box-1"]
    return bool(nodes) and all(thing["state"] == "ok" for node in nodes for thing in [*node["sources"], *node["parts"]])


def test_every_process_of_the_node_may_crash(chaos: System) -> None:
    chaos.wait("all to be well", lambda: all_well(chaos), 90)
    outbox = chaos.home / "demo" / "box-1" / "outbox.sqlite"
    with Writer(outbox, "crash-writer") as writer:
        for part, pid in sorted(node_processes(chaos).items()):
            before = latest(chaos)
            os.kill(pid, signal.SIGSEGV)
            chaos.wait(f"{part} to be back", lambda part=part, pid=pid: node_processes(chaos).get(part, pid) != pid)
            hit = part.partition(".")[2]
            others = [source for source in before if source != hit and part not in ("vision", "sensing")]
            chaos.wait(
                f"the others to go on without {part}",
                lambda others=others, before=before: all(latest(chaos)[source] > before[source] for source in others),
            )
        chaos.wait("all to be well again", lambda: all_well(chaos), 90)
    numbers = Counter(writer.durable)
    assert len(numbers) > 100
    chaos.wait("every number", lambda: arrived(chaos, "crash-writer").total() >= numbers.total())
    assert arrived(chaos, "crash-writer") == numbers


@pytest.mark.parametrize("part", UP_PARTS)
def test_every_part_of_the_whole_may_be_killed(chaos: System, part: str) -> None:
    chaos.wait("all to be well", lambda: all_well(chaos), 90)
    outbox = chaos.home / "demo" / "box-1" / "outbox.sqlite"
    with Writer(outbox, f"kill-{part}") as writer:
        time.sleep(1.0)
        pid = chaos.parts()[part]
        os.kill(pid, signal.SIGKILL)
        chaos.wait(f"{part} to be back", lambda: chaos.parts().get(part, pid) != pid)
        with_answer = json.loads((chaos.home / "server.json").read_text())
        assert with_answer["url"] == chaos.url
        chaos.wait(
            "the API to answer", lambda: vedette("status", "--data-dir", str(chaos.home), check=False).returncode == 0
        )
        chaos.wait("all to be well again", lambda: all_well(chaos), 120)
    numbers = Counter(writer.durable)
    chaos.wait("every number", lambda: arrived(chaos, f"kill-{part}").total() >= numbers.total())
    assert arrived(chaos, f"kill-{part}") == numbers


def test_stopped_ingest_worker_is_replaced_and_writes_nothing_more(chaos: System) -> None:
    chaos.wait("all to be well", lambda: all_well(chaos), 90)
    outbox = chaos.home / "demo" / "box-1" / "outbox.sqlite"
    with Writer(outbox, "stop-writer") as writer:
        time.sleep(1.0)
        pid = chaos.parts()["ingest"]
        os.kill(pid, signal.SIGSTOP)
        chaos.wait("another worker", lambda: chaos.parts().get("ingest", pid) != pid, 60)
        begun = len(writer.durable)
        chaos.wait("new numbers", lambda: arrived(chaos, "stop-writer").total() > begun)
    numbers = Counter(writer.durable)
    chaos.wait("every number", lambda: arrived(chaos, "stop-writer").total() >= numbers.total())
    assert arrived(chaos, "stop-writer") == numbers


def test_power_cut(chaos: System, tmp_path: Path) -> None:
    """The outbox as it lay on the disk when everything stood still, and a node that starts from it."""
    vedette("fleet", "enrol", "demo", "box-2", "--data-dir", str(chaos.home), "--out", str(tmp_path / "box-2"))
    config = tmp_path / "box-2" / "node.yaml"
    storage = Path(yaml.safe_load(config.read_text())["storage"]["folder"])
    storage = storage if storage.is_absolute() else config.parent / storage
    outbox = storage / "outbox.sqlite"

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "node.log").open("ab") as log:
            return subprocess.Popen(
                [*VEDETTE, "node", "run", "-c", str(config)], stdout=log, stderr=log, cwd=REPOSITORY
            )

    durable: list[int] = []
    for cut in range(3):
        node = start()
        chaos.wait("the outbox", outbox.exists)
        with Writer(outbox, f"cut-{cut}") as writer:
            chaos.wait("numbers to arrive", lambda cut=cut: arrived(chaos, f"cut-{cut}").total() > 50)
        # The writer is out before the rest stands still: a stopped process may hold the file's lock.
        for pid in tree(node.pid):
            os.kill(pid, signal.SIGSTOP)
        kept = tmp_path / f"disk-{cut}"
        shutil.copytree(storage, kept)
        for pid in tree(node.pid):
            os.kill(pid, signal.SIGKILL)
        node.wait()
        shutil.rmtree(storage)
        shutil.copytree(kept, storage)
        durable.append(len(writer.durable))
    node = start()
    try:
        for cut, count in enumerate(durable):
            chaos.wait(
                f"every number before cut {cut}", lambda cut=cut, n=count: arrived(chaos, f"cut-{cut}").total() >= n
            )
            assert arrived(chaos, f"cut-{cut}") == Counter(range(count))
    finally:
        node.terminate()
        node.wait(30)


def tree(pid: int) -> list[int]:
    """A process and all below it, parents first."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found.extend(tree(int(child)))
    return found
