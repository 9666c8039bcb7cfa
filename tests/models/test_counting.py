"""How counts are judged, and what becomes of a picture that is spoilt."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.workshop.evaluation.counting import Counted, count, figures, fit_uncertainty, marked
from models.workshop.evaluation.degraded import WORDS, degrade, spoil
from models.workshop.sets.data import Picture, Truth, read_set
from models.workshop.sets.labels import LabelError


def picture(name: str, heads: int | None, source: str = "square") -> Picture:
    points = None if heads is None else ((1.0, 1.0),) * heads
    return Picture(Path(name), "test", 40, 30, source, (), heads=points)


def judged(pairs: list[tuple[int, float]], sd: float = 1.0) -> dict[tuple[str, str], float]:
    counted = [Counted(picture(f"{n}.png", true), true, heads, sd, 120.0) for n, (true, heads) in enumerate(pairs)]
    return {(figure.name, figure.slice): figure.value for figure in figures("crowd", counted, "crowd/test")}


def test_errors_by_hand() -> None:
    found = judged([(10, 12.0), (20, 19.0), (70, 61.0)], sd=2.0)
    assert found["crowd.mae", ""] == pytest.approx(4.0)
    assert found["crowd.mse", ""] == pytest.approx(np.sqrt((4 + 1 + 81) / 3))
    assert found["crowd.bias", ""] == pytest.approx(-8 / 3)
    assert found["crowd.relative_error", ""] == pytest.approx(0.12)
    assert found["crowd.within_90", ""] == pytest.approx(2 / 3)
    assert found["crowd.mae", "heads=few"] == pytest.approx(1.5)
    assert found["crowd.mae", "heads=many"] == pytest.approx(9.0)
    assert ("crowd.mae", "heads=dense") not in found


def test_the_uncertainty_that_was_fitted_holds_what_it_says() -> None:
    rng = np.random.default_rng(1)
    counted = []
    for n in range(600):
        true = int(rng.integers(1, 300))
        sd = np.sqrt(true)
        heads = true + rng.normal(0, np.sqrt(4 * sd**2 + (0.1 * true) ** 2))
        counted.append(Counted(picture(f"{n}.png", true), true, max(0.0, heads), float(sd), 120.0))
    spread, relative = fit_uncertainty(counted)
    assert 2.5 <= spread <= 6.5
    assert 0.07 <= relative <= 0.13
    told = [
        Counted(c.picture, c.true, c.heads, float(np.sqrt(spread * c.sd**2 + (relative * c.heads) ** 2)), 120.0)
        for c in counted
    ]
    within = next(f for f in figures("crowd", told, "x") if f.name == "crowd.within_90" and not f.slice)
    assert within.value == pytest.approx(0.9, abs=0.04)


def line(folder: Path, **changes: object) -> None:
    (folder / "test").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "test/a.png"), np.full((30, 40, 3), 90, np.uint8))
    row = {"image": "test/a.png", "split": "test", "width": 40, "height": 30, "source": "square"} | changes
    (folder / "labels.jsonl").write_text(json.dumps(row) + "\n")


def test_points_are_read_and_bad_ones_are_named(tmp_path: Path) -> None:
    line(tmp_path, heads=[[1, 2], [40, 30]])
    (one,) = read_set(tmp_path)
    assert one.heads == ((1.0, 2.0), (40.0, 30.0))
    line(tmp_path, heads=[])
    assert read_set(tmp_path)[0].heads == ()
    line(tmp_path)
    assert read_set(tmp_path)[0].heads is None
    with pytest.raises(ValueError, match="no line has 'heads'"):
        marked(read_set(tmp_path), "crowd/test")
    for heads, said in (
        ([[1]], "needed is"),
        ([[1, float("nan")]], "needed is"),
        ([[44, 2]], "outside the picture of 40x30"),
        (["x"], "needed is"),
        ({"a": 1}, "is not a list of points"),
    ):
        line(tmp_path, heads=heads)
        with pytest.raises(LabelError, match=said):
            read_set(tmp_path)


def test_a_picture_that_cannot_be_counted_in_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    line(tmp_path, heads=[[1, 2]])
    whole = read_set(tmp_path)[0]
    (tmp_path / "test/b.png").write_bytes(b"no picture")
    broken = Picture(tmp_path / "test/b.png", "test", 40, 30, "square", (), heads=())
    stretched = Picture(tmp_path / "test/a.png", "test", 40, 60, "square", (), heads=())
    faults: list[str] = []
    counted = count([broken, whole, stretched, picture("c.png", None)], lambda image: (2.0, 1.0), faults)
    assert [(one.true, one.heads) for one in counted] == [(1, 2.0)]
    assert len(faults) == 2
    assert "b.png" in faults[0]
    assert "another shape" in faults[1]


@pytest.mark.parametrize("way", WORDS)
def test_what_there_is_moves_with_a_spoilt_picture(tmp_path: Path, way: str) -> None:
    image = np.full((300, 400, 3), 60, np.uint8)
    image[100:140, 250:330] = (30, 200, 250)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    whole = Picture(
        tmp_path / "a.png", "test", 400, 300, "s", (Truth("plate", (250, 100, 330, 140)),), heads=((290.0, 120.0),)
    )
    (spoilt,) = degrade([whole], way)
    shown = spoilt.read()
    assert shown.shape == (spoilt.height, spoilt.width, 3)
    assert not np.array_equal(shown, image)
    assert spoilt.heads is not None
    ((x, y),) = spoilt.heads
    b, _, r = (int(v) for v in shown[round(y), round(x)])
    assert r > b + 20
    x1, y1, x2, y2 = spoilt.truths[0].box
    yellow = shown[..., 2].astype(int) - shown[..., 0] > 30
    assert yellow[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].sum() >= 0.85 * yellow.sum() > 500


def test_an_unknown_way_is_named() -> None:
    with pytest.raises(ValueError, match="'wet' is not one of turned, blurred, dark, jpeg"):
        spoil(np.zeros((8, 8, 3), np.uint8), "wet")
