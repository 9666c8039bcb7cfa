"""How the reading of plates is measured."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from contract.detections import Box, Detection
from models.workshop.evaluation.reading import ask, correct, figures, same
from models.workshop.sets.data import Image, Picture, Truth


def picture(folder: Path, name: str, source: str, texts: tuple[str, ...], *boxes: tuple[int, int, int, int]) -> Picture:
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.zeros((100, 200, 3), np.uint8))
    truths = tuple(Truth("plate", tuple(float(v) for v in box)) for box in boxes)  # type: ignore[arg-type]
    return Picture(path, "read", 200, 100, source, truths, boxed=bool(boxes), texts=texts)


def test_texts_are_the_same_plate_whatever_their_marks_and_o_is_zero() -> None:
    assert same("京A·88731", "京a88731")
    assert same("RKO99AN", "RK 099-AN")
    assert not same("京A88731", "京A8873")


@pytest.mark.parametrize(
    ("read", "text", "share"),
    [("AB12", "AB12", 1.0), ("AB1", "AB12", 0.75), ("", "AB12", 0.0), ("XXAB12YYYYY", "AB12", 0)],
)
def test_characters_are_counted_by_edit_distance(read: str, text: str, share: float) -> None:
    assert correct(read, text) == pytest.approx(share)


def test_plates_are_read_in_true_boxes_and_where_they_were_found(tmp_path: Path) -> None:
    pictures = [
        picture(tmp_path, "two", "road", ("京A12345", "京B12345"), (0, 0, 40, 10), (100, 50, 140, 60)),
        picture(tmp_path, "none", "road", (), (0, 0, 40, 10)),
        picture(tmp_path, "crop", "crops", ("AB123",)),
    ]

    def detect(_image: Image) -> list[Detection]:
        return [Detection("plate", 0.9, (0.0, 0.0, 0.2, 0.1)), Detection("plate", 0.2, (0.5, 0.5, 0.7, 0.6))]

    def reads(_image: Image, box: Box) -> str:
        return {0.0: "京A12345", 0.5: "津B12345"}[box[0]] if box[2] < 1 else "AB123"

    faults: list[str] = []
    asked = ask(pictures, "plate", detect, reads, 0.5, faults)
    assert faults == []
    found = {(f.name, f.slice): f for f in figures("plate", asked, "plate/read")}
    assert found["plate.whole_read", ""].value == pytest.approx(2 / 3)
    assert found["plate.whole_read", ""].table == ({"picture": "two.png", "text": "京B12345", "read": "津B12345"},)
    assert found["plate.whole_read", "source=crops"].value == 1
    assert found["plate.whole_read_no_province", ""].value == 1
    assert ("plate.whole_read_no_province", "source=crops") not in found
    # The second plate was found under the threshold: not found at all.
    assert found["plate.whole_read_e2e", ""].value == pytest.approx(0.5)
    assert ("plate.whole_read_e2e", "source=crops") not in found
    assert found["plate.char_acc", ""].value == pytest.approx((1 + 6 / 7 + 1) / 3)
    assert figures("plate", [], "plate/read") == []


def test_a_text_belongs_to_its_own_box_and_a_broken_picture_is_told(tmp_path: Path) -> None:
    car = picture(tmp_path, "car", "road", ("", "京A12345"), (0, 0, 200, 100), (0, 0, 40, 10))
    car = replace(car, truths=(Truth("vehicle", car.truths[0].box), car.truths[1]))
    broken = picture(tmp_path, "broken", "road", ("京B12345",), (0, 0, 40, 10))
    broken.path.write_bytes(b"no picture")
    faults: list[str] = []
    (one,) = ask([car, broken], "plate", lambda _: [], lambda _image, box: f"{box[2]:.1f}", 0.5, faults)
    assert (one.text, one.read, one.found) == ("京A12345", "0.2", "")
    (fault,) = faults
    assert "broken.png" in fault
