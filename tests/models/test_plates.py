"""The readers of plates: from packages to files of a release, and composed pictures to train the detector with."""

import hashlib
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.workshop.conversion import plates
from models.workshop.conversion.package import Packaged
from models.workshop.conversion.plates import Source, make_readers, read_readers
from models.workshop.sets.data import Picture, Truth, read_set
from tests.models.test_reader import HEIGHT, published
from vedette.drawn.pictures import write_plated
from vedette.drawn.plate import draw_plate
from vedette.drawn.plates import plate_set


def data_folder(folder: Path) -> Path:
    """Two cars with a plate, one of them too small to cover, and two plates that were cut out."""
    rows = []
    for name, split, image, boxes, texts in (
        (
            "car",
            "train",
            np.full((120, 160, 3), 90, np.uint8),
            [["plate", 40, 50, 100, 80], ["vehicle", 5, 5, 150, 110]],
            None,
        ),
        ("far", "train", np.full((120, 160, 3), 90, np.uint8), [["plate", 40, 50, 45, 53]], None),
        ("blue", "crop", cv2.resize(draw_plate("川A12345", "cn-blue"), (94, 24)), None, ["川A12345"]),
        ("other", "crop", cv2.resize(draw_plate("川B8K769", "cn-blue"), (94, 24)), None, ["川B8K769"]),
    ):
        path = folder / "plate" / split / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
        row = {"image": f"{split}/{name}.png", "split": split, "source": "made"}
        row |= {"width": image.shape[1], "height": image.shape[0]}
        rows.append(row | ({"boxes": boxes} if boxes else {}) | ({"texts": texts} if texts else {}))
    (folder / "plate/labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_readers_are_made_from_a_wheel_and_keep_what_they_confuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = published()
    wheel = tmp_path / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("made/net.onnx", raw)
    known = ("A", "b", "é", "8", "ß", "川", "☃")
    source = Source(
        name="own",
        network=Packaged("made", "1.0", "made/net.onnx", hashlib.sha256(raw).hexdigest()),
        height=HEIGHT,
        shortest=32,
        characters=lambda _raw, _package: known,
        licence="MIT",
        notice="Made for a test.",
    )
    monkeypatch.setattr(plates, "SOURCES", (source,))
    data = data_folder(tmp_path / "data")
    (reader,) = made = make_readers([wheel], data, tmp_path / "release")
    assert reader.characters[:4] == "Ab8川"
    assert (reader.licence, reader.notice) == ("MIT", "Made for a test.")
    assert set(reader.characters[4:]) <= {"é", "ß", "☃"}
    file = tmp_path / "release" / reader.file
    assert (reader.sha256, reader.bytes) == (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
    assert read_readers(tmp_path / "release") == made
    assert read_readers(tmp_path) == ()
    (tmp_path / "release/readers.json").write_text("[{]")
    with pytest.raises(ValueError, match="make it again with 'vedette models convert plate'"):
        read_readers(tmp_path / "release")


def test_plates_are_covered_by_others_and_boxes_hold_them(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    made = read_set(write_plated(tmp_path / "plated", data, count=12), "train")
    assert len(made) == 12
    large = [t.box for p in made for t in p.truths if t.box[2] - t.box[0] > 20]
    assert large
    for x1, y1, x2, y2 in large:
        assert x1 < 41
        assert x2 > 99
        assert y1 < 51
        assert y2 > 79
    assert all(t.label == "plate" for p in made for t in p.truths)
    changed = [p for p in made if any(t.box[2] - t.box[0] > 20 for t in p.truths)]
    assert all(np.ptp(p.read()[55:75, 50:90].reshape(-1, 3).astype(int), axis=0).max() > 60 for p in changed)
    small = next(p for p in made if p not in changed)
    assert np.ptp(small.read().astype(int)) < 12, "what is too small to cover stays as it is"


def test_without_a_plate_there_is_nothing_to_cover(tmp_path: Path) -> None:
    bare = Picture(tmp_path / "x.png", "train", 9, 9, "s", (Truth("vehicle", (0, 0, 5, 5)),))
    with pytest.raises(ValueError, match="no picture with a plate to cover"):
        next(plate_set([bare], [bare], 1, 1))
