"""Average precision, on cases small enough to work out by hand; and whole measurements, on sets of a few pictures."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from contract.detections import Detection, iou
from models.workshop.evaluation.evaluate import IOUS, Figure, Report, Tally, evaluate, examine, figures, join, tally
from models.workshop.evaluation.negatives import OTHERS, quiet_set
from models.workshop.sets.data import Picture, Truth, write_set

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
    assert silent["smoke"].scores.tolist() == []
    assert heard["smoke"].scores.tolist() == [0.9]
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
    with pytest.raises(FileNotFoundError, match=r"fire/labels\.jsonl does not exist"):
        evaluate("fire", tmp_path, "val", lambda _: [])
    with pytest.raises(ValueError, match="no set for detector 'face'; give a folder"):
        evaluate("face", tmp_path, "val", lambda _: [])
    with pytest.raises(FileNotFoundError, match="set VEDETTE_DATA"):
        evaluate("fire", tmp_path / "none", "val", lambda _: [])
    picture(tmp_path / "person")
    with pytest.raises(ValueError, match="no split 'all'; there are: val"):
        evaluate("person", tmp_path, "all", lambda _: [])


def test_truths_of_another_size_are_ignored_and_so_is_what_finds_them() -> None:
    one = Tally()
    # A small truth found, a large one found, and one false alarm of each size.
    tiny, gone = (0.5, 0.5, 0.55, 0.55), (0.8, 0.1, 0.85, 0.15)
    found = [fire(0.9, THERE), fire(0.8, (0.1, 0.6, 0.5, 0.9)), fire(0.7, gone), fire(0.6, tiny)]
    one.add(found, [tiny, THERE], span=(0.0, 0.01))
    assert one.truths == 1
    assert one.scores.tolist() == [0.7, 0.6]
    assert one.average_precision() == pytest.approx(0.5)


def test_a_truth_that_counts_goes_before_an_ignored_one_that_fits_better() -> None:
    one = Tally()
    one.add([fire(0.9, HERE)], [(0.1, 0.1, 0.3, 0.32)], unsure=[HERE])
    assert one.average_precision() == 1.0
    other = Tally()
    other.add([fire(0.9, THERE), fire(0.8, HERE)], [HERE], unsure=[THERE])
    assert other.at(0.5) == (1.0, 1.0)


def brute(found: list[Detection], truths: list[tuple[float, float, float, float]], least: float) -> list[bool]:
    """Greedy matching as the paper tells it, one pair at a time."""
    free, right = list(truths), []
    for one in sorted(found, key=lambda d: -d.score):
        best = max(free, key=lambda t: iou(one.box, t), default=None)
        right.append(best is not None and iou(one.box, best) >= least)
        if right[-1]:
            free.remove(best)
    return right


def test_matching_agrees_with_one_pair_at_a_time() -> None:
    rng = np.random.default_rng(3)

    def boxes(count: int) -> list[tuple[float, float, float, float]]:
        corners = rng.uniform(0, 0.5, (count, 2))
        return [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, rng.uniform(0.2, 0.5, (count, 2)), strict=True)]

    hits = 0
    for _ in range(100):
        found = [fire(float(s), b) for s, b in zip(rng.permutation(8) / 10, boxes(8), strict=True)]
        truths = boxes(5)
        one = Tally()
        one.add(found, truths)
        for column, least in enumerate(IOUS):
            assert one.curve(column)[1].tolist() == brute(found, truths, least)
        hits += int(one.curve(0)[1].sum())
    assert hits > 50


GREY = np.full((100, 200, 3), 120, np.uint8)
BOX = (20.0, 10.0, 60.0, 30.0)


def folder(path: Path, *rows: dict[str, object], images: dict[str, np.ndarray] | None = None) -> Path:
    """A set of grey pictures with what each row says of itself; `images` gives some other pixels."""
    path.mkdir(parents=True)
    lines = []
    for number, row in enumerate(rows):
        name = str(row.get("image", f"{number}.png"))
        cv2.imwrite(str(path / name), (images or {}).get(name, GREY))
        base = {"image": name, "split": "test", "width": 200, "height": 100, "source": "made", "boxes": []}
        lines.append(json.dumps({**base, **row}))
    (path / "labels.jsonl").write_text("\n".join(lines))
    return path


def named(report: Report) -> dict[tuple[str, str], Figure]:
    return {(f.name, f.slice): f for f in report.figures}


def test_any_folder_and_any_split(tmp_path: Path) -> None:
    made = folder(tmp_path / "mine", {"split": "night-watch", "boxes": [["person", *BOX]]})
    report = examine("person", made, "night-watch", lambda _: [Detection("person", 0.9, HERE)], {"person": 0.4})
    found = named(report)
    assert found["person.ap50", ""].value == found["person.map50", ""].value == found["person.f1", ""].value == 1.0
    assert found["person.ap50", ""].conditions == "mine/night-watch, 1 pictures, 1 boxes"
    with pytest.raises(ValueError, match="no split 'test'; there are: night-watch"):
        examine("person", made, "test", lambda _: [])


def test_every_figure_is_a_number_that_json_knows(tmp_path: Path) -> None:
    made = folder(tmp_path / "mine", {"boxes": [["fire", *BOX]]}, {})
    report = examine("fire", made, "test", lambda _: [], {"fire": 0.5, "smoke": 0.5})
    text = json.dumps([f.as_dict() for f in report.figures], allow_nan=False)
    assert {"name", "value", "unit", "slice", "conditions"} <= set(json.loads(text)[0])


def test_slices_by_source_light_place_and_size(tmp_path: Path) -> None:
    dark = np.zeros_like(GREY)
    dark[:30, :60] = 255  # a flame brightens a sixth of a black picture: it stays a dark one
    rows = (
        {"source": "cctv_a", "image": "dark.png", "boxes": [["fire", *BOX]]},
        {"source": "b", "place": "outdoor", "boxes": [["fire", *BOX], ["fire", 100, 50, 108, 55]]},
    )
    made = folder(tmp_path / "mine", *rows, images={"dark.png": dark})
    # Found in the dark picture alone.
    found = named(examine("fire", made, "test", lambda image: [fire(0.9, HERE)] if image[0, 0, 0] == 255 else []))
    value = {part: figure.value for (name, part), figure in found.items() if name == "fire.fire.ap50"}
    assert value["source=cctv_a"] == value["view=cctv"] == value["light=night"] == 1.0
    assert value["source=b"] == value["place=outdoor"] == value["light=day"] == 0.0
    # Boxes of 4 % and of 0.2 % of the picture.
    assert value["size=large"] == pytest.approx(51 / 101)
    assert value["size=small"] == 0.0
    assert not {"size=medium", "place=indoor"} & set(value)


def test_what_is_alike_is_false_when_found_and_counted(tmp_path: Path) -> None:
    statue = [120.0, 60.0, 180.0, 90.0]
    made = folder(tmp_path / "mine", {"boxes": [["person", *BOX], ["person-like", *statue], ["person-like", *BOX]]})
    taken = [Detection("person", 0.9, HERE), Detection("person", 0.8, THERE), Detection("person", 0.3, NOWHERE)]
    found = named(examine("person", made, "test", lambda _: taken, {"person": 0.5}))
    assert found["person.precision", ""].value == 0.5
    # The statue that stands behind the person does not count: that detection found the person.
    assert found["person.like_rate", ""].value == 0.5
    assert "1 of 2 person-like boxes" in found["person.like_rate", ""].conditions


def test_negatives_of_the_set_and_of_others(tmp_path: Path) -> None:
    made = folder(tmp_path / "mine", {"boxes": [["fire", *BOX]]}, {}, {"smoke_labelled": False})
    other = folder(
        tmp_path / "cars",
        *[{"boxes": [["plate", *BOX]], "image": f"{n}.png"} for n in range(3)],
        {"boxes": [["fire", *BOX]], "image": "burning.png"},
        images={"1.png": GREY // 2},
    )
    lamps = lambda image: [Detection("smoke", 0.7, HERE)] if image[0, 0, 0] == 60 else []  # noqa: E731
    quiet = [quiet_set(f"{other}:test")]
    found = named(examine("fire", made, "test", lamps, {"fire": 0.5, "smoke": 0.6}, negatives=quiet))
    # One picture of the set is a negative (not the burning one, not the one in which smoke may be), three of the other.
    assert found["fire.negatives.fired", ""].value == 1 / 4
    assert found["fire.negatives.fired", "negatives=cars/test"].value == 1 / 3
    assert found["fire.negatives.fired", "negatives=mine/test"].value == 0
    assert found["fire.negatives.fired_upper", "negatives=mine/test"].value == pytest.approx(0.95)
    assert found["fire.negatives.fired", ""].table[0]["image"].endswith("1.png")
    with pytest.raises(ValueError, match=r"negatives '.*nowhere': no labels.jsonl there"):
        quiet_set(str(tmp_path / "nowhere"))


def test_a_measurement_on_val_looks_at_no_test_picture() -> None:
    assert all(part == "val" for _, part in OTHERS["fire"]["val"])


def test_unlabelled_sources_are_left_out_and_named(tmp_path: Path) -> None:
    rows = {"source": "a", "boxes": [["vehicle", *BOX]]}, {"source": "b", "boxes": [["plate", *BOX]]}
    looked: list[int] = []
    report = examine("vehicle", folder(tmp_path / "mine", *rows), "test", lambda _: looked.append(1) or [])
    assert len(looked) == 1
    assert "1 pictures of b left out for vehicle, not labelled there" in " ".join(report.notes)
    assert "mine/test, 1 pictures, 1 boxes" in named(report)["vehicle.ap50", ""].conditions


def test_classes_that_do_not_fit_are_told(tmp_path: Path) -> None:
    wrong = folder(tmp_path / "wrong", {"boxes": [["Fire", *BOX]]})
    with pytest.raises(ValueError, match=r"no box of fire or smoke; labelled are Fire \(1 boxes\).*--negatives"):
        examine("fire", wrong, "test", lambda _: [])
    part = folder(tmp_path / "part", {"boxes": [["fire", *BOX], ["car", *BOX]]})
    notes = " ".join(examine("fire", part, "test", lambda _: []).notes)
    assert "car (1 boxes) unknown to the detector: background" in notes
    assert "no box of smoke" in notes
    bare = folder(tmp_path / "bare", {"boxes": [["fire", *BOX]]})
    (bare / "labels.jsonl").write_text((bare / "labels.jsonl").read_text().replace('"boxes"', '"kreise"'))
    with pytest.raises(ValueError, match="no line has 'boxes'"):
        examine("fire", bare, "test", lambda _: [])


def test_a_set_without_anything_measures_false_alarms_alone(tmp_path: Path) -> None:
    report = examine("fire", folder(tmp_path / "quiet", {}, {}), "test", lambda _: [], {"fire": 0.5, "smoke": 0.5})
    assert named(report)["fire.negatives.fired", ""].value == 0
    assert not [f for f in report.figures if "ap50" in f.name]
    assert "no box of fire, smoke" in report.notes[0]


def test_pictures_that_cannot_be_measured_are_named_and_the_others_are_measured(tmp_path: Path) -> None:
    rows = [{"boxes": [["fire", *BOX]], "image": f"{name}.png"} for name in ("good", "cut", "none", "square", "half")]
    images = {"square.png": GREY[:, :100], "half.png": GREY[::2, ::2]}
    made = folder(tmp_path / "mine", *rows, images=images)
    (made / "cut.png").write_bytes((made / "cut.png").read_bytes()[:60])
    (made / "none.png").unlink()
    report = examine("fire", made, "test", lambda _: [fire(0.9, HERE)], {"fire": 0.5, "smoke": 0.5})
    assert [Path(fault.partition(":")[0].split()[0]).name for fault in report.faults] == [
        "cut.png",
        "none.png",
        "square.png",
    ]
    assert "100x100 pixels; its label says 200x100" in report.faults[2]
    found = named(report)
    # A copy of half the size is as good as the original.
    assert found["fire.fire.ap50", ""].conditions == "mine/test (3 pictures unread), 2 pictures, 2 boxes"
    assert found["fire.unread", ""].value == 3
    with pytest.raises(ValueError, match="3 pictures could not be measured"):
        evaluate("fire", made, "test", lambda _: [])


def test_a_detector_that_fails_on_a_picture_is_a_fault_and_not_an_empty_picture(tmp_path: Path) -> None:
    def broken(image: object) -> list[Detection]:
        raise RuntimeError("out of memory")

    made = folder(tmp_path / "mine", {"boxes": [["fire", *BOX]]})
    with pytest.raises(ValueError, match=r"not one picture could be measured\n.*0.png: out of memory"):
        examine("fire", made, "test", broken)
