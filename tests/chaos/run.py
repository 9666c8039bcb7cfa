"""A run: records flow, the faults of a plan happen, everything comes to rest, and the audit looks at what is there."""

import subprocess
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from cloud.ingest.ruleset import shipped_texts
from cloud.servers.server import ServerError
from tests.chaos import plan as plans
from tests.chaos.audit import Report, audit
from tests.chaos.plan import Fault, Kind
from tests.chaos.records import QUANTITY, SITE, SOURCE, Numbered
from tests.chaos.system import NODES, PARTITIONS, WORKERS, System, running, until, writer, written

EVENT_SHARE: Final = 0.05
_DRAINED_WITHIN_S: Final = 300.0
_PROGRESS_S: Final = 10.0
_REST_S: Final = 3.0
"""For doubles to come, and for the rules to say what they have to say to the last of it."""


class ChaosError(AssertionError):
    """Something that was promised does not hold; the text begins with how to have the same run again."""


@dataclass(frozen=True)
class Scale:
    """How large a run is; the faults come ``pause_s`` apart in the mean."""

    records: int
    faults: int
    pause_s: float

    def numbered(self) -> list[Numbered]:
        """What each node writes."""
        each = self.records // len(NODES)
        events = round(each * EVENT_SHARE) // 2 * 2
        return [Numbered(name, PARTITIONS[name], each - events, events) for name in NODES]


@dataclass(frozen=True)
class Outcome:
    """What a run was."""

    seed: int
    faults: Sequence[Fault]
    report: Report
    seconds: float
    drained_s: float
    """From the last fault's end until everything was in the database."""
    messages: dict[Kind, int]
    """Messages that were forgotten, repeated, reordered."""
    passed: int
    """Messages that came to the wires."""


def run(seed: int, scale: Scale, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Run and audit.

    Raises:
        ChaosError: what was found wrong, with the seed.
    """
    faults = plans.make_plan(seed, scale.faults, NODES, WORKERS, scale.pause_s)
    again = f"make chaos SEED={seed} RECORDS={scale.records} FAULTS={scale.faults} PAUSE={scale.pause_s:g}"
    say(f"seed {seed}: {scale.records} records, {len(faults)} faults; again with: {again}")
    try:
        outcome = _run(seed, scale, faults, folder, say)
    except (AssertionError, ServerError, subprocess.SubprocessError, psycopg.Error) as error:
        raise ChaosError(f"{again}\n{error}") from error
    if outcome.report.faults:
        raise ChaosError("\n".join([again, *outcome.report.faults, f"what was written lies in {folder}"]))
    return outcome


def _run(seed: int, scale: Scale, faults: Sequence[Fault], folder: Path, say: Callable[[str], None]) -> Outcome:
    began = time.monotonic()
    wanted = scale.numbered()
    with running(folder, seed) as system:
        seconds = max((fault.at + fault.lasts_s for fault in faults), default=10.0)
        writers = [writer(system.boxes[one.node], one.readings, one.events, seconds * 0.98, folder) for one in wanted]
        try:
            for one in writers:
                one.start()
            _let_happen(system, faults, folder, say)
            ended = time.monotonic()
            say(f"{ended - began:5.0f} s  the faults are over; waiting until everything has arrived")
            for one in writers:
                one.wait(_DRAINED_WITHIN_S)
            _drain(system, wanted)
        finally:
            for one in writers:
                one.end()
        drained = time.monotonic() - ended
        for part in (*(box.delivery for box in system.boxes.values()), *system.workers.values()):
            part.stop()
        with psycopg.connect(system.settings.database) as connection:
            report = audit(connection, wanted, shipped_texts())
        wires = system.proxy.wires.values()
        messages = {kind: sum(wire.counts.get(kind, 0) for wire in wires) for kind in plans.MESSAGES}
        passed = sum(wire.passed for wire in wires)
    return Outcome(seed, faults, report, time.monotonic() - began, drained, messages, passed)


def _let_happen(system: System, faults: Sequence[Fault], folder: Path, say: Callable[[str], None]) -> None:
    """All faults at their times, those of one target one after the other; raises what went wrong meanwhile."""
    began = time.monotonic()
    stopped = threading.Event()
    under: set[str] = set()

    def hit(target: str) -> None:
        for fault in faults:
            if fault.target == target and not stopped.wait(max(began + fault.at - time.monotonic(), 0.0)):
                under.add(target)
                _apply(system, fault, stopped)
                under.discard(target)

    names = sorted({fault.target for fault in faults})
    with ThreadPoolExecutor(max(len(names), 1)) as pool:
        pending = [pool.submit(hit, name) for name in names]
        told = 0.0
        try:
            while not all(one.done() for one in pending):
                stopped.wait(0.25)
                for one in pending:
                    if one.done():
                        one.result()
                _check_alive(system, under)
                now = time.monotonic()
                if now - told >= _PROGRESS_S:
                    told = now
                    count = sum(fault.at <= now - began for fault in faults)
                    numbers = sum(written(box, folder) for box in system.boxes.values())
                    waiting = sum(box.waiting() for box in system.boxes.values())
                    say(
                        f"{now - began:5.0f} s  faults {count}/{len(faults)}, written {numbers}, on the boxes {waiting}"
                        f", under fault: {', '.join(sorted(under)) or 'nothing'}"
                    )
        finally:
            stopped.set()
        for one in pending:
            one.result()


def _check_alive(system: System, under: Collection[str]) -> None:
    for name in ("database", "broker", *system.workers, *system.boxes):
        if name not in under and (why := system.part(name).died()) and name not in under:
            raise AssertionError(why)


def _apply(system: System, fault: Fault, stopped: threading.Event) -> None:
    """One fault from its beginning to its end."""
    if fault.kind is Kind.KILL:
        part = system.part(fault.target)
        part.kill()
        stopped.wait(fault.lasts_s)
        part.start()
    elif fault.kind is Kind.STOP:
        part = system.part(fault.target)
        part.freeze(True)
        stopped.wait(fault.lasts_s)
        part.freeze(False)
    else:
        system.proxy.set(fault.target, fault.kind)
        stopped.wait(fault.lasts_s)
        system.proxy.set(fault.target, None)


def _drain(system: System, wanted: Sequence[Numbered]) -> None:
    """Until every number is in the database, and the rules have heard of it."""

    def check() -> None:
        _check_alive(system, ())

    drain(system.settings.database, wanted, check)


def drain(conninfo: str, wanted: Sequence[Numbered], check: Callable[[], None]) -> None:
    """Until every number is in the database, and the rules have heard of it; ``check`` raises where a process died."""
    readings, events = sum(one.readings for one in wanted), sum(one.events // 2 for one in wanted)
    query = (
        "SELECT (SELECT count(*) FROM reading JOIN series ON series.id = series_id WHERE source = %s AND quantity = %s)"
        ", (SELECT count(*) FROM event WHERE site = %s AND phase = 'close')"
    )
    found: list[tuple[int, int]] = []

    def arrived() -> bool:
        check()
        with psycopg.connect(conninfo) as connection:
            found[:] = connection.execute(query, [SOURCE, QUANTITY, SITE]).fetchall()
        return found[0][0] >= readings and found[0][1] >= events

    try:
        until("every number", arrived, _DRAINED_WITHIN_S)
    except AssertionError as error:
        raise AssertionError(
            f"{error}; readings {found[0][0]} of {readings}, closed events {found[0][1]} of {events}"
        ) from None
    time.sleep(_REST_S)
