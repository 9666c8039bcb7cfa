"""``vedette models detect`` and ``evaluate`` with a release that counts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from models import zoo
from tests.edge.vision.red import write_red_counter
from vedette.cli import app

HEADS = 24
"""That the red half of a picture of 128x96 is counted as 48, twice as many."""


@pytest.fixture(autouse=True)
def _release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = write_red_counter(tmp_path / "zoo")
    monkeypatch.setattr(zoo, "load", lambda _: (made, tmp_path / "zoo"))


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Four pictures half of which is red, with half as many heads as are counted, and one whose heads nobody marked."""
    folder = tmp_path / "set"
    (folder / "test").mkdir(parents=True)
    image = np.full((96, 128, 3), 90, np.uint8)
    image[:, :64] = (0, 0, 255)
    lines = []
    for number in range(5):
        name = f"test/{number}.png"
        cv2.imwrite(str(folder / name), image)
        line = {"image": name, "split": "test", "width": 128, "height": 96, "source": "square"}
        lines.append(line | ({"heads": [[5, 5]] * HEADS} if number else {}))
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def call(*arguments: object) -> Result:
    with capture_logs():
        return CliRunner().invoke(app, ["models", *map(str, arguments)])


def test_heads_are_counted_told_and_drawn(squares: Path, tmp_path: Path) -> None:
    picture = squares / "test/0.png"
    ((one,), text) = (
        json.loads(call("detect", "crowd", picture, "--json").stdout),
        call("detect", "crowd", picture, "--draw", tmp_path / "drawn").stdout,
    )
    assert one["count"] == pytest.approx(48, abs=0.2)
    assert one["sd"] == pytest.approx(8.4, abs=0.2)
    assert one["detections"] == []
    cells = np.array(one["density"]["cells"])
    assert cells.shape == (6, 8)
    assert cells.sum() == pytest.approx(one["count"], abs=0.1)
    assert "0.png: 48 heads, standard deviation 8" in text
    drawn = cv2.imread(str(tmp_path / "drawn/0.png"))
    grey = cv2.imread(str(picture))[:, 80:]
    assert drawn.shape == (96, 128, 3)
    assert np.array_equal(drawn[40:, 100:], grey[40:, 20:])


def test_what_is_no_picture_is_told_and_the_rest_is_counted(squares: Path, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_bytes(b"no picture")
    done = call("detect", "crowd", tmp_path / "note.png", squares / "test/0.png", "--json")
    assert done.exit_code == 2
    bad, good = json.loads(done.stdout)
    assert "note.png" in bad["error"]
    assert good["count"] > 40


def test_errors_are_measured_by_slice_and_on_degraded_pictures(squares: Path) -> None:
    done = call("evaluate", "crowd", "--data", squares, "--split", "test", "--degraded", "--json")
    assert done.exit_code == 0, done.stderr
    figures = {(f["name"], f["slice"]): f["value"] for f in json.loads(done.stdout)}
    assert figures["crowd.mae", ""] == pytest.approx(48 - HEADS, abs=0.2)
    assert figures["crowd.mse", ""] == pytest.approx(48 - HEADS, abs=0.2)
    assert figures["crowd.bias", "heads=few"] == pytest.approx(48 - HEADS, abs=0.2)
    assert figures["crowd.within_90", ""] == 0
    assert figures["crowd.mae", "look=dark"] < 20
    assert {slice_ for _, slice_ in figures} >= {f"look={way}" for way in ("turned", "blurred", "dark", "jpeg")}


def test_a_broken_picture_is_named_and_labels_without_heads_are_refused(squares: Path) -> None:
    (squares / "test/2.png").write_bytes(b"")
    done = call("evaluate", "crowd", "--data", squares, "--json")
    assert done.exit_code == 2
    assert "2.png" in done.stderr
    assert any("3 pictures" in f["conditions"] for f in json.loads(done.stdout))
    lines = [json.loads(line) for line in (squares / "labels.jsonl").read_text().splitlines()]
    (squares / "labels.jsonl").write_text("".join(json.dumps(ln | {"heads": None}) + "\n" for ln in lines))
    assert "no line has 'heads'" in str(call("evaluate", "crowd", "--data", squares).exception)
    assert "no split 'night'" in str(call("evaluate", "crowd", "--data", squares, "--split", "night").exception)
    assert "counts heads" in str(call("evaluate", "crowd", "--data", squares, "--region", "cn").exception)
