"""A release that counts: how many, where, and how sure; and what is refused."""

import hashlib
import math
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.manifest import Golden, Input
from edge.updates.golden import run_golden
from edge.updates.release import ReleaseError
from edge.vision.count_engine import CountEngine
from edge.vision.density import PICTURE, Count, Density
from edge.vision.detectors import Detectors
from edge.vision.engine import EngineError, load_engine
from edge.vision.engines import Engines

from .red import write_red_counter

RED, GREY = (0, 0, 255), (90, 90, 90)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


def half_red(width: int = 128, height: int = 96) -> np.ndarray:
    image = np.full((height, width, 3), GREY, np.uint8)
    image[:, : width // 2] = RED
    return image


@pytest.fixture(params=["onnxruntime", "openvino"])
def counter(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="the openvino extra is not installed")
    engine = load_engine(write_red_counter(tmp_path), tmp_path, 1, engine=request.param)
    assert isinstance(engine, CountEngine)
    yield engine
    engine.close()


def test_heads_are_counted_where_they_are(counter: CountEngine) -> None:
    density = counter.count(half_red())
    assert density.mean.shape == (6, 8)
    whole, left = density.count(), density.count(LEFT)
    assert whole.heads == pytest.approx(48, abs=0.1)
    assert left.heads == pytest.approx(48, abs=0.1)
    assert density.count([(1 - x, y) for x, y in LEFT]).heads == pytest.approx(0, abs=0.1)
    # Twice the variance of 24, and a tenth of the count squared.
    assert whole.sd == pytest.approx(math.sqrt(2 * 24 + 4.8**2), rel=1e-3)
    assert counter.detect(half_red()) == []
    assert counter.thresholds == {}


@pytest.mark.parametrize(("width", "height"), [(640, 480), (300, 900), (1920, 1080), (7, 500), (64, 48)])
def test_a_picture_of_any_shape_is_counted_to_its_edges(counter: CountEngine, width: int, height: int) -> None:
    density = counter.count(half_red(width, height))
    wider = [(2 * x - 0.5, 2 * y - 0.5) for x, y in PICTURE]
    assert density.count(wider).heads == pytest.approx(density.count().heads, rel=1e-6)
    assert density.count().heads == pytest.approx(float(density.mean.sum()), rel=1e-6)
    x1, y1, x2, y2 = density.frame
    assert x1 <= 0 <= 1 <= x2
    assert y1 <= 0 <= 1 <= y2
    # Within a cell nobody knows where heads are.
    least = 0.8 if width > 100 else 0.4
    assert density.count(LEFT).heads >= least * density.count().heads > 0


def test_a_grey_and_a_deep_picture_are_looked_at_and_an_empty_one_is_refused(counter: CountEngine) -> None:
    assert counter.count(np.zeros((40, 40), np.uint8)).count().heads == 0  # type: ignore[arg-type]
    assert counter.count(np.full((40, 40, 3), 40_000, np.uint16)).count().heads == 0  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="crowd"):
        counter.count(np.zeros((0, 40, 3), np.uint8))


@given(
    st.integers(1, 6), st.integers(1, 6), st.tuples(st.floats(-0.5, 0), st.floats(-0.5, 0)), st.integers(0, 2**32 - 1)
)
def test_parts_of_a_view_add_up_to_the_whole(rows: int, columns: int, start: tuple[float, float], seed: int) -> None:
    mean = np.random.default_rng(seed).uniform(0, 5, (rows, columns)).astype(np.float32)
    density = Density(mean, mean, (*start, 1 - start[0], 1 - start[1]))
    cut = 0.5
    left = density.count(((-1, -1), (cut, -1), (cut, 2), (-1, 2)))
    right = density.count(((cut, -1), (2, -1), (2, 2), (cut, 2)))
    # An outline belongs to both sides: it is as wide as an eighth of a cell, or all of what is seen of one.
    whole = density.count().heads
    assert whole - 1e-3 <= left.heads + right.heads <= whole + float(mean.sum(0).max()) + 1e-3
    assert left.heads <= whole + 1e-3


def test_a_count_knows_how_likely_it_is_above_a_limit() -> None:
    assert Count(100, 10).above(100) == pytest.approx(0.5)
    assert Count(120, 10).above(100) == pytest.approx(0.977, abs=0.001)
    assert (Count(5, 0).above(4), Count(5, 0).above(5)) == (1.0, 0.0)


def test_the_detectors_give_a_density_and_no_boxes(tmp_path: Path) -> None:
    engines = Engines()
    engines.swap("crowd", load_engine(write_red_counter(tmp_path), tmp_path, 1), "1.0.0")
    engines.settle()
    results, faults = Detectors(engines).look(half_red(), ["crowd"])
    engines.close()
    assert faults == {}
    density = results["crowd"].density
    assert results["crowd"].detections == ()
    assert density is not None
    assert density.count().heads == pytest.approx(48, abs=0.1)


@pytest.mark.parametrize(("stated", "passes"), [(48.0, True), (44.0, True), (30.0, False), (70.0, False)])
def test_a_golden_sample_must_be_counted_right(tmp_path: Path, stated: float, passes: bool) -> None:
    path = tmp_path / "golden/1.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), half_red())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sample = Golden(file="golden/1.png", sha256=digest, expected=(), count=stated)
    manifest = write_red_counter(tmp_path, golden=(sample,))
    engine = load_engine(manifest, tmp_path, 1)
    try:
        if passes:
            run_golden(manifest, tmp_path, engine)
        else:
            with pytest.raises(ReleaseError, match=rf"counted 48\.0 heads where {stated} are expected"):
                run_golden(manifest, tmp_path, engine)
    finally:
        engine.close()


def test_maps_that_are_no_means_and_variances_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"output 'heads' is float32 \[1, 3, 'N', 'N'\]; needed is"):
        load_engine(write_red_counter(tmp_path / "a", planes=3), tmp_path / "a", 1)
    manifest = write_red_counter(tmp_path / "b")
    coarse = msgspec.structs.replace(manifest.counting, cell=32)
    engine = load_engine(msgspec.structs.replace(manifest, counting=coarse), tmp_path / "b", 1)
    with pytest.raises(EngineError, match=r"has shape \(1, 2, 6, 8\); needed is \(1, 2, 3, 4\), 0 or more"):
        engine.detect(half_red())
    engine.close()
    fixed = msgspec.structs.replace(manifest, input=Input(width=128, height=96))
    whole = load_engine(fixed, tmp_path / "b", 1)
    whole.warm_up()
    whole.close()
