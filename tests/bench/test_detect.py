"""Our detectors beside ultralytics: the twin is the same network, boxes are matched one to one, and what is missing is
named."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from bench import detect, frame, peer
from bench.agreement import Agreement, Seen, agree, match
from bench.frame import BenchError, Figure
from bench.pictures import evenly
from bench.sessions import open_session, timed_sessions
from bench.twin import ReleaseGraph
from contract.manifest import Manifest
from edge.vision.engine import read_release
from edge.vision.letterbox import Letterbox
from edge.vision.zoo import shipped_release
from tests.edge.vision.orange import write_orange_model
from vedette.drawn.scene import Kind, Scene

SCENES: tuple[tuple[str, Kind, tuple[int, int]], ...] = (
    ("fire", "fire", (640, 360)),
    ("fire", "fire", (480, 640)),
    ("person", "people", (640, 360)),
    ("person", "people", (512, 512)),
)


def _release(name: str) -> tuple[Manifest, Path]:
    folder = shipped_release(None, name)
    manifest = read_release(folder)
    return manifest, folder / manifest.artefacts["onnx-fp32"].file


def _tensor(manifest: Manifest, kind: Kind, size: tuple[int, int]) -> NDArray[np.uint8]:
    canvas, _ = Letterbox(manifest.input).put(Scene(kind, 3, *size).frame(16.0).image)
    pixels: NDArray[np.uint8] = canvas.tensor
    return pixels


def _suppress(output: NDArray[np.float32], iou: float, floor: float) -> NDArray[np.float64]:
    """Rows x1, y1, x2, y2, score, label of a twin's output, doubles of a label suppressed, best first."""
    columns = output[0].astype(np.float64)
    centre, size = columns[:2].T, columns[2:4].T
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    rows = []
    for label, scores in enumerate(columns[4:]):
        left = [cell for cell in np.argsort(-scores, kind="stable") if scores[cell] > floor]
        while left:
            best = left.pop(0)
            rows.append([*boxes[best], scores[best], label])
            left = [cell for cell in left if _iou(boxes[best], boxes[cell]) <= iou]
    return _sorted(np.array(rows).reshape(-1, 6))


def _iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / (float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2])) - shared)


def _sorted(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows[np.lexsort((rows[:, 0], -np.round(rows[:, 4], 4)))]


@pytest.mark.parametrize(("name", "kind", "size"), SCENES)
def test_twin_sees_what_the_artefact_sees(name: str, kind: Kind, size: tuple[int, int]) -> None:
    manifest, path = _release(name)
    graph = ReleaseGraph(path)
    pixels = _tensor(manifest, kind, size)
    (found,) = open_session(path).run(None, {"images": pixels})
    height, width = pixels.shape[2:]
    twin = open_session(graph.twin(manifest.labels, width, height))
    (output,) = twin.run(None, {"images": pixels.astype(np.float32) / 255})
    assert output.shape[:2] == (1, 4 + len(manifest.labels))
    rules = graph.suppression
    sure = found[found[:, 4] > 0.25].astype(np.float64)
    assert len(sure) > 0, "a scene in which nothing is seen shows nothing"
    # The first releases cut their boxes at the input's edge, within the graph.
    mine = _suppress(output, rules.iou, rules.floor)
    edges = np.array([width, height, width, height])
    mine[:, :4], sure[:, :4] = np.clip(mine[:, :4], 0, edges), np.clip(sure[:, :4], 0, edges)
    np.testing.assert_allclose(mine[mine[:, 4] > 0.25], _sorted(sure), atol=0.02)


@pytest.mark.parametrize(("name", "kind", "size"), SCENES)
def test_what_is_around_the_network_is_the_artefacts_own(name: str, kind: Kind, size: tuple[int, int]) -> None:
    manifest, path = _release(name)
    graph = ReleaseGraph(path)
    pixels = _tensor(manifest, kind, size)
    (floats,) = open_session(graph.before()).run(None, {"images": pixels})
    np.testing.assert_allclose(floats, pixels.astype(np.float32) / 255, atol=1e-6)
    twin = open_session(graph.twin(manifest.labels, pixels.shape[3], pixels.shape[2]))
    (output,) = twin.run(None, {"images": floats})
    centre, extent = output[:, :2], output[:, 2:4]
    boxes = np.concatenate([centre - extent / 2, centre + extent / 2], axis=1).transpose(0, 2, 1)
    (rows,) = open_session(graph.after()).run(
        None, {"boxes": np.ascontiguousarray(boxes), "scores": np.ascontiguousarray(output[:, 4:])}
    )
    (found,) = open_session(path).run(None, {"images": pixels})
    np.testing.assert_allclose(rows, found, atol=0.02)


def test_twin_gives_the_network_the_scale_it_wants(tmp_path: Path) -> None:
    manifest, path = _release("person")
    other = onnx.load(str(path))
    for constant in other.graph.initializer:
        if constant.name == "pre_scale":
            constant.CopyFrom(onnx.numpy_helper.from_array(np.array(0.5 / 255, np.float32), "pre_scale"))
    onnx.save(other, str(tmp_path / "half.onnx"))
    sides = manifest.input.fit(640, 480)
    full, half = (open_session(ReleaseGraph(p).twin(manifest.labels, *sides)) for p in (path, tmp_path / "half.onnx"))
    floats = np.random.default_rng(1).random((1, 3, sides[1], sides[0]), np.float32)
    (dimmed,) = full.run(None, {"images": floats / 2})
    (told,) = half.run(None, {"images": floats})
    np.testing.assert_allclose(told, dimmed, atol=1e-2)
    assert not np.allclose(full.run(None, {"images": floats})[0], dimmed, atol=1e-2)


def test_twin_tells_ultralytics_what_it_is() -> None:
    manifest, path = _release("fire")
    sides = manifest.input.fit(640, 480)
    session = open_session(ReleaseGraph(path).twin(manifest.labels, *sides))
    told = session.get_modelmeta().custom_metadata_map
    assert told["task"] == "detect"
    assert told["names"] == "{0: 'fire', 1: 'smoke'}"
    assert told["imgsz"] == str(session.get_inputs()[0].shape[2:])
    assert (told["stride"], told["batch"]) == ("32", "1")


def test_graph_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    write_orange_model(tmp_path)
    with pytest.raises(BenchError, match=r"orange\.onnx has no tensor scores, boxes; only a detector"):
        ReleaseGraph(tmp_path / "orange.onnx")


def test_boxes_are_matched_one_to_one_and_the_closest_first() -> None:
    near, nearer, far = (0.0, 0.0, 100.0, 96.0), (0.0, 0.0, 100.0, 99.0), (0.0, 0.0, 100.0, 50.0)
    ours = [Seen("fire", 0.9, near), Seen("fire", 0.8, nearer)]
    assert match(ours, [Seen("fire", 0.9, (0.0, 0.0, 100.0, 100.0))]) == [(1, 0)]
    assert match(ours, [Seen("smoke", 0.9, near)]) == []
    assert match(ours, [Seen("fire", 0.9, far)]) == []
    assert sorted(match(ours, ours[::-1])) == [(0, 1), (1, 0)]


def test_agreement_counts_what_either_found_alone() -> None:
    one, other = Seen("fire", 0.9, (0.0, 0.0, 10.0, 10.0)), Seen("fire", 0.9, (50.0, 50.0, 60.0, 60.0))
    third = Seen("smoke", 0.5, (0.0, 0.0, 10.0, 10.0))
    alike = agree([one, other], [one, third])
    assert alike == Agreement(both=1, ours=1, theirs=1)
    assert alike.share == 0.5
    assert (alike + agree([], [])).share == 0.5
    assert agree([], [one]).share == 0.0
    assert agree([], []).share == 1.0


def test_boxes_without_area_match_nothing() -> None:
    flat = [Seen("fire", 0.9, (5.0, 5.0, 5.0, 5.0))]
    assert match(flat, flat) == []


def test_sessions_are_timed_and_get_one_thread(tmp_path: Path) -> None:
    write_orange_model(tmp_path)
    real = ort.InferenceSession
    pixels = np.zeros((1, 3, 64, 64), np.uint8)
    with timed_sessions() as made:
        session = ort.InferenceSession(str(tmp_path / "orange.onnx"), None, providers=["CPUExecutionProvider"])
        session.run(None, {"images": pixels})
    assert ort.InferenceSession is real
    assert made == [session]
    first = session.spent
    assert first > 0
    session.run_with_ort_values(["detections"], {"images": ort.OrtValue.ortvalue_from_numpy(pixels)})
    assert session.spent > first
    assert session.get_session_options().intra_op_num_threads == 1


def test_overhead_is_what_a_look_takes_outside_its_session() -> None:
    cost = detect.Cost(frame=[3.0, 5.0, 9.0], session=[1.0, 2.0, 8.0])
    assert cost.overhead == 2.0


def test_the_worst_detector_stands_for_all() -> None:
    figures = [
        Figure("detect.fire.int8_ratio", 0.3, 1.0, "of reference", 5, 0.0),
        Figure("detect.fire.int8_ms", 9.0, 30.0, "ms", 5, 0.0),
        Figure("detect.person.int8_ratio", 0.4, 1.0, "of reference", 5, 0.0),
        Figure("detect.fire.agreement", 0.99, None, "share", 5, 0.0),
        Figure("detect.person.agreement", 1.0, None, "share", 5, 0.0),
    ]
    assert [(one.name, one.ours) for one in detect.worst(figures)] == [
        ("detect.int8_ratio", 0.4),
        ("detect.agreement", 0.99),
    ]


def test_pictures_are_taken_from_all_of_a_set() -> None:
    assert evenly(list(range(100)), 4) == [0, 25, 50, 75]
    assert evenly([1, 2], 5) == [1, 2]
    assert evenly([], 5) == []


def test_without_ultralytics_it_says_how_to_get_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("YOLO_AUTOINSTALL", "YOLO_OFFLINE", "YOLO_VERBOSE", "YOLO_CONFIG_DIR"):
        monkeypatch.setenv(name, "false")
    with pytest.raises(BenchError, match=r"make workshop.*\.venv-train/bin/vedette bench detect"):
        peer.load()


def test_wrong_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="'detect' takes no option 'seconds'; it takes models, repeats"):
        frame.run("detect", seconds=3.0)
    with pytest.raises(BenchError, match="repeats is 0; needed is 1 or more"):
        frame.run("detect", repeats=0)
    with pytest.raises(BenchError, match="no model 'fire' in"):
        frame.run("detect", models=tmp_path)


@pytest.mark.slow  # builds and exports YOLO11n, then runs every detector beside ultralytics' predictor
@pytest.mark.filterwarnings("ignore")  # of torch and ultralytics, about themselves
def test_both_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ultralytics", "torchvision"):
        pytest.importorskip(name, reason=f"{name} is in the workshop's environment alone (make workshop)")
    monkeypatch.setattr(detect, "STILLS", 10)
    monkeypatch.setattr(detect, "FRAMES", 2)
    figures = {figure.name: figure for figure in detect.run(repeats=1)}
    assert figures["detect.agreement"].ours >= 0.99
    assert figures["detect.fire.agreement"].repeats > 0
    for kind in ("int8", "overhead", "frame", "outside"):
        ratio, times = figures[f"detect.fire.{kind}_ratio"], figures[f"detect.fire.{kind}_ms"]
        assert ratio.ours == pytest.approx(times.ratio)
        assert figures[f"detect.{kind}_ratio"].ours >= ratio.ours
    assert figures["detect.fire.outside_ms"].ours > figures["detect.fire.overhead_ms"].ours
