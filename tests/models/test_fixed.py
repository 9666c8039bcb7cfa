"""Files for other hardware's compilers: one shape, heads instead of the suppression of doubles."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from models import zoo
from models.workshop.conversion.fixed import fix, sides
from models.workshop.quantization.quantize import feeds
from models.workshop.sets.data import letterbox
from tests.models.blind import SPEC, orange_pictures, write_blind


def test_the_heads_of_the_zoo_say_what_its_detections_say(tmp_path: Path) -> None:
    manifest, folder = zoo.load("fire")
    source = folder / manifest.artefacts["onnx-fp32"].file
    width, height = manifest.input.width, manifest.input.height
    made = fix(source, width, height, tmp_path / "heads.onnx", heads=True)
    assert made.input == "pixels"
    assert made.scale == pytest.approx(1 / 255)
    cells = sum((width // s) * (height // s) for s in (8, 16, 32))
    assert made.outputs == (("scores", (1, 2, cells)), ("boxes", (1, cells, 4)))
    assert len(made.ends) == 6
    kinds = {node.op_type for node in onnx.load(str(made.path)).graph.node}
    assert not kinds & {"NonMaxSuppression", "Shape", "Range", "Loop", "Gather", "Cast"}
    sample = next(s for s in manifest.golden if s.expected)
    image = np.asarray(cv2.imread(str(folder / sample.file)), np.uint8)
    canvas = letterbox(image, width, height)[0]
    pixels = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))[None]
    rows = ort.InferenceSession(str(source)).run(None, {"images": pixels})[0]
    scores, boxes = ort.InferenceSession(str(made.path)).run(None, {"pixels": pixels.astype(np.float32) * made.scale})
    best = rows[rows[:, 4].argmax()]
    label, cell = np.unravel_index(scores[0].argmax(), scores[0].shape)
    assert label == int(best[5])
    assert scores[0, label, cell] == pytest.approx(best[4], abs=1e-4)
    assert np.allclose(boxes[0, cell], best[:4], atol=0.05)


def test_without_heads_it_is_an_artefact_in_one_shape(tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    made = fix(source, 64, 64, tmp_path / "fixed.onnx", heads=False)
    assert made.input == "images"
    feed = next(feeds(orange_pictures(tmp_path / "val", 1), SPEC))
    before, after = (ort.InferenceSession(str(p)).run(None, feed)[0] for p in (source, made.path))
    assert len(before) == 1
    assert np.allclose(before, after, atol=1e-4)
    dims = onnx.load(str(made.path)).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [1, 3, 64, 64]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("512", "'512' is not WIDTHxHEIGHT"),
        ("512 x 288", "is not WIDTHxHEIGHT"),
        ("500x288", "multiples of 32 from 32 to 1024"),
        ("0x288", "multiples of 32"),
        ("2048x32", "multiples of 32 from 32 to 1024"),
    ],
)
def test_a_size_that_cannot_be_is_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        sides(text)


def test_another_shape_a_missing_file_and_missing_heads_are_named(tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    with pytest.raises(ValueError, match=r"blind.onnx takes 64x64 alone, not 96x64; export it again"):
        fix(source, 96, 64, tmp_path / "made.onnx", heads=True)
    with pytest.raises(FileNotFoundError, match=r"ghost.onnx does not exist"):
        fix(tmp_path / "ghost.onnx", 64, 64, tmp_path / "made.onnx", heads=True)
    made = fix(source, 64, 64, tmp_path / "heads.onnx", heads=True)
    with pytest.raises(ValueError, match="has no suppression of doubles that could be left out"):
        fix(made.path, 64, 64, tmp_path / "again.onnx", heads=True)
