"""Kill any process, cut the power, break the file, fill the disk: what ``append`` has returned for is there."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.records import Event, Lane, Phase, Reading, Record, Summary
from edge.delivery.outbox import Outbox
from edge.delivery.schema import OutboxError, OutboxFullError
from tests.edge.delivery.samples import START, drain, event, make, reading

ROOT = Path(__file__).parents[3]
FRAME = 24 + 4096


def own_file_systems() -> bool:
    """Whether a child may mount a small file system that nobody else sees."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def writing(path: Path, name: str, *count: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.edge.delivery.writer", str(path), name, *count]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(count)]


def rest(process: subprocess.Popen[str]) -> list[str]:
    """What the stopped or dead process had still printed."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    try:
        return list(process.stdout)
    finally:
        os.set_blocking(process.stdout.fileno(), True)


def everything(outbox: Outbox) -> list[Record]:
    return [record for lane in Lane for record in drain(outbox, lane)]


def check_whole(records: list[Record], name: str, returned: int) -> None:
    """Every append is there whole or not at all, and those that returned are there."""
    readings = Counter(int(r.value) for r in records if isinstance(r, Reading) and r.source == name)
    events = Counter(int(e.id.split("-")[1]) for e in records if isinstance(e, Event) and e.id.startswith(f"{name}-"))
    assert set(range(returned)) <= set(events)
    assert set(readings) == set(events)
    assert set(readings.values()) <= {2}
    assert set(events.values()) <= {1}


def test_a_killed_process_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    returned = dict.fromkeys(("first", "second"), 0)
    with writing(path, "first") as first, writing(path, "second") as second:
        for name, process in (("first", first), ("second", second)):
            returned[name] += len(lines(process, 40))
            process.send_signal(signal.SIGKILL)
            process.wait()
            returned[name] += len(rest(process))
    outbox = make(tmp_path)
    records = everything(outbox)
    outbox.close()
    for name, count in returned.items():
        check_whole(records, name, count)


def test_a_power_cut_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    """Of the log, only what had been synced when the last append returned is left; behind it lies what a disk leaves of
    writes that were never synced: nothing, a part, or nonsense."""
    chance = random.Random(7)
    path = tmp_path / "outbox.sqlite"
    with writing(path, "node") as process:
        count = 0
        for cut in range(8):
            count += len(lines(process, chance.randrange(5, 60)))
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            printed = rest(process)
            count += len(printed)
            if printed:
                last = printed[-1].split()
                folder = tmp_path / f"cut-{cut}"
                cut_power(path, folder, frames=int(last[1]), salt=last[2], chance=chance)
                outbox = make(folder)
                records = everything(outbox)
                outbox.close()
                check_whole(records, "node", count)
            process.send_signal(signal.SIGCONT)


def cut_power(path: Path, folder: Path, frames: int, salt: str, chance: random.Random) -> None:
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), folder)
    with (folder / f"{path.name}-wal").open("r+b") as log:
        log.seek(16)
        if log.read(8).hex() != salt:
            return  # begun anew since; nothing of the old one counts any more
        synced = 32 + frames * FRAME
        left = log.seek(0, os.SEEK_END) - synced
        log.truncate(synced + chance.randrange(left + 1))
        if chance.random() < 0.5:
            log.seek(synced)
            log.write(chance.randbytes(chance.randrange(1, FRAME)))


def test_a_file_that_is_no_database_is_set_aside_and_delivery_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"not a database" * 1000)
    outbox = make(tmp_path)
    outbox.append([reading(1)])
    assert drain(outbox, Lane.LIVE) == [reading(1)]
    outbox.close()
    (aside,) = tmp_path.glob("outbox.sqlite.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")


def test_of_a_damaged_file_everything_readable_is_saved_under_a_new_epoch(tmp_path: Path) -> None:
    before = make(tmp_path)
    before.append([event("open")])
    for start in range(0, 3000, 500):
        before.append([reading(i) for i in range(start, start + 500)])
    before.number(Lane.LIVE, 100)
    before.number(Lane.LIVE, 100)
    epoch = before.epoch
    before.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as raw:
        pages = [
            page
            for (page,) in raw.execute("SELECT pageno FROM dbstat WHERE name = 'live' AND pagetype = 'leaf'").fetchall()
        ]
    raw.close()
    with (tmp_path / "outbox.sqlite").open("r+b") as file:
        file.seek((pages[len(pages) // 2] - 1) * 4096)
        file.write(b"\xff" * 4096)
    after = make(tmp_path)
    after.claim("square/box")
    assert after.epoch != epoch
    assert after.open_events() == [event("open")]
    saved = [r.value for r in drain(after, Lane.LIVE) if isinstance(r, Reading)]
    assert saved[:200] == list(range(200))
    assert saved == sorted(set(saved))
    assert 2800 < len(saved) < 3000
    assert drain(after, Lane.ALARM) == [event("open")]
    assert sum(after.waiting().values()) == 0
    after.close()


def test_processes_that_have_the_damaged_file_open_go_on_in_its_successor(tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path)
    one.append([reading(1)])
    other.append([reading(2)])
    path = tmp_path / "outbox.sqlite"
    with path.open("r+b") as file:
        file.write(b"\0" * 100)
    path.with_name(path.name + "-wal").write_bytes(b"")
    one.claim("square/box")
    assert list(tmp_path.glob("*.damaged-*"))
    other.append([reading(3)])
    one.append([reading(4)])
    other.close()
    one.append([reading(5)])
    one.close()
    after = make(tmp_path)
    assert [reading(3), reading(4), reading(5)] == drain(after, Lane.LIVE)[-3:]
    after.close()


def test_a_copied_file_begins_a_new_epoch_on_its_new_node(tmp_path: Path) -> None:
    mine = make(tmp_path)
    assert not mine.claim("square/box")
    mine.append([reading(i) for i in range(5)])
    mine.number(Lane.LIVE, 2)
    mine.ack(mine.epoch, Lane.LIVE, 2)
    mine.number(Lane.LIVE, 2)
    epoch = mine.epoch
    mine.close()
    copy = make(tmp_path)
    assert copy.claim("square/other")
    assert copy.epoch != epoch
    (batch,) = copy.unacked(Lane.LIVE)
    assert (batch.epoch, batch.first, batch.last) == (copy.epoch, 1, 2)
    assert not copy.claim("square/other")
    copy.close()


def test_a_later_releases_file_is_left_alone(tmp_path: Path) -> None:
    make(tmp_path).close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as raw:
        raw.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    raw.close()
    with pytest.raises(OutboxError, match="schema 99"):
        make(tmp_path)


def totals(records: list[Record]) -> tuple[int, float, float]:
    """Readings that the records stand for, their greatest value, and their sum."""
    parts = [(1, r.value, r.value) for r in records if isinstance(r, Reading)]
    parts += [(s.count, s.max, s.mean * s.count) for s in records if isinstance(s, Summary)]
    return sum(p[0] for p in parts), max(p[1] for p in parts), sum(p[2] for p in parts)


def test_above_its_limit_readings_become_summaries_that_say_what_they_replace(tmp_path: Path) -> None:
    outbox = make(tmp_path, max_bytes=400_000)
    values = range(12_000)
    for start in range(0, len(values), 100):
        outbox.append([reading(v, time=START + v * 1_000_000) for v in values[start : start + 100]])
    outbox.append([event("fire"), event("fire", 2, Phase.CLOSE)])
    assert outbox.used_bytes() < 600_000
    assert drain(outbox, Lane.ALARM) == [event("fire"), event("fire", 2, Phase.CLOSE)]
    waiting = outbox.waiting()[Lane.LIVE]
    records = drain(outbox, Lane.LIVE)
    assert len(records) == waiting < 12_000
    count, greatest, total = totals(records)
    assert (count, greatest) == (12_000, 11_999)
    assert total == pytest.approx(sum(values))
    summaries = [r for r in records if isinstance(r, Summary)]
    assert outbox.counters()["thinned"] == sum(s.count for s in summaries)
    assert all(s.until - s.time < 60_000_000 for s in summaries)
    outbox.close()


def test_on_a_full_disk_alarms_still_find_room(tmp_path: Path) -> None:
    outbox = make(tmp_path, disk_pages=150)
    appended = 0
    for step in range(200):
        outbox.append([reading(step * 100 + i, time=START + (step * 100 + i) * 100_000) for i in range(100)])
        appended += 100
        outbox.append([event(f"e{step}")])
    assert len(outbox.open_events()) == 200
    assert len(drain(outbox, Lane.ALARM)) == 200
    assert totals(drain(outbox, Lane.LIVE))[0] == appended
    outbox.close()


@pytest.mark.skipif(not own_file_systems(), reason="this user may not mount a file system of its own (unshare -rm)")
def test_when_others_have_filled_the_disk_alarms_go_on(tmp_path: Path) -> None:
    fill = f"{sys.executable} -m tests.edge.delivery.fill {tmp_path} 120000 2000"
    script = f"mount -t tmpfs -o size=36m none {tmp_path} && exec {fill}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["stand_for"] == 120_000
    assert result["records"] < 120_000
    assert result["alarms"] == 1200 + 2000


def test_where_nothing_is_left_to_thin_the_error_says_so_and_nothing_is_half_kept(tmp_path: Path) -> None:
    outbox = make(tmp_path, disk_pages=60)
    kept = 0
    error = ""
    while not error:
        try:
            outbox.append([event(f"e{kept}"), event(f"f{kept}")])
            kept += 1
        except OutboxFullError as full:
            error = str(full)
    assert "outbox.sqlite" in error
    assert "storage.outbox_bytes" in error
    assert kept > 100
    assert len(drain(outbox, Lane.ALARM)) == 2 * kept
    outbox.close()
