"""One node says whatever it likes; the worker stays small, and the others are heard meanwhile."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from cloud.settings import CloudSettings
from contract.messages import Batch
from contract.records import Lane, Reading
from contract.topics import Channel
from contract.wire import MAX_WIRE
from tests.cloud.ingest.conftest import Node, await_rows, rows, working

Make = Callable[..., Node]
pack = msgspec.msgpack.encode
YEAR_9999 = 253_370_764_800_000_000


def now() -> int:
    return time.time_ns() // 1000


def reading(value: float, **changes: Any) -> bytes:
    return pack({"type": "reading", "time": now(), "source": "gas", "quantity": "co", "value": value} | changes)


def event(**changes: Any) -> bytes:
    at = now()
    whole = {"type": "event", "id": "e", "kind": "fire", "phase": "open", "revision": 1, "time": at, "started": at}
    return pack(whole | {"source": "gate"} | changes)


def message(*raws: bytes, **changes: Any) -> bytes:
    """A batch as no encoder of ours would make it."""
    whole = {"epoch": 1, "lane": Lane.LIVE, "first": 1, "last": len(raws), "sent": now()}
    return pack(Batch(**(whole | {"records": tuple(map(msgspec.Raw, raws))} | changes)))


def bomb(gibibytes: int) -> bytes:
    """So many GiB of zeros, packed; with the header a batch has."""
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    zeros = bytes(1 << 20)
    packed = packer.compress(message(reading(1))) + b"".join(packer.compress(zeros) for _ in range(gibibytes << 10))
    return packed + packer.flush()


BAD_RECORDS: dict[str, tuple[bytes, str]] = {
    "a NUL in a quantity": (reading(1, quantity="c\0o"), "NUL"),
    "a NUL in an attribute's name": (event(attrs={"a\0": 1}), "NUL"),
    "a NUL in a note": (pack({"type": "health", "time": 1, "software": "\0"}), "software holds a NUL"),
    "no number": (reading(float("nan")), "nan; numbers must be finite"),
    "no end of a number": (event(attrs={"share": float("-inf")}), "-inf; numbers must be finite"),
    "text that is no UTF-8": (reading(1).replace(b"\xa2co", b"\xa2\xff\xfe"), "utf-8"),
    "half a surrogate": (reading(1).replace(b"\xa2co", b"\xa3\xed\xa0\x80"), "utf-8"),
    "a kind of record nobody knows": (reading(1, type="telepathy"), "telepathy"),
    "a time before 1970": (reading(1, time=-62_135_596_800_000_000), ">= 0"),
    "a time in the year 9999": (reading(1, time=YEAR_9999), "4102444799999999"),
    "the last of all times": (reading(1, time=2**63 - 1), "4102444799999999"),
    "a revision beyond all": (event(revision=2**64 - 1), "2**63 - 1"),
    "an enormous quantity": (reading(1, quantity="q" * 100_000), "100000 characters"),
    "an enormous source": (reading(1, source="s" * 100_000), "source"),
    "an array that claims four milliards": (b"\xdd\xff\xff\xff\xff", ""),
    "nesting without end": (event(attrs={})[:-1] + b"\x81\xa1x" * 3000 + b"\xc0", ""),
    "something else": (b"\xc3", "Expected"),
}  # fmt: skip


@pytest.fixture
def worker(settings: CloudSettings) -> Iterator[subprocess.Popen[bytes]]:
    """The worker as operations run it."""
    environment = {**os.environ, **settings.environment()}
    with subprocess.Popen([sys.executable, "-m", "vedette", "ingest", "run"], env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()


def peak_bytes(process: subprocess.Popen[bytes]) -> int:
    """The most memory it ever had; proc(5), VmHWM."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Neighbour:
    """Another node, which sends a reading after the other until it is told to stop."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "Neighbour":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._stop.is_set():
            self.node.send(self.sent + 1, [Reading(time=now(), source="calm", quantity="n", value=self.sent + 1)])
            try:
                self.node.acked(self.sent + 1)
            except Exception:  # noqa: BLE001  the test sees that it got no further
                return
            self.sent += 1


def kept_calm(settings: CloudSettings, neighbour: Neighbour) -> list[tuple[object, ...]]:
    found = rows(
        settings.database,
        "SELECT count(*), count(DISTINCT value), max(value) FROM reading JOIN series s ON s.id = series_id "
        "WHERE s.source = 'calm'",
    )
    assert found == [(neighbour.sent, neighbour.sent, float(neighbour.sent))]
    return found


def test_every_bad_record_is_set_apart_with_its_reason_and_the_good_ones_count(
    settings: CloudSettings, nodes: Make, worker: subprocess.Popen[bytes]
) -> None:
    bad, calm = nodes(), nodes()
    calm.send(1, [Reading(time=now(), source="calm", quantity="n", value=1)])
    while not rows(settings.database, "SELECT 1 FROM reading"):
        calm.send(1, [Reading(time=now(), source="calm", quantity="n", value=1)])
        time.sleep(0.2)
    while not calm.heard.empty():
        calm.heard.get()
    neighbour = Neighbour(calm)
    neighbour.sent = 1
    with neighbour:
        position, good = 0, 0
        for number, (name, (raw, _)) in enumerate(BAD_RECORDS.items()):
            bad.say(message(reading(number), raw, reading(number + 0.5), first=position + 1, last=position + 3))
            position += 3
            assert bad.acked(position).position == position, name
            good += 2
        before = neighbour.sent
        while neighbour.sent < before + 5:
            time.sleep(0.01)
    assert worker.poll() is None
    kept_calm(settings, neighbour)
    found = rows(settings.database, "SELECT reason, number FROM quarantine ORDER BY coalesce(number, 0), id")
    reasons = " | ".join(str(reason) for reason, _ in found)
    for name, (_, reason) in BAD_RECORDS.items():
        assert reason in reasons, name
    whole = [reason for reason, number in found if number is None]
    assert len(found) == len(BAD_RECORDS)
    assert len(whole) == 2, whole  # what is no MessagePack takes its whole batch along: the array and the nesting
    [(taken,)] = rows(
        settings.database, "SELECT count(*) FROM reading JOIN series s ON s.id = series_id WHERE s.source = 'gas'"
    )
    assert taken == good - 2 * len(whole)


def test_bombs_take_no_memory_and_hold_nobody_up(
    settings: CloudSettings, nodes: Make, worker: subprocess.Popen[bytes]
) -> None:
    bad, calm = nodes(), nodes()
    while not rows(settings.database, "SELECT 1 FROM reading"):
        calm.send(1, [Reading(time=now(), source="calm", quantity="n", value=1)])
        time.sleep(0.2)
    while not calm.heard.empty():
        calm.heard.get()
    small = bomb(1)
    assert len(small) < MAX_WIRE
    nils = message(*[b"\xc0"] * 500_000)
    packed = zstandard.ZstdCompressor(level=19).compress(nils)
    before = peak_bytes(worker)
    neighbour = Neighbour(calm)
    neighbour.sent = 1
    with neighbour:
        for number in range(50):
            bad.say(small + bytes(number))
            bad.say(packed)
            bad.say(bytes(MAX_WIRE + 1))
        bad.send(1, [Reading(time=now(), source="gas", quantity="n", value=1)])
        at = neighbour.sent
        unpacked = "SELECT count(*) FROM quarantine WHERE strpos(reason, 'unpacks to more') > 0"
        await_rows(settings.database, unpacked, lambda found: found[0][0] >= 50)  # type: ignore[operator]
        while neighbour.sent < at + 20:
            assert worker.poll() is None
            time.sleep(0.01)
    grown = peak_bytes(worker) - before
    sys.stdout.write(f"peak before {before >> 20} MiB, grown by {grown >> 20} MiB\n")
    assert grown < 256 << 20
    kept_calm(settings, neighbour)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"first": 0, "last": 0}, None),
        ({"first": 0, "last": 0, "lane": Lane.ALARM}, None),
        ({"first": 2**63 - 1, "last": 2**63 - 1}, 1),
        ({"first": 2, "last": 2}, 1),
    ],
)
def test_numbers_that_cannot_be_move_no_position(
    settings: CloudSettings, nodes: Make, changes: dict[str, Any], expected: int | None
) -> None:
    node = nodes()
    with working(settings, {}):
        node.say(message(reading(7), **changes))
        ack = node.ack()
        assert (ack.position, ack.expected) == (0, expected)
        node.send(1, [Reading(time=now(), source="gas", quantity="n", value=1)])
        node.acked(1)
    assert rows(settings.database, "SELECT value FROM reading") == [(1.0,)]


@pytest.mark.parametrize(
    "payload",
    [
        message(reading(7), last=2**63 - 1),
        message(b"\xc1", last=2**63 - 1),
        message(b"\xc1", last=50_000),
        message(reading(7), schema=2),
        pack({"type": "batch", "epoch": 1, "lane": "live", "first": 1, "last": 1, "sent": -1, "records": []}),
        pack({"type": "batch", "epoch": 1, "lane": "alarms", "first": 1, "last": 1, "sent": 1, "records": []}),
        pack({"type": "hello", "epoch": 2**64 - 1, "last": {}, "time": 1}),
        b"",
        b"\x91" * 100_000,
    ],
)
def test_a_message_that_lies_about_itself_is_set_apart_and_moves_no_position(
    settings: CloudSettings, nodes: Make, payload: bytes
) -> None:
    """Had the number that it claims counted, all that came after would be acknowledged and thrown away."""
    node = nodes()
    with working(settings, {}):
        node.say(payload)
        [(reason,)] = await_rows(settings.database, "SELECT reason FROM quarantine", bool)
        assert reason
        node.send(1, [Reading(time=now(), source="gas", quantity="n", value=1)])
        node.acked(1)
    assert rows(settings.database, "SELECT value FROM reading") == [(1.0,)]


def test_a_node_cannot_speak_as_another(settings: CloudSettings, nodes: Make) -> None:
    """The broker lets it write below its own name alone."""
    liar, victim = nodes(), nodes()
    with working(settings, {}):
        for channel in (Channel.UP, Channel.STATE):
            liar.client.publish(victim.address.topic(channel), message(reading(7)))
        liar.client.publish(f"vedette/v1/9/mill/{liar.address.node}/up", message(reading(7)))
        liar.client.publish("vedette/v1/feed", b"")
        liar.send(1, [Reading(time=now(), source="gas", quantity="n", value=1)])
        liar.acked(1)
        victim.send(1, [Reading(time=now(), source="gas", quantity="n", value=2)])
        victim.acked(1)
    assert rows(settings.database, "SELECT value FROM reading ORDER BY 1") == [(1.0,), (2.0,)]
    assert rows(settings.database, "SELECT reason FROM quarantine") == []
