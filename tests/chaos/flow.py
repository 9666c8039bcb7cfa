"""Numbered records from boxes to a database, over whatever broker, network and database a test has made."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cloud.ingest.ruleset import shipped_texts
from tests.chaos.audit import Report, audit
from tests.chaos.records import Numbered
from tests.chaos.run import drain
from tests.chaos.system import Box, Program, until, writer, written


@dataclass(frozen=True)
class Flow:
    """Boxes, workers, and what writes the numbers."""

    boxes: Sequence[Box]
    workers: Sequence[Program]
    wanted: Sequence[Numbered]
    writers: Sequence[Program]
    folder: Path

    def check(self) -> None:
        """Every box and worker is there."""
        for part in (*(box.delivery for box in self.boxes), *self.workers):
            assert not (why := part.died()), why

    def written(self) -> int:
        """Numbers written so far."""
        return sum(written(box, self.folder) for box in self.boxes)

    def waiting(self) -> int:
        """Records that the boxes hold, as their deliveries said last."""
        return sum(box.waiting() for box in self.boxes)

    def moves_on(self, conninfo: str, count: int = 500) -> None:
        """Wait until so many more readings have come to the database."""
        with psycopg.connect(conninfo, autocommit=True) as connection:

            def held() -> int:
                self.check()
                (found,) = connection.execute("SELECT count(*) FROM reading").fetchone() or (0,)
                return int(found)

            target = held() + count
            until(f"{count} more readings", lambda: held() >= target, 60.0)

    def finish(self, conninfo: str) -> Report:
        """Wait until everything was written and has arrived, end all, and audit the database."""
        for one in self.writers:
            one.wait(300.0)
        drain(conninfo, self.wanted, self.check)
        for part in (*(box.delivery for box in self.boxes), *self.workers):
            part.stop()
        with psycopg.connect(conninfo) as connection:
            return audit(connection, self.wanted, shipped_texts())


@contextlib.contextmanager
def flowing(
    folder: Path, boxes: Sequence[Box], workers: Sequence[Program], wanted: Sequence[Numbered], seconds: float
) -> Iterator[Flow]:
    """Start boxes, workers and writers; the numbers of each box are written over ``seconds``."""
    with contextlib.ExitStack() as stack:
        for part in (*workers, *(box.delivery for box in boxes)):
            stack.callback(part.end)
            part.start()
        writers = []
        for box, one in zip(boxes, wanted, strict=True):
            assert box.name == one.node
            program = writer(box, one.readings, one.events, seconds, folder)
            stack.callback(program.end)
            program.start()
            writers.append(program)
        yield Flow(boxes, workers, wanted, writers, folder)
