"""The engine finds what is there, where it is, and never passes a fault off as an empty picture."""

import dataclasses
import time
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from contract.detections import Box, iou
from contract.manifest import Input
from edge.vision.deadline import Deadline
from edge.vision.engine import EngineError, EngineTimeoutError, load_engine, read_release
from edge.vision.engines import Engines
from edge.vision.letterbox import Letterbox, place
from edge.vision.picture import PictureError, read_picture, to_bgr

from .kinds import KINDS
from .orange import manifest_of, orange_model, write_orange_model

ORANGE = (0, 140, 255)


def picture(width: int, height: int, box: Box | None) -> NDArray[np.uint8]:
    image = np.full((height, width, 3), 90, np.uint8)
    if box is not None:
        x1, y1, x2, y2 = box
        image[round(y1 * height) : round(y2 * height), round(x1 * width) : round(x2 * width)] = ORANGE
    return image


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    """The name of a library that runs here; every behaviour of an engine is tried with each."""
    return request.param


@pytest.fixture
def engine(tmp_path: Path, kind: str):
    manifest = write_orange_model(tmp_path)
    engine = load_engine(manifest, tmp_path, threads=1, engine=kind)
    yield engine
    engine.close()


@pytest.mark.parametrize(("width", "height"), [(64, 64), (640, 360), (360, 640), (1920, 1080), (33, 77)])
def test_it_finds_orange_where_it_is(engine, width, height):
    box = (0.25, 0.5, 0.75, 1.0)
    (found,) = engine.detect(picture(width, height, box))
    assert found.label == "fire"
    assert found.score > 0.9
    assert iou(found.box, box) > 0.6


def test_it_finds_nothing_in_grey_and_nothing_in_blue(engine):
    assert engine.detect(picture(320, 240, None)) == []
    assert engine.detect(picture(320, 240, (0.2, 0.2, 0.8, 0.8))[..., ::-1]) == []


def test_two_cameras_of_other_sizes_do_not_leave_traces_in_each_other(engine):
    wide, high = picture(640, 160, (0, 0, 1, 1)), picture(160, 640, None)
    alone = engine.detect(wide)
    assert engine.detect(high) == []
    assert engine.detect(wide) == alone


def test_slack_shows_what_the_release_is_less_sure_of(tmp_path, kind):
    manifest = msgspec.structs.replace(write_orange_model(tmp_path), thresholds={"fire": 0.97})
    engine = load_engine(manifest, tmp_path, threads=1, engine=kind)
    image = picture(64, 64, (0.25, 0.25, 0.75, 0.75))
    image[16:48, 16:48] = (60, 150, 230)
    assert engine.detect(image) == []
    assert len(engine.detect(image, slack=0.5)) == 1
    engine.close()


def test_a_float_release_gets_scaled_pixels(tmp_path, kind):
    engine = load_engine(write_orange_model(tmp_path, dtype="float32"), tmp_path, threads=1, engine=kind)
    assert len(engine.detect(picture(640, 360, (0.25, 0.25, 0.75, 0.75)))) == 1
    assert engine.detect(picture(640, 360, None)) == []
    engine.close()


@pytest.mark.parametrize(
    "image",
    [
        np.full((48, 64), 200, np.uint8),
        np.full((48, 64, 1), 200, np.uint8),
        np.full((48, 64, 4), 200, np.uint8),
        np.full((48, 64, 3), 51_400, np.uint16),
        np.full((1, 64, 3), 200, np.uint8),
        np.full((64, 1, 3), 200, np.uint8),
        np.full((1, 20_000, 3), 200, np.uint8),
        np.full((4320, 7680, 3), 200, np.uint8),
    ],
    ids=["grey", "grey channel", "alpha", "16 bit", "one row", "one column", "one long row", "8K"],
)
def test_odd_pictures_are_looked_at(engine, image):
    assert engine.detect(image) == []
    assert to_bgr(image).shape == (*image.shape[:2], 3)
    assert to_bgr(image).max() == 200 or image.ndim == 3


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((0, 10, 3), np.uint8), "each side must be"),
        (np.zeros((10, 10, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((10,), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((10, 10, 3), np.float32), "8 or 16 bits"),
        (np.zeros((1, 40_000, 3), np.uint8), "each side must be"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(engine, image, reason):
    with pytest.raises(PictureError, match=reason):
        to_bgr(image)
    with pytest.raises(EngineError, match=reason):
        engine.detect(image)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "note.txt").write_text("no picture")
    with pytest.raises(PictureError, match=r"note\.txt is no picture"):
        read_picture(tmp_path / "note.txt")
    with pytest.raises(PictureError, match=r"gone\.png cannot be read"):
        read_picture(tmp_path / "gone.png")


def test_the_first_run_is_not_left_to_the_first_frame(engine):
    engine.warm_up()
    assert engine.model.version == "1.0.0"


def test_a_missing_release_and_a_missing_file_are_named(tmp_path, kind):
    with pytest.raises(EngineError, match=r"no model in .*nowhere"):
        read_release(tmp_path / "nowhere")
    manifest = write_orange_model(tmp_path)
    (tmp_path / "orange.onnx").unlink()
    with pytest.raises(EngineError, match=r"orange\.onnx cannot be read"):
        load_engine(manifest, tmp_path, 1, engine=kind)


def test_one_changed_byte_is_refused(tmp_path, kind):
    manifest = write_orange_model(tmp_path)
    raw = bytearray((tmp_path / "orange.onnx").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "orange.onnx").write_bytes(raw)
    with pytest.raises(EngineError, match="is not the file its manifest names"):
        load_engine(manifest, tmp_path, 1, engine=kind)


def test_a_file_that_is_no_model_is_refused(tmp_path, kind):
    (tmp_path / "orange.onnx").write_bytes(b"no model")
    with pytest.raises(EngineError, match="cannot be loaded"):
        load_engine(manifest_of(b"no model", 64), tmp_path, 1, engine=kind)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": Input(width=96, height=64)}, r"input 'images' .*needed is uint8 \[1, 3, 64, 96\]"),
        ({"input": Input(width=64, height=64, name="picture")}, r"no input 'picture'.*it has \['images'\]"),
        ({"input": Input(width=64, height=64, dtype="float32")}, r"needed is float32"),
        ({"input": Input(width=64, height=64, dtype="int4")}, "the manifest wants an input of int4"),
    ],
)
def test_a_model_with_another_input_is_refused(tmp_path, kind, change, message):
    manifest = msgspec.structs.replace(write_orange_model(tmp_path), **change)
    with pytest.raises(EngineError, match=message):
        load_engine(manifest, tmp_path, 1, engine=kind)


def test_a_model_with_another_output_is_refused(tmp_path, kind):
    raw = orange_model(output="boxes").SerializeToString()
    (tmp_path / "orange.onnx").write_bytes(raw)
    with pytest.raises(EngineError, match=r"no output 'detections'.*\['boxes'\]"):
        load_engine(manifest_of(raw, 64), tmp_path, 1, engine=kind)


def telling_model(value: float) -> bytes:
    """A graph that says ``value`` in every field, whatever the picture."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["pixels"], ["brightest"], keepdims=0),
        helper.make_node("Mul", ["brightest", "nothing"], ["zero"]),
        helper.make_node("Add", ["row", "zero"], ["detections"]),
    ]
    row = helper.make_tensor("row", TensorProto.FLOAT, [1, 6], [value] * 6)
    return small_model(nodes, [row, helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0])])


def looping_model(turns: int) -> bytes:
    """A graph that finds nothing, and turns ``turns`` times around nothing first where the picture has white in it."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Sin", ["was"], ["is"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("was", TensorProto.FLOAT, [1, 6]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("is", TensorProto.FLOAT, [1, 6]),
        ],
    )
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["pixels"], ["brightest"], keepdims=0),
        helper.make_node("Greater", ["brightest", "bright"], ["white"]),
        helper.make_node("Where", ["white", "many", "one"], ["turns"]),
        helper.make_node("Loop", ["turns", "", "start"], ["detections"], body=body),
    ]
    constants = [
        helper.make_tensor("bright", TensorProto.FLOAT, [], [250.0]),
        helper.make_tensor("many", TensorProto.INT64, [], [turns]),
        helper.make_tensor("one", TensorProto.INT64, [], [1]),
        helper.make_tensor("start", TensorProto.FLOAT, [1, 6], [0.0] * 6),
    ]
    return small_model(nodes, constants)


def small_model(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["N", 6])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_a_detector_that_hangs_costs_its_time_and_works_again(tmp_path, kind):
    # OpenVINO cannot leave the loop: there it must come to an end for the test to do so.
    raw = looping_model(3_000_000 if kind == "openvino" else 2**40)
    (tmp_path / "orange.onnx").write_bytes(raw)
    engine = load_engine(manifest_of(raw, 64), tmp_path, 1, engine=kind, limit_s=0.5)
    calm, white = picture(64, 64, None), np.full((64, 64, 3), 255, np.uint8)
    assert engine.detect(calm) == []
    said = []
    for _ in range(2):
        with pytest.raises(EngineTimeoutError, match=r"no result within 0\.5 s") as caught:
            engine.detect(white)
        said.append("an earlier picture" in str(caught.value))
    assert said == [False, kind == "openvino"]
    for _ in range(600):
        try:
            assert engine.detect(calm) == []
            break
        except EngineTimeoutError:
            time.sleep(0.1)
    else:
        pytest.fail("it never worked again")
    engine.close()


@pytest.mark.parametrize(("value", "message"), [(float("nan"), "not finite"), (7.0, "names class 7")])
def test_nonsense_from_the_graph_is_a_fault_not_an_empty_picture(tmp_path, kind, value, message):
    raw = telling_model(value)
    (tmp_path / "orange.onnx").write_bytes(raw)
    engine = load_engine(manifest_of(raw, 64), tmp_path, 1, engine=kind)
    with pytest.raises(EngineError, match=message):
        engine.detect(picture(64, 64, None))
    engine.close()


def test_a_deadline_leaves_alone_what_ends_in_time():
    @dataclasses.dataclass
    class Run:
        terminate: bool = False

    deadline = Deadline(60.0)
    deadline.begin(Run())
    assert not deadline.end()
    deadline.close()


@given(width=st.integers(1, 4000), height=st.integers(1, 4000), x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_point_comes_back_to_where_it_was(width, height, x, y):
    spot = place(width, height, 416, 416)
    assert spot.left >= 0
    assert spot.left + spot.width <= 416
    assert spot.top >= 0
    assert spot.top + spot.height <= 416
    there = np.array([[spot.left + x * spot.width, spot.top + y * spot.height] * 2], np.float32)
    assert np.abs(spot.to_picture(there)[0] - (x, y, x, y)).max() < 416 * 1e-6 / min(spot.width, spot.height) + 1e-4


def test_a_read_only_view_is_taken_as_it_is_and_placed_on_grey():
    image = picture(640, 320, (0, 0, 1, 1))
    image.flags.writeable = False
    box = Letterbox(Input(width=64, height=64))
    canvas, spot = box.put(image)
    assert (spot.left, spot.top, spot.width, spot.height) == (0, 16, 64, 32)
    assert (canvas.tensor[0, :, :16] == 114).all()
    assert (canvas.tensor[0, :, 48:] == 114).all()
    assert (canvas.tensor[0, :, 16:48] == np.array(ORANGE[::-1], np.uint8).reshape(3, 1, 1)).all()


def test_an_input_that_fits_has_a_canvas_for_each_shape_and_no_more_than_a_few():
    box = Letterbox(Input(width=128, height=128, shape="fit"))
    wide, spot = box.put(picture(640, 320, (0, 0, 1, 1)))
    assert wide.tensor.shape == (1, 3, 96, 160)
    assert (spot.left, spot.top, spot.width, spot.height) == (0, 8, 160, 80)
    assert (wide.tensor[0, :, 8:88] == np.array(ORANGE[::-1], np.uint8).reshape(3, 1, 1)).all()
    high, _ = box.put(picture(320, 640, None))
    assert high.tensor.shape == (1, 3, 160, 96)
    assert box.put(picture(640, 320, None))[0] is wide
    for height in range(1, 400, 7):
        assert box.put(picture(100, height, None))[0].tensor.size <= 3 * 128 * 128


def test_a_switch_takes_effect_between_two_frames(tmp_path):
    engines = Engines()
    old = load_engine(write_orange_model(tmp_path / "old"), tmp_path / "old", 1)
    new = load_engine(write_orange_model(tmp_path / "new", version="1.1.0"), tmp_path / "new", 1)
    engines.swap("fire", old, "1.0.0")
    assert engines.current("fire") is None
    assert engines.settle() == ("fire",)
    told: list[str] = []
    engines.swap("fire", new, "1.1.0", done=lambda: told.append(engines.version("fire")))
    assert engines.current("fire") is old
    assert engines.settle() == ("fire",)
    assert engines.current("fire") is new
    assert told == ["1.1.0"]
    assert engines.settle() == ()
    engines.close()
    assert engines.names() == ()
