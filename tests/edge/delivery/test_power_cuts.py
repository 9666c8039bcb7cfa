"""Hundreds of boxes lose their power in the middle of what they do: what was durable is there, and no number twice."""

import random
import tempfile
from pathlib import Path

import pytest

from contract.records import Lane
from edge.delivery.outbox import Outbox
from tests.edge.delivery.power import Disk, PowerCuts, cut, look, with_small_files
from tests.edge.delivery.samples import drain, make, reading

SEEDS = 200
SHM = Path("/dev/shm")
FAST = SHM if SHM.is_dir() else None


@pytest.mark.slow  # hundreds of seeds
def test_a_power_cut_at_any_moment_loses_nothing_and_gives_no_number_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    with_small_files(monkeypatch)
    cuts = undone = 0
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory(dir=FAST) as folder:
            life = PowerCuts(seed, Path(folder))
            life.run()
        cuts += life.cuts
        undone += life.undone
    assert cuts > SEEDS * 4
    assert cuts * 0.2 < undone < cuts * 0.8


def test_a_power_cut_while_the_file_is_made_leaves_one_that_can_be_used(tmp_path: Path) -> None:
    outbox = make(tmp_path)
    after = look(tmp_path / "outbox.sqlite")
    outbox.close()
    chance = random.Random(1)
    for number in range(100):
        main, log = cut(Disk(b"", b"", 0, b""), after, chance)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "outbox.sqlite").write_bytes(main)
        (folder / "outbox.sqlite-wal").write_bytes(log)
        again = make(folder)
        again.append([reading(1)])
        assert drain(again, Lane.LIVE) == [reading(1)]
        again.close()


def test_every_commit_is_forced_to_the_disk(outbox: Outbox) -> None:
    """Or what is said above of a log that is whole would not be so (sqlite.org/pragma.html#pragma_synchronous)."""
    found: list[object] = []
    for name in ("synchronous", "journal_mode"):
        outbox.transact(lambda connection, name=name: found.extend(connection.execute(f"PRAGMA {name}").fetchone()))  # type: ignore[misc]
    assert found == [2, "wal"]
