"""The suppression of doubles outside of the graph does what the graph does."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from contract.manifest import Suppression
from edge.vision.engine import EngineError
from edge.vision.letterbox import Letterbox
from edge.vision.picture import read_picture
from edge.vision.runtimes.suppress import read_heads, suppress
from models import zoo

HERE = Path("model.bin")
RULE = Suppression()


@pytest.mark.parametrize("name", [name for name in zoo.names() if zoo.load(name)[0].task == "detect"])
def test_it_agrees_with_the_graphs_of_the_zoo(name):
    manifest, folder = zoo.load(name)
    model = onnx.load(str(folder / manifest.artefacts["onnx-fp32"].file))
    rule = manifest.output.suppression
    numbers = {
        t.name: numpy_helper.to_array(t).item()
        for t in model.graph.initializer
        if t.name.startswith("post_") and numpy_helper.to_array(t).size == 1
    }
    assert (numbers["post_most"], numbers["post_floor"], numbers["post_same"]) == pytest.approx(
        (rule.most, rule.score, rule.iou)
    )
    for head in ("scores", "boxes"):
        model.graph.output.append(helper.make_tensor_value_info(head, TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    seen = 0
    for golden in manifest.golden:
        canvas, _ = Letterbox(manifest.input).put(read_picture(folder / golden.file))
        rows, scores, boxes = session.run(["detections", "scores", "boxes"], {manifest.input.name: canvas.tensor})
        ours = suppress(*read_heads(HERE, [scores, boxes], len(manifest.labels)), rule)
        assert ours.dtype == np.float32
        # An older graph of the zoo cuts its boxes off at the input's edge, behind the suppression.
        sides = [manifest.input.width, manifest.input.height] * 2
        assert same(*(np.concatenate([np.clip(r[:, :4], 0, sides), r[:, 4:]], axis=1) for r in (ours, rows)))
        seen += len(rows)
    assert seen > 0


def same(one: np.ndarray, other: np.ndarray) -> bool:
    order = [a[np.lexsort((a[:, 0], -a[:, 4], a[:, 5]))] for a in (one, other)]
    return one.shape == other.shape and bool(np.allclose(*order, atol=1e-4))


def graph_nms() -> ort.InferenceSession:
    constants = {
        "most": np.array([RULE.most], np.int64),
        "same": np.array([RULE.iou], np.float32),
        "floor": np.array([RULE.score], np.float32),
    }
    graph = helper.make_graph(
        [helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "same", "floor"], ["kept"])],
        "nms",
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, "A", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, "C", "A"]),
        ],
        [helper.make_tensor_value_info("kept", TensorProto.INT64, ["N", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


NMS = graph_nms()


@given(seed=st.integers(0, 2**32 - 1), labels=st.integers(1, 3), cells=st.integers(1, 120))
def test_it_keeps_what_the_graph_s_node_keeps(seed, labels, cells):
    random = np.random.default_rng(seed)
    scores = random.random((labels, cells), np.float32)
    corners = random.integers(0, 12, (cells, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + random.integers(0, 12, (cells, 2)).astype(np.float32)], axis=1)
    kept = NMS.run(None, {"boxes": boxes[None], "scores": scores[None]})[0]
    expected = np.array([[*boxes[cell], scores[label, cell], label] for _, label, cell in kept], np.float32)
    assert same(suppress(scores, boxes, RULE), expected.reshape(-1, 6))


def test_nothing_sure_is_no_rows_and_no_more_than_so_many_are_kept():
    boxes = np.array([[i * 10, 0, i * 10 + 5, 5] for i in range(RULE.most + 50)], np.float32)
    assert suppress(np.full((2, len(boxes)), RULE.score / 2, np.float32), boxes, RULE).shape == (0, 6)
    rows = suppress(np.full((2, len(boxes)), 0.5, np.float32), boxes, RULE)
    assert [int((rows[:, 5] == label).sum()) for label in (0, 1)] == [RULE.most] * 2


@pytest.mark.parametrize("shape", [(1, 1, 12), (12,), (1, 12, 1), (1, 1, 12, 1)])
def test_sides_of_one_and_the_order_do_not_matter(shape):
    scores, boxes = np.arange(12, dtype=np.float32), np.arange(48, dtype=np.float32).reshape(1, 12, 4)
    for outputs in ([scores.reshape(shape), boxes], [boxes, scores.reshape(shape)]):
        found, where = read_heads(HERE, outputs, labels=1)
        assert (found == scores[None]).all()
        assert (where == boxes[0]).all()


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([], "gives nothing"),
        ([(1, 2, 12)], r"gives \[1, 2, 12\]; needed are scores \[1, 2, A\]"),
        ([(1, 12, 2), (1, 12, 4)], r"gives \[1, 12, 2\] and \[1, 12, 4\]"),
        ([(1, 2, 11), (1, 12, 4)], r"gives \[1, 2, 11\] and"),
        ([(1, 2, 12), (1, 4, 12)], r"\[1, 2, 12\] and \[1, 4, 12\]"),
    ],
)
def test_outputs_that_do_not_belong_together_are_refused(shapes, said):
    with pytest.raises(EngineError, match=rf"model\.bin .*{said}"):
        read_heads(HERE, [np.zeros(shape, np.float32) for shape in shapes], labels=2)
