"""The adapters for makers' processors, against stand-ins: they load, see, give up and fail as their makers document it.

None has run on a board; see ``makers`` for what these tests cannot show.
"""

import hashlib
import sys
import threading
import time

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from contract.detections import iou
from contract.manifest import Artefact, Input, Manifest
from edge.probes.models import try_model
from edge.vision.engine import EngineError, EngineTimeoutError, load_engine

from . import makers
from .orange import write_orange_model
from .test_engine import picture
from .test_engine_choice import config

NAMES = ["tensorrt", "rknn", "hailo"]


@pytest.fixture
def bench() -> makers.Bench:
    return makers.Bench()


@pytest.fixture(params=NAMES)
def name(request, bench, monkeypatch) -> str:
    for module, stand_in in getattr(makers, request.param)(bench).items():
        monkeypatch.setitem(sys.modules, module, stand_in)
    # What an earlier test imported belongs to that test's stand-in.
    monkeypatch.delitem(sys.modules, f"edge.vision.runtimes.{request.param}", raising=False)
    return request.param


def release(folder, name: str, raw: bytes = makers.MODEL, **changes) -> Manifest:
    manifest = write_orange_model(folder)
    (folder / "model.bin").write_bytes(raw)
    artefact = Artefact(file="model.bin", sha256=hashlib.sha256(raw).hexdigest(), bytes=len(raw), precision="int8")
    manifest = msgspec.structs.replace(manifest, artefacts=manifest.artefacts | {name: artefact}, **changes)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return manifest


def load(folder, name: str, **changes):
    return load_engine(release(folder, name, **changes), folder, 1, limit_s=0.3)


def test_it_is_taken_by_itself_and_sees_orange_once(tmp_path, name):
    engine = load(tmp_path, name)
    assert engine.detect(picture(640, 360, None)) == []
    for width, height in ((640, 360), (360, 640), (64, 64)):
        box = (0.25, 0.5, 0.75, 1.0)
        (found,) = engine.detect(picture(width, height, box))
        assert (found.label, round(found.score, 2)) == ("fire", 0.9)
        assert iou(found.box, box) > 0.85
    assert engine.detect(picture(640, 360, (0.25, 0.5, 0.75, 1.0))[..., ::-1]) == []
    engine.close()


def test_a_release_that_fits_any_picture_is_given_the_shape_of_its_manifest(tmp_path, name):
    engine = load(tmp_path, name, input=Input(width=64, height=64, shape="fit"))
    (found,) = engine.detect(picture(640, 200, (0.25, 0.5, 0.75, 1.0)))
    assert iou(found.box, (0.25, 0.5, 0.75, 1.0)) > 0.85
    engine.close()


def test_a_run_that_hangs_is_given_up_and_the_next_ones_work_again(tmp_path, name, bench):
    engine = load(tmp_path, name)
    bench.hangs = threading.Event()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(EngineTimeoutError, match=r"no result within 0\.3 s"):
            engine.detect(picture(64, 64, None))
        assert time.monotonic() - began < 10
    bench.hangs.set()
    bench.hangs = None
    for _ in range(500):
        try:
            assert len(engine.detect(picture(64, 64, (0.25, 0.25, 0.75, 0.75)))) == 1
            break
        except EngineTimeoutError:
            time.sleep(0.01)
    else:
        pytest.fail("it never worked again")
    engine.close()


def test_one_that_is_closed_while_it_hangs_does_not_wait(tmp_path, name, bench):
    engine = load(tmp_path, name)
    bench.hangs = threading.Event()
    with pytest.raises(EngineTimeoutError):
        engine.detect(picture(64, 64, None))
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 10
    bench.hangs.set()


def test_a_closed_engine_has_given_everything_back(tmp_path, name, bench):
    engine = load(tmp_path, name)
    engine.detect(picture(64, 64, (0.25, 0.25, 0.75, 0.75)))
    engine.close()
    if name == "tensorrt":
        assert bench.calls.count("cudaMalloc") == bench.calls.count("cudaFree") == 2
        assert "cudaStreamDestroy" in bench.calls
    else:
        assert bench.calls[-1] == "release"


def test_a_file_for_another_processor_is_refused_with_its_name(tmp_path, name):
    with pytest.raises(EngineError, match=r"model\.bin.*(RKNNLite.load_rknn|HailoRT: HEF|TensorRT 10\.3\.0)"):
        load(tmp_path, name, raw=b"for another processor")


FAULTS = [
    ("rknn", "init_runtime", "init_runtime answered -1; are the NPU's driver"),
    ("hailo", "VDevice", "cannot be loaded by HailoRT: no device was found"),
    ("hailo", "doubles", r"yolov8_nms_postprocess.*before any suppression"),
    ("tensorrt", "cudaStreamCreate", "cudaStreamCreate answered failed"),
    ("tensorrt", "set_input_shape", "TensorRT does not take 64x64"),
    ("rknn", "inference", "the run failed; the toolkit's own log"),
    ("hailo", "run", "the run failed: the stream was aborted"),
    ("tensorrt", "execute_async_v3", "the run failed; TensorRT's own message"),
    ("tensorrt", "cudaMemcpyAsync", "cudaMemcpyAsync answered failed"),
]


@pytest.mark.parametrize(("name", "call", "message"), FAULTS, indirect=["name"])
def test_a_call_that_fails_is_a_fault_not_an_empty_picture(tmp_path, name, bench, call, message):
    bench.fails.add(call)
    with pytest.raises(EngineError, match=message):
        load(tmp_path, name).detect(picture(64, 64, None))


@pytest.mark.parametrize("name", ["rknn", "hailo"], indirect=True)
def test_a_float_input_is_refused_where_the_processor_takes_bytes(tmp_path, name):
    with pytest.raises(EngineError, match=r"takes uint8, its manifest says float32"):
        load(tmp_path, name, input=Input(width=64, height=64, dtype="float32"))


@pytest.mark.parametrize("name", ["hailo", "tensorrt"], indirect=True)
def test_another_size_than_the_manifest_s_is_refused(tmp_path, name, bench):
    bench.size = (96, 96)
    with pytest.raises(EngineError, match=r"model\.bin.*96, 96.*needed is .*64, 64"):
        load(tmp_path, name)


def test_the_log_and_the_check_say_that_it_is_untested(tmp_path, name):
    release(tmp_path / "fire", name)
    with capture_logs() as logs:
        found = try_model(config(tmp_path, "auto"), "fire")
    assert found.ok
    assert f"{name} on {name} (untested adapter)" in found.detail
    assert [entry["engine"] for entry in logs if entry["event"] == "untested engine"] == [name]


def test_a_grey_picture_is_grey_in_every_layout(tmp_path, name):
    engine = load(tmp_path, name)
    assert engine.detect(np.full((48, 64), 200, np.uint8)) == []
    engine.close()
