"""Every file of the work folder can say where it comes from."""

import json
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from models.workshop.provenance import digest, read_record, recorded, write_whole


def test_a_step_tells_what_it_took_and_when(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"12")
    ticks = count()
    path = tmp_path / "fire.train.json"
    with recorded(path, "train fire", now=lambda: f"t{next(ticks)}") as record:
        assert read_record(path)["runs"][0]["outcome"] == "running"
        record.takes(tmp_path / "weights")
        record.states(seed=3, figures={"fire.map50": 0.61})
    found = read_record(path)
    assert found["inputs"] == {str(tmp_path / "weights"): sha256(b"12").hexdigest()}
    assert (found["seed"], found["figures"]) == (3, {"fire.map50": 0.61})
    assert found["runs"] == [{"command": "train fire", "started": "t0", "ended": "t1", "outcome": "done"}]
    assert {"python", "numpy"} <= set(found["versions"])


def test_a_step_that_was_broken_off_keeps_its_earlier_runs(tmp_path: Path) -> None:
    path = tmp_path / "x.json"

    def stopped() -> None:
        with recorded(path, "train fire"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with recorded(path, "train fire"):
        pass
    assert [run["outcome"] for run in read_record(path)["runs"]] == ["broken off: KeyboardInterrupt", "done"]
    with recorded(path, "train fire", again=lambda _: False):
        pass
    assert len(read_record(path)["runs"]) == 1
    path.write_text(json.dumps({"format": 99}))
    assert read_record(path) == {}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fire.1.pt"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        OSError, match=r"fire.1.pt: could not be written \(No space left on device\); the one before is"
    ):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["fire.1.pt"]


def test_a_digest_depends_on_order_and_bounds() -> None:
    assert digest(["ab", "c"]) == digest(["ab", "c"])
    assert len({digest(["ab", "c"]), digest(["c", "ab"]), digest(["a", "bc"])}) == 3
