"""A part's sign of life."""

from pathlib import Path

from contract.records import SourceHealth
from edge.supervisor.status import PartStatus, read_all, read_status


class Hands:
    """A clock whose hands are set by the test."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_beat_is_what_the_supervisor_reads(tmp_path: Path) -> None:
    status = PartStatus(tmp_path, "capture.lobby", monotonic=lambda: 12.5, wall=lambda: 1_700_000_000_000_000)
    status.beat({"source": SourceHealth(source="lobby", kind="camera", state="ok", rate_hz=5.0)})
    seen = read_all(tmp_path)["capture.lobby"]
    assert (seen.state, seen.monotonic, seen.time) == ("ok", 12.5, 1_700_000_000_000_000)
    assert seen.detail["source"]["rate_hz"] == 5.0


def test_beats_are_written_at_most_once_a_second(tmp_path: Path) -> None:
    hands = Hands()
    status = PartStatus(tmp_path, "vision", monotonic=hands)
    for step in range(10):
        hands.seconds = 100.0 + step / 10
        status.beat({"step": step})
    assert read_all(tmp_path)["vision"].detail == {"step": 0}
    hands.seconds = 101.0
    status.beat({"step": 10})
    assert read_all(tmp_path)["vision"].detail == {"step": 10}


def test_a_change_of_state_is_written_at_once(tmp_path: Path) -> None:
    status = PartStatus(tmp_path, "vision", monotonic=lambda: 1.0)
    status.beat()
    status.beat(state="degraded", reason="no model")
    seen = read_all(tmp_path)["vision"]
    assert (seen.state, seen.reason) == ("degraded", "no model")


def test_what_is_no_status_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    PartStatus(tmp_path, "vision").beat()
    assert list(read_all(tmp_path)) == ["vision"]
    assert read_status(tmp_path / "absent.json") is None
