"""``vedette models detect`` and ``evaluate`` on whatever they are given: a clear report, never a crash."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from vedette.cli import app
from vedette.drawn.clip import write_clip
from vedette.drawn.scene import Scene

ROWS = {"split": "test", "width": 640, "height": 360, "source": "drawn"}


def call(*arguments: object) -> Result:
    """Run a command in this process; logs go to stderr in ``vedette.cli.main``, and nowhere here."""
    with capture_logs():
        return CliRunner().invoke(app, ["models", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """The text with which a command is refused; ``vedette.cli.main`` prints it."""
    done = call(*arguments)
    assert done.exit_code != 0
    assert type(done.exception).__module__.startswith(("vedette.", "models.", "edge.")), repr(done.exception)
    return str(done.exception)


@pytest.fixture(scope="module")
def burning() -> tuple[np.ndarray, list[float]]:
    """A drawn fire, and its true box."""
    scene = Scene("fire", 1)
    frame = scene.frame(scene.ignition + 10)
    return frame.image, list(next(mark.box for mark in frame.marks if mark.label == "fire"))


@pytest.fixture
def pictures(tmp_path: Path, burning: tuple[np.ndarray, list[float]]) -> Path:
    """Pictures of every kind, all of the same fire."""
    image = burning[0]
    kinds = {
        "grey.png": image[..., 0],
        "deep.png": image.astype(np.uint16) * 257,
        "alpha.png": np.dstack([image, np.full(image.shape[:2], 200, np.uint8)]),
        "row.png": image[:1],
        "dot.png": image[:1, :1],
        "huge.jpg": cv2.resize(image, (7680, 4320)),
        "good.jpg": image,
    }
    for name, pixels in kinds.items():
        assert cv2.imwrite(str(tmp_path / name), pixels)
    return tmp_path


def test_detect_looks_at_every_kind_of_picture(pictures: Path) -> None:
    done = call("detect", "fire", *sorted(pictures.iterdir()), "--json", "--draw", pictures / "drawn")
    assert done.exit_code == 0, done.output
    found = {Path(one["file"]).name: one for one in json.loads(done.stdout)}
    assert len(found) == 7
    for name in ("good.jpg", "huge.jpg", "deep.png"):
        assert any(d["label"] == "fire" for d in found[name]["detections"]), name
        size = (7680, 4320) if name == "huge.jpg" else (640, 360)
        assert cv2.imread(str(pictures / "drawn" / f"{Path(name).stem}.png")).shape[1::-1] == size
    assert max(found["huge.jpg"]["detections"][0]["box"]) > 640
    assert cv2.imread(str(pictures / "drawn" / "row.png")).shape == (1, 640, 3)


def test_detect_reports_what_it_cannot_read_and_goes_on(pictures: Path) -> None:
    good = pictures / "good.jpg"
    (pictures / "cut.jpg").write_bytes(good.read_bytes()[:4000])
    (pictures / "empty.png").write_bytes(b"")
    (pictures / "letter.txt").write_text("Dear camera,\n" * 50)
    write_clip(pictures / "street.mp4", "quiet", seconds=2, fps=5)
    bad = ["cut.jpg", "empty.png", "letter.txt", "none.jpg", "."]
    done = call("detect", "fire", *(pictures / name for name in bad), good, pictures / "street.mp4", "--json")
    assert done.exit_code == 2
    results = json.loads(done.stdout)
    failed = [one for one in results if "error" in one]
    assert [Path(one["file"]) for one in failed] == [pictures / name for name in bad]
    assert all(one["error"] in done.stderr for one in failed)
    assert "the file is empty" in failed[1]["error"]
    assert "not a clip" in failed[0]["error"]
    assert [(Path(one["file"]).name, one["frame"]) for one in results[5:]] == [
        ("good.jpg", None),
        ("street.mp4", 0),
        ("street.mp4", 5),
    ]


def test_detect_does_not_draw_over_a_picture_of_the_same_name(pictures: Path) -> None:
    (pictures / "other").mkdir()
    (pictures / "other" / "good.jpg").write_bytes((pictures / "good.jpg").read_bytes())
    call("detect", "fire", pictures / "good.jpg", pictures / "other" / "good.jpg", "--draw", pictures / "drawn")
    assert sorted(path.name for path in (pictures / "drawn").iterdir()) == ["good.png", "good_2.png"]


def test_detect_says_where_it_cannot_draw_and_what_it_does_not_know(pictures: Path) -> None:
    assert "cannot be written" in refused("detect", "fire", pictures / "good.jpg", "--draw", pictures / "good.jpg")
    assert "no model 'fyre' in the zoo; known: " in refused("detect", "fyre", pictures / "good.jpg")


def labels(folder: Path, *rows: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "labels.jsonl").write_text("".join(json.dumps({**ROWS, **row}) + "\n" for row in rows))
    return folder


def test_evaluate_any_folder(tmp_path: Path, burning: tuple[np.ndarray, list[float]]) -> None:
    image, box = burning
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "b.png"), Scene("quiet", 3).frame(2.0).image)
    made = labels(tmp_path, {"image": "a.png", "boxes": [["fire", *box]]}, {"image": "b.png", "boxes": []})
    done = call("evaluate", "fire", "--data", made, "--split", "test", "--json")
    assert done.exit_code == 0, done.output
    found = {f["name"]: f for f in json.loads(done.stdout) if not f["slice"]}
    assert found["fire.fire.ap50"]["value"] == 1.0
    assert found["fire.fire.recall"]["value"] == 1.0
    assert found["fire.negatives.fired"]["value"] == 0.0
    assert {"name", "value", "unit", "slice", "conditions"} <= set(found["fire.map50"])
    assert "no box of smoke" in done.stderr


def test_evaluate_names_what_it_could_not_read(tmp_path: Path, burning: tuple[np.ndarray, list[float]]) -> None:
    image, box = burning
    rows = [{"image": f"{name}.png", "boxes": [["fire", *box]]} for name in ("good", "cut", "none", "wide")]
    cv2.imwrite(str(tmp_path / "good.png"), image)
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:5000])
    cv2.imwrite(str(tmp_path / "wide.png"), image[:100])
    done = call("evaluate", "fire", "--data", labels(tmp_path, *rows), "--split", "test", "--json")
    assert done.exit_code == 2
    found = {f["name"]: f for f in json.loads(done.stdout) if not f["slice"]}
    assert found["fire.unread"]["value"] == 3
    assert "(3 pictures unread), 1 pictures, 1 boxes" in found["fire.fire.ap50"]["conditions"]
    assert all(name in done.stderr for name in ("cut.png", "none.png", "640x100"))


def test_evaluate_refuses_labels_with_faults_and_says_which(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "boxes": [["fire", 9, 9, 2, 2]]}, {"image": "b.png", "boxes": [["fire", 0, 0, 9000, 9]]}]
    said = refused("evaluate", "fire", "--data", labels(tmp_path, *rows), "--split", "test")
    assert "labels.jsonl: 2 faults" in said
    assert "line 1: box" in said
    assert "line 2: box" in said
    (tmp_path / "labels.jsonl").write_text("")
    assert "the file is empty" in refused("evaluate", "fire", "--data", tmp_path, "--split", "test")
    labels(tmp_path, {"image": "a.png", "boxes": [["Fire", 0, 0, 9, 9]]})
    assert "labelled are Fire (1 boxes)" in refused("evaluate", "fire", "--data", tmp_path, "--split", "test")
    assert "no split 'dawn'; there are: test" in refused("evaluate", "fire", "--data", tmp_path, "--split", "dawn")


def test_evaluate_clips_alone(tmp_path: Path) -> None:
    write_clip(tmp_path / "street.mp4", "quiet", seconds=4, fps=5)
    (tmp_path / "broken.mp4").write_bytes(b"no clip at all")
    done = call("evaluate", "fire", "--clips", tmp_path, "--json")
    assert done.exit_code == 2
    assert "broken.mp4" in done.stderr
    found = {f["name"]: f for f in json.loads(done.stdout) if not f["slice"]}
    assert set(found) == {"fire.alarms", "fire.exposure", "fire.alarms_per_hour", "fire.alarms_per_hour_upper"}
    assert found["fire.alarms"]["conditions"].startswith("1 quiet clips")
    assert "leave one out" in refused("evaluate", "fire", "--clips", tmp_path, "--no-clips")
    assert "raises no alarm by itself" in refused("evaluate", "person", "--clips", tmp_path)
