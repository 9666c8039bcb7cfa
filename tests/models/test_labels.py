"""A label file is believed line by line; what is wrong with it is told whole, with the line."""

import json
from pathlib import Path

import pytest

from models.workshop.sets.data import read_set
from models.workshop.sets.labels import LabelError, read_rows
from tests.models.zoo_cases import DATA

GOOD = {
    "image": "a.jpg",
    "split": "test",
    "width": 200,
    "height": 100,
    "source": "made",
    "boxes": [["fire", 1, 2, 3, 4]],
}


def write(folder: Path, *rows: object) -> Path:
    path = folder / "labels.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def fault(folder: Path, *rows: object) -> str:
    """The one fault that a file of good rows and a bad one has."""
    with pytest.raises(LabelError) as caught:
        read_rows(write(folder, {**GOOD, "image": "first.jpg"}, *rows))
    assert len(caught.value.faults) == 1
    return caught.value.faults[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image": ""}, 'image "" is not a name'),
        ({"image": 7}, "image 7 is not a name"),
        ({"image": "../b.jpg"}, "leaves the folder"),
        ({"image": "a/../../b.jpg"}, "leaves the folder"),
        ({"image": "..\\b.jpg"}, "leaves the folder"),
        ({"image": "/etc/passwd"}, "leaves the folder"),
        ({"image": "a\0b"}, "leaves the folder"),
        ({"split": " "}, "is not a name"),
        ({"width": 0}, "width 0 is not a whole number"),
        ({"width": "200"}, "is not a whole number"),
        ({"height": 10.5}, "height 10.5 is not a whole number"),
        ({"height": True}, "is not a whole number"),
        ({"height": float("inf")}, "is not a whole number"),
        ({"place": "moon"}, "neither 'indoor' nor 'outdoor'"),
        ({"place": ["indoor"]}, "neither 'indoor' nor 'outdoor'"),
        ({"smoke_labelled": "no"}, "not true or false"),
        ({"boxes": {}}, "is not a list"),
        ({"texts": "AB123"}, "is not a list of texts"),
        ({"texts": [7]}, "is not a list of texts"),
        ({"texts": ["AB123", "CD456"]}, "2 texts for 1 boxes"),
        ({"boxes": [["fire", 1, 2, 3]]}, "needed is [class, x1, y1, x2, y2]"),
        ({"boxes": [[1, 1, 2, 3, 4]]}, "class 1 is not a name"),
        ({"boxes": [["", 1, 2, 3, 4]]}, "is not a name"),
        ({"boxes": [["fire", 1, 2, float("nan"), 4]]}, "must be finite numbers"),
        ({"boxes": [["fire", 1, 2, 10**400, 4]]}, "must be finite numbers"),
        ({"boxes": [["fire", 1, 2, "3", 4]]}, "must be finite numbers"),
        ({"boxes": [["fire", 1, 2, 202, 4]]}, "outside the picture of 200x100 pixels"),
        ({"boxes": [["fire", -5, 2, 20, 4]]}, "outside the picture"),
        ({"boxes": [["fire", 30, 2, 20, 4]]}, "x2 < x1"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, change: dict[str, object], text: str) -> None:
    found = fault(tmp_path, {**GOOD, **change})
    assert found.startswith("line 2: ")
    assert text in found


@pytest.mark.parametrize("key", ["image", "split", "width", "height", "source"])
def test_a_missing_field_is_named(tmp_path: Path, key: str) -> None:
    assert fault(tmp_path, {k: v for k, v in GOOD.items() if k != key}) == f"line 2: '{key}' is missing"


@pytest.mark.parametrize("line", ["{", "[1, 2]", "null", '"a"', "[" * 100_000])
def test_a_line_that_is_no_object_is_told(tmp_path: Path, line: str) -> None:
    assert fault(tmp_path, line).startswith("line 2: ")


def test_the_same_picture_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    twice = fault(tmp_path, GOOD, {**GOOD, "split": "train"})
    assert twice == "line 3: image 'a.jpg' is already in line 2"


def test_an_empty_file_and_one_that_is_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="the file is empty"):
        read_rows(write(tmp_path, ""))
    (tmp_path / "labels.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelError, match="not text in UTF-8"):
        read_rows(tmp_path / "labels.jsonl")


def test_all_faults_are_gathered_and_the_first_twenty_shown(tmp_path: Path) -> None:
    rows = [{**GOOD, "image": f"{n}.jpg", "width": 0} for n in range(30)]
    with pytest.raises(LabelError) as caught:
        read_rows(write(tmp_path, *rows))
    assert len(caught.value.faults) == 30
    assert "line 20:" in str(caught.value)
    assert "line 21:" not in str(caught.value)
    assert "and 10 more" in str(caught.value)


def test_rounding_at_the_edge_and_a_byte_order_mark_are_no_faults(tmp_path: Path) -> None:
    path = write(tmp_path, {**GOOD, "boxes": [["fire", -0.5, 0, 200.5, 100]]})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\n\n")
    assert len(read_rows(path)) == 1


def test_a_box_without_an_area_is_counted_and_no_truth(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "boxes": [["fire", 5, 5, 5, 9], ["fire", 1, 1, 9, 9]]})
    picture = read_set(tmp_path)[0]
    assert (len(picture.truths), picture.flat) == (1, 1)


def test_texts_belong_to_boxes_or_to_a_picture_without_any(tmp_path: Path) -> None:
    flat = [["plate", 1, 2, 1, 4], ["plate", 5, 2, 9, 4]]
    cut = {key: value for key, value in GOOD.items() if key != "boxes"} | {"image": "cut.jpg", "texts": ["CD456"]}
    write(tmp_path, {**GOOD, "boxes": flat, "texts": ["gone", "AB123"]}, cut)
    assert [(p.texts, p.boxed) for p in read_set(tmp_path)] == [(("AB123",), True), (("CD456",), False)]


def test_the_workshops_own_lists_may_point_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "image": "/data/a.jpg"})
    assert read_set(tmp_path)[0].path == Path("/data/a.jpg")
    with pytest.raises(LabelError, match="leaves the folder"):
        read_set(tmp_path, anywhere=False)


def unlabelled(folder: Path, *rows: dict[str, object]) -> list[frozenset[str]]:
    write(folder, *({**GOOD, "image": f"{n}.jpg", **row} for n, row in enumerate(rows)))
    return [picture.unlabelled for picture in read_set(folder)]


def box(label: str) -> list[object]:
    return [label, 1, 2, 3, 4]


def test_a_source_that_never_labels_a_class_is_unlabelled_for_it(tmp_path: Path) -> None:
    cars, plates, nothing = unlabelled(
        tmp_path,
        {"source": "cars", "boxes": [box("vehicle"), box("plate")]},
        {"source": "plates", "boxes": [box("plate")]},
        {"source": "lamps", "boxes": []},
    )
    assert cars == frozenset()
    assert plates == {"vehicle"}
    # Without any box it is taken at its word: real negatives stay negatives.
    assert nothing == frozenset()


def test_an_empty_picture_of_a_source_that_labels_a_class_is_a_negative(tmp_path: Path) -> None:
    rows = {"source": "cctv", "boxes": [box("fire")]}, {"source": "cctv", "boxes": []}, {"source": "b", "boxes": []}
    assert unlabelled(tmp_path, *rows) == [frozenset(), frozenset(), frozenset()]


def test_a_line_overrules_its_source(tmp_path: Path) -> None:
    found = unlabelled(
        tmp_path,
        {"source": "a", "boxes": [box("fire"), box("smoke")], "smoke_labelled": False},
        {"source": "b", "boxes": [box("fire")], "smoke_labelled": True},
        {"source": "b", "boxes": [box("fire")]},
    )
    assert found == [{"smoke"}, frozenset(), {"smoke"}]


def test_whoever_labels_statues_knows_persons(tmp_path: Path) -> None:
    rows = {"source": "a", "boxes": [box("person")]}, {"source": "b", "boxes": [box("person-like")]}
    assert "person" not in unlabelled(tmp_path, *rows)[1]


@pytest.mark.parametrize(
    ("name", "pictures", "silent"),
    [
        ("fire", 4230, {"continuous_fire_k1mo55": "smoke"}),
        ("person", 2741, {}),
        ("plate", 1688, {"license_plate_bertugilk": "vehicle", "license_plate_lizenzbear": "vehicle"}),
        ("crowd", 858, {}),
    ],
)
def test_the_sets_of_the_data_folder_have_no_fault(name: str, pictures: int, silent: dict[str, str]) -> None:
    if not (DATA / name / "labels.jsonl").is_file():
        pytest.skip(f"{DATA / name} is not there; set VEDETTE_DATA to the data folder")
    found = read_set(DATA / name, anywhere=False)
    assert len(found) == pictures
    for picture in found:
        assert (silent.get(picture.source, "") in picture.unlabelled) == (picture.source in silent)
    known = {"fire": "cctv_fire8_abonia", "plate": "license_plates_us_eu_conztantinee"}.get(name)
    assert not any(picture.unlabelled for picture in found if picture.source == known)
