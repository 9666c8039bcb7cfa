"""Picture files as they come: whatever they are, a detector gets three channels the right way up, or a reason."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.vision.picture import PictureError, read_picture


def halves(height: int = 40, width: int = 60) -> np.ndarray:
    """Left half dark, right half bright."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 200
    return image


def turned(raw: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that says how it lies (TIFF tag 0x0112)."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0\0\0\0"
    return raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:]


def test_a_picture_from_a_telephone_is_turned_upright(tmp_path: Path) -> None:
    raw = cv2.imencode(".jpg", halves())[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(turned(raw, 6))
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.shape == (60, 40, 3)
    # Turned clockwise, what was left is above.
    assert picture[:25].mean() < 20
    assert picture[-25:].mean() > 180


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp", "tiff"])
def test_half_a_file_is_no_picture(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(2).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    path = tmp_path / f"a.{kind}"
    assert cv2.imwrite(str(path), noise)
    assert read_picture(path).shape == (200, 300, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PictureError, match=path.name):
        read_picture(path)


def test_grey_deep_and_transparent_files(tmp_path: Path) -> None:
    grey = halves()[..., 0]
    clear = np.dstack([halves(), np.zeros((40, 60), np.uint8)])
    for name, image in (("grey", grey), ("deep", grey.astype(np.uint16) * 257), ("clear", clear)):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    assert (read_picture(tmp_path / "grey.png") == halves()).all()
    assert (read_picture(tmp_path / "deep.png") == halves()).all()
    assert (read_picture(tmp_path / "clear.png") == 114).all()
