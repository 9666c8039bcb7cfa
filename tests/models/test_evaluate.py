"""Average precision, on cases small enough to work out by hand."""

from pathlib import Path

import numpy as np
import pytest

from contract.detections import Detection
from models.workshop.data import Picture, Truth, write_set
from models.workshop.evaluate import IOUS, Tally, evaluate, figures, join, tally

HERE = (0.1, 0.1, 0.3, 0.3)
THERE = (0.6, 0.6, 0.9, 0.9)
NOWHERE = (0.4, 0.0, 0.5, 0.1)


def fire(score: float, box: tuple[float, float, float, float]) -> Detection:
    return Detection("fire", score, box)


def test_everything_found_and_nothing_else_is_one() -> None:
    one = Tally()
    one.add([fire(0.9, HERE), fire(0.8, THERE)], [HERE, THERE])
    assert one.average_precision() == pytest.approx(1.0)
    assert one.mean_average_precision() == pytest.approx(1.0)


def test_half_found_reaches_half_of_the_recalls() -> None:
    one = Tally()
    one.add([fire(0.9, HERE)], [HERE, THERE])
    # Precision 1 at the recalls 0.00, 0.01 ... 0.50: 51 of 101.
    assert one.average_precision() == pytest.approx(51 / 101)


def test_a_false_alarm_above_the_truth_halves_precision() -> None:
    one = Tally()
    one.add([fire(0.9, NOWHERE), fire(0.8, HERE)], [HERE])
    assert one.average_precision() == pytest.approx(0.5)


def test_a_false_alarm_below_the_truth_costs_nothing() -> None:
    one = Tally()
    one.add([fire(0.9, HERE), fire(0.8, NOWHERE)], [HERE])
    assert one.average_precision() == pytest.approx(1.0)


def test_precision_is_made_monotonous() -> None:
    one = Tally()
    one.add([fire(0.9, HERE), fire(0.8, NOWHERE), fire(0.7, THERE)], [HERE, THERE])
    # Right, wrong, right: precision 1 up to recall 0.5 (51 points), then 2/3 (50 points).
    assert one.average_precision() == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101)


def test_a_second_box_on_the_same_truth_is_a_false_alarm() -> None:
    one = Tally()
    one.add([fire(0.9, HERE), fire(0.8, HERE)], [HERE])
    assert one.at(0.5) == (0.5, 1.0)


def test_a_loose_box_counts_at_half_and_not_at_nine_tenths() -> None:
    one = Tally()
    loose = (0.1, 0.1, 0.3, 0.36)  # IoU 0.2 / 0.26 = 0.77
    one.add([fire(0.9, loose)], [HERE])
    assert one.average_precision(0.5) == 1.0
    assert one.average_precision(0.75) == 1.0
    assert one.average_precision(0.8) == 0.0
    assert one.mean_average_precision() == pytest.approx(6 / len(IOUS))


def test_nothing_found_is_nought_and_nothing_to_find_is_no_number() -> None:
    one = Tally()
    one.add([], [HERE])
    assert one.average_precision() == 0.0
    assert one.at(0.5) == (1.0, 0.0)
    assert np.isnan(Tally().average_precision())


def test_precision_and_recall_at_a_threshold() -> None:
    one = Tally()
    one.add([fire(0.9, HERE), fire(0.4, THERE), fire(0.6, NOWHERE)], [HERE, THERE])
    assert one.at(0.5) == (0.5, 0.5)
    assert one.at(0.3) == (pytest.approx(2 / 3), 1.0)


def test_the_best_threshold_leaves_the_false_alarm_out() -> None:
    one = Tally()
    one.add([fire(0.9, HERE), fire(0.7, THERE), fire(0.4, NOWHERE)], [HERE, THERE])
    assert 0.4 < one.best_threshold() <= 0.7


def test_joined_sets_are_one_set() -> None:
    left, right = Tally(), Tally()
    left.add([fire(0.9, HERE)], [HERE])
    right.add([fire(0.8, NOWHERE)], [THERE])
    whole = join([left, right])
    assert (whole.truths, whole.pictures) == (2, 2)
    assert whole.average_precision() == pytest.approx(51 / 101)


def picture(path: Path, unlabelled: frozenset[str] = frozenset()) -> Picture:
    write_set(path, [("a.jpg", "val", np.zeros((100, 200, 3), np.uint8), [Truth("fire", (20, 10, 60, 30))])], "made")
    return Picture(path / "val/a.jpg", "val", 200, 100, "made", (Truth("fire", (20, 10, 60, 30)),), unlabelled)


def test_smoke_is_not_asked_where_nobody_labelled_it(tmp_path: Path) -> None:
    smoky = [Detection("smoke", 0.9, THERE), fire(0.9, (0.1, 0.1, 0.3, 0.3))]
    silent = tally([picture(tmp_path, frozenset({"smoke"}))], ("fire", "smoke"), lambda _: smoky)
    heard = tally([picture(tmp_path)], ("fire", "smoke"), lambda _: smoky)
    assert silent["smoke"].scores == []
    assert heard["smoke"].scores == [0.9]
    assert silent["fire"].average_precision() == 1.0


def test_figures_name_the_label_and_the_conditions(tmp_path: Path) -> None:
    tallies = tally([picture(tmp_path)], ("fire", "smoke"), lambda _: [fire(0.9, HERE)])
    found = {f.name: f for f in figures("fire", tallies, {"fire": 0.5, "smoke": 0.5}, "fire/val")}
    assert found["fire.fire.ap50"].value == 1.0
    assert found["fire.map50"].value == 1.0
    assert "fire.smoke.ap50" not in found
    assert found["fire.fire.recall"].conditions == "fire/val, 1 pictures, 1 boxes, IoU 0.5, score >= 0.5"


def test_a_set_is_read_from_its_folder(tmp_path: Path) -> None:
    picture(tmp_path / "fire")
    found = {f.name: f.value for f in evaluate("fire", tmp_path, "val", lambda _: [fire(0.9, HERE)])}
    assert found["fire.fire.ap50"] == 1.0


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no evaluation for detector 'ghost'; known: fire, person"):
        evaluate("ghost", tmp_path, "val", lambda _: [])
    with pytest.raises(FileNotFoundError, match=r"labels\.jsonl does not exist"):
        evaluate("fire", tmp_path, "val", lambda _: [])
    with pytest.raises(FileNotFoundError, match="set VEDETTE_DATA"):
        evaluate("fire", tmp_path / "none", "val", lambda _: [])
    picture(tmp_path / "person")
    with pytest.raises(ValueError, match="split 'all' is not one of train, val, test"):
        evaluate("person", tmp_path, "all", lambda _: [])
