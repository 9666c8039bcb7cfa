"""Reading plates with the readers of a release."""

from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.vision.engine import EngineError
from edge.vision.plates.reader import LineReader, PlateReader
from tests.edge.vision.plates.lines import CHARACTERS, write_reader
from vedette.drawn.plate import draw_plate

LINE = draw_plate("川A12345", "cn-blue")
BOX = (0.0, 0.0, 1.0, 1.0)


def test_a_reader_gives_the_places_of_a_line_of_any_shape(tmp_path: Path) -> None:
    reader = LineReader(tmp_path, write_reader(tmp_path, "x", "川A-12"))
    for shape in ((140, 436, 3), (8, 30, 3), (3, 900, 3), (200, 9, 3)):
        seen = reader.read(np.full(shape, 90, np.uint8))
        assert [max(place, key=lambda one: place[one]) for place in seen] == ["川", "A", "1", "2"]
    assert seen[0] == pytest.approx({"川": 0.9})
    reader.close()


def test_readers_vote_within_the_grammars_of_a_region(tmp_path: Path) -> None:
    blind, able = write_reader(tmp_path, "blind", "A12345", 0.99), write_reader(tmp_path, "able", "川A12345", 0.8)
    reader = PlateReader([blind, able], tmp_path, ["cn"])
    plate = reader.read(LINE, BOX)
    assert plate.colour == "blue"
    assert plate.read is not None
    assert (plate.read.text, plate.read.grammar) == ("川A12345", "cn-civil")
    assert "A12345" in [text for text, _ in plate.read.alternatives]
    reader.close()


@pytest.mark.parametrize(("other", "looks"), [("川A12345", 1), ("川B54321", 3)], ids=["agree", "differ"])
def test_a_plate_is_looked_at_again_until_a_read_is_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str, looks: int
) -> None:
    lines: list[tuple[int, ...]] = []
    read = LineReader.read
    monkeypatch.setattr(LineReader, "read", lambda self, line: (lines.append(line.shape), read(self, line))[1])
    readers = [write_reader(tmp_path, "one", "川A12345", 0.99), write_reader(tmp_path, "other", other, 0.98)]
    reader = PlateReader(readers, tmp_path, ["cn"])
    framed = np.pad(LINE, ((90, 90), (270, 270), (0, 0)))
    assert reader.text(framed, (0.2, 0.2, 0.8, 0.8)) == "川A12345"
    assert len(set(lines)) == looks
    reader.close()


def test_a_plate_in_which_nothing_is_read_is_no_fault(tmp_path: Path) -> None:
    plate = PlateReader([write_reader(tmp_path, "x", "--")], tmp_path).read(LINE, BOX)
    assert (plate.colour, plate.read) == ("blue", None)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 640, 3), (640, 1, 3), (1, 7680, 3), (4320, 7680, 3)])
def test_a_picture_of_any_shape_and_a_sliver_of_it_do_no_harm(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    reader = PlateReader([write_reader(tmp_path, "x", "AB12")], tmp_path)
    image = np.full(shape, 90, np.uint8)
    assert reader.text(image, BOX) == "AB12"
    assert reader.text(image, (0.5, 0.5, 0.50001, 0.50001)) == ""
    reader.close()


def test_what_cannot_read_says_why(tmp_path: Path) -> None:
    spec = write_reader(tmp_path, "x", "AB12")
    with pytest.raises(EngineError, match="finds plates and has no reader for them"):
        PlateReader([], tmp_path)
    with pytest.raises(ValueError, match="plates of 'mars' are not known"):
        PlateReader([spec], tmp_path, ["mars"])
    with pytest.raises(EngineError, match="cannot be read"):
        LineReader(tmp_path, msgspec.structs.replace(spec, file="other.onnx"))
    with pytest.raises(EngineError, match="is not the file its manifest names"):
        LineReader(tmp_path, msgspec.structs.replace(spec, sha256="0" * 64))
    with pytest.raises(EngineError, match=rf"needed are steps of {len(CHARACTERS)} classes"):
        LineReader(tmp_path, msgspec.structs.replace(spec, characters=CHARACTERS[:-1])).read(LINE)
    with pytest.raises(EngineError, match="the run failed"):
        LineReader(tmp_path, msgspec.structs.replace(spec, height=48)).read(LINE)
    (tmp_path / spec.file).write_bytes(b"no network")
    with pytest.raises(EngineError, match="cannot be loaded by ONNX Runtime"):
        LineReader(tmp_path, msgspec.structs.replace(spec, sha256=sha256(b"no network").hexdigest()))
