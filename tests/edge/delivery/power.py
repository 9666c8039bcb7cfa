"""An outbox whose power is cut in the middle of a transaction, again and again, as a seed has it.

After a cut the disk holds what had been forced to it, and of what was written since any part: each sector of it as it
was or as it should become. SQLite's own order is kept: the log of a transaction is forced before it returns, a log that
begins anew has its header forced before anything else of it is written, and of a checkpoint any part of the pages may
have come to the disk while the log is whole (sqlite.org/wal.html, sqlite.org/fileformat2.html#the_write_ahead_log).
"""

import contextlib
import random
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

import pytest

from contract.records import Event, Lane, Phase, Reading, Record, Summary
from edge.delivery import room, schema
from edge.delivery.outbox import Outbox
from edge.delivery.thinning import NothingToThinError, thin
from tests.edge.delivery.samples import START, Clock, event, evidence, make, reading, records_of

CHECKPOINT_FRAMES: Final = 24
"""SQLite's own 1000 would hardly ever be reached here."""
OPERATIONS: Final = 40
CUT_CHANCE: Final = 0.2
_SECTOR: Final = 512
_HEADER: Final = 32
_FRAME: Final = 24 + 4096
_OWNERS: Final = ("square/one", "square/two")


@dataclass(frozen=True)
class Disk:
    """The outbox's two files at a moment, and how much of the log counts: frames and the log's salt."""

    main: bytes
    log: bytes
    frames: int
    salt: bytes

    @property
    def forced(self) -> int:
        """Bytes of the log that were forced to the disk."""
        return _HEADER + self.frames * _FRAME if self.frames else 0


def look(path: Path) -> Disk:
    """What the files hold now; the index beside the log tells what of it counts."""
    index = path.with_name(path.name + "-shm").read_bytes()[:48]
    (frames,) = struct.unpack_from("=I", index, 16)
    return Disk(path.read_bytes(), path.with_name(path.name + "-wal").read_bytes(), frames, index[32:40])


def cut(before: Disk, after: Disk, chance: random.Random) -> tuple[bytes, bytes]:
    """Main file and log of a disk whose power went between the two moments."""
    if after.frames == before.frames and after.salt == before.salt:
        return after.main, after.log  # nothing was written, or only what a checkpoint does after the log is whole
    if chance.random() < 0.3:
        return _torn(before.main, after.main, 0, chance), after.log
    if before.salt == after.salt:
        return before.main, _torn(before.log, after.log, before.forced, chance)
    if chance.random() < 0.3:
        return before.main, before.log
    return before.main, after.log[:_HEADER] + _torn(before.log, after.log, _HEADER, chance)[_HEADER:]


def _torn(before: bytes, after: bytes, forced: int, chance: random.Random) -> bytes:
    """Each sector as it was or as it became; up to ``forced`` as it became."""
    length = chance.randrange(min(max(len(before), forced), len(after)), len(after) + 1)
    old = before.ljust(length, b"\0")
    share = chance.random()
    parts = [after[:forced]]
    for at in range(forced, length, _SECTOR):
        source = after if chance.random() < share else old
        parts.append(source[at : min(at + _SECTOR, length)])
    return b"".join(parts)


Settle = Callable[[], None]
"""Called when what was done is there for good."""
Work = Callable[[], Settle]


class PowerCuts:
    """A seed's operations on an outbox in ``folder``, with its power cuts, beside what must hold."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.cuts = 0
        self.undone = 0
        """Cuts after which the operation under way had not happened."""
        self._seed = seed
        self._folder = folder
        self._lives = 0
        self._boot = 0
        self._uptime = Clock(10**9)
        self._count = 0
        self._opened: dict[str, int] = {}
        self._appended: Counter[str] = Counter()
        self._delivered: Counter[str] = Counter()
        self._numbers: dict[tuple[int, Lane, int], bytes] = {}
        self._said: list[str] = []
        self._outbox = self._open(self._next_folder())
        self._outbox.claim(_OWNERS[0])

    def run(self) -> None:
        """All of it; at the end everything is delivered, and everything that was appended is there.

        Raises:
            AssertionError: it is not; with the seed and the operations.
        """
        try:
            for _ in range(OPERATIONS):
                self._operate()
            for lane in Lane:
                self._deliver_all(lane)
            assert _readable(self._appended) == _readable(self._delivered)
            assert sum(self._outbox.waiting().values()) == 0
        except AssertionError as error:
            raise AssertionError(f"seed {self._seed}, after {', '.join(self._said)}: {error}") from error
        finally:
            self._outbox.close()

    def _operate(self) -> None:
        names = ["append", "append", "append", "number", "number", "ack", "age", "thin", "epoch", "claim", "restart"]
        name = self.chance.choice(names)
        work = getattr(self, f"_{name}")()
        self._said.append(name)
        if name == "restart" or self.chance.random() >= CUT_CHANCE:
            work()()
            if name in ("number", "epoch", "claim"):
                self._check()
            return
        before, first = look(self._path), self._state()
        settle = work()
        second, after = self._state(), look(self._path)
        self._outbox.close()
        main, log = cut(before, after, self.chance)
        folder = self._next_folder()
        (folder / "outbox.sqlite").write_bytes(main)
        (folder / "outbox.sqlite-wal").write_bytes(log)
        self._outbox = self._open(folder)
        found = self._state()
        self.cuts += 1
        self._said.append("cut")
        assert not list(folder.glob("*.damaged-*")), "the file was taken for damaged"
        assert found in (first, second), "neither as it was nor as it should become"
        if found == second:
            settle()
        else:
            self.undone += 1
        self._check()

    def _append(self) -> Work:
        records: list[Record] = []
        for _ in range(self.chance.randrange(1, 25)):
            self._count += 1
            records.append(self._make())

        def settle() -> None:
            self._appended.update(_names(records))
            for one in records:
                if isinstance(one, Event):
                    self._opened[one.id] = 0 if one.phase is Phase.CLOSE else one.revision

        def work() -> Settle:
            self._outbox.append(records)
            return settle

        return work

    def _make(self) -> Record:
        kind = self.chance.random()
        if kind < 0.7:
            return reading(self._count, time=START + self._count * 1000, source=self.chance.choice(("a", "b")))
        if kind < 0.75:
            return evidence(f"{self._count:064x}", size=self._count)
        going_on = sorted(name for name, revision in self._opened.items() if revision)
        if going_on and kind > 0.85:
            name = self.chance.choice(going_on)
            phase = self.chance.choice((Phase.CHANGE, Phase.CLOSE))
            return event(name, self._opened[name] + 1, phase)
        return event(f"e{self._count}")

    def _number(self) -> Work:
        lane, most, size = self.chance.choice(list(Lane)), self.chance.randrange(1, 30), self.chance.randrange(1, 3000)
        return lambda: _then(self._outbox.number(lane, most, size), _nothing)

    def _ack(self) -> Work:
        lane = self.chance.choice(list(Lane))
        share = self.chance.random()

        def work() -> Settle:
            batches = self._outbox.unacked(lane)
            position = round(batches[0].first - 1 + share * (batches[-1].last - batches[0].first + 1)) if batches else 0
            done = [r for b in batches for r in records_of([b])[: max(0, position - b.first + 1)]]
            self._outbox.ack(self._outbox.epoch, lane, position)
            return lambda: self._delivered.update(_names(done))

        return work

    def _age(self) -> Work:
        self._uptime.pass_s(self.chance.uniform(0, 60))
        older = round(self.chance.uniform(0, 60) * 1e6)
        return lambda: _then(self._outbox.age_into_backlog(older), _nothing)

    def _thin(self) -> Work:
        def work() -> Settle:
            with contextlib.suppress(NothingToThinError):
                self._outbox.transact(thin)
            return _nothing

        return work

    def _epoch(self) -> Work:
        """The cloud speaks of more than was ever numbered."""

        def work() -> Settle:
            held = records_of(self._outbox.unacked(Lane.LIVE))  # by the cloud, for all that it says
            self._outbox.welcome(self._outbox.epoch, {Lane.LIVE: 10**9})
            return lambda: self._delivered.update(_names(held))

        return work

    def _claim(self) -> Work:
        owner = self.chance.choice(_OWNERS)
        return lambda: _then(self._outbox.claim(owner), _nothing)

    def _restart(self) -> Work:
        def work() -> Settle:
            self._outbox.close()
            if self.chance.random() < 0.3:  # the machine, too
                self._boot += 1
                self._uptime.now = 10**6
            self._outbox = self._open(self._path.parent)
            return _nothing

        return work

    def _deliver_all(self, lane: Lane) -> None:
        while self._outbox.number(lane, 1000):
            pass
        self._check()
        for batch in self._outbox.unacked(lane):
            self._delivered.update(_names(records_of([batch])))
            self._outbox.ack(batch.epoch, lane, batch.last)

    def _check(self) -> None:
        """In each lane numbers without a gap up to the last, and never another record under a number."""
        epoch, last = self._outbox.epoch, self._outbox.last()
        for lane in Lane:
            batches = self._outbox.unacked(lane)
            numbers = [number for batch in batches for number in range(batch.first, batch.last + 1)]
            assert not numbers or numbers == list(range(numbers[0], last[lane] + 1)), f"{lane} has a gap"
            bodies = [bytes(raw) for batch in batches for raw in batch.records]
            for number, body in zip(numbers, bodies, strict=True):
                known = self._numbers.setdefault((epoch, lane, number), body)
                assert known == body, f"{lane} {number} was given to another record"

    @property
    def _path(self) -> Path:
        return self._folder / str(self._lives) / "outbox.sqlite"

    def _next_folder(self) -> Path:
        self._lives += 1
        self._path.parent.mkdir()
        return self._path.parent

    def _open(self, folder: Path) -> Outbox:
        return make(folder, uptime=self._uptime, boot=str(self._boot), entropy=lambda: self.chance.getrandbits(63))

    def _state(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        found: dict[str, list[Any]] = {}

        def read(connection: Connection) -> None:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                found[table] = sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)

        self._outbox.transact(read)
        return found


def with_small_files(patch: pytest.MonkeyPatch) -> None:
    """Let a checkpoint come after ``CHECKPOINT_FRAMES``, and the reserve be small: it has no part in this."""
    patch.setattr(room, "RESERVE_BYTES", 4096)
    whole = schema.connect

    def connect(path: Path) -> Connection:
        connection = whole(path)
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_FRAMES}")
        return connection

    patch.setattr("edge.delivery.file.connect", connect)


def _nothing() -> None:
    """Nothing is to be noted."""


def _then(_: object, settle: Settle) -> Settle:
    return settle


def _names(records: list[Record]) -> Counter[str]:
    """What the records stand for: a summary for as many readings of its source as it says."""
    found: Counter[str] = Counter()
    for record in records:
        if isinstance(record, Reading | Summary):
            found[f"reading of {record.source}"] += record.count if isinstance(record, Summary) else 1
        else:
            found[repr(record)] += 1
    return found


def _readable(counter: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counter.items()) if count}
