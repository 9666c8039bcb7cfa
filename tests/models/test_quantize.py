"""INT8: what is quantized and what is not, ranges, the study that finds the settings, and its record."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.workshop.quantization.judge import Grade, Judge, race
from models.workshop.quantization.quantize import calibrate, cut_off, feeds, prepare, quantize, quantized, save
from models.workshop.quantization.ranges import BINS, Spread, collect
from models.workshop.quantization.record import (
    MAX_F1_LOSS,
    MAX_LOSS,
    Layer,
    RecordError,
    Row,
    Study,
    chosen,
    read_study,
    write_study,
)
from models.workshop.quantization.settings import METHODS, TARGETS, Settings
from models.workshop.quantization.study import alone, plain, study, subset
from tests.models.blind import LABELS, MIX, POOL, SPEC, STEM, orange_pictures, write_blind

THRESHOLDS = dict.fromkeys(LABELS, 0.3)


def judged(path: Path, folder: Path) -> float:
    return Judge(THRESHOLDS, SPEC, orange_pictures(folder / "val")).grade(path).map50


def test_int8_is_blind_and_two_layers_in_float_see_again(tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    train = orange_pictures(tmp_path / "train", split="train", seed=2)
    assert judged(source, tmp_path) == pytest.approx(1.0)
    whole = quantize(source, Settings(), train, SPEC, tmp_path / "whole.onnx")
    assert judged(whole, tmp_path) < 0.2
    two = quantize(source, Settings(float_layers=(STEM, POOL)), train, SPEC, tmp_path / "two.onnx")
    assert judged(two, tmp_path) > 0.99
    kinds = {numpy_helper.to_array(t).dtype.name for t in onnx.load(str(two)).graph.initializer if "mix" in t.name}
    assert "int8" in kinds


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("activation", ["u8", "s8"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_every_form_runs_and_sees(form: str, activation: str, per_channel: bool, tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    train = orange_pictures(tmp_path / "train", split="train", seed=2)
    settings = Settings(
        format=form,
        activation=activation,
        symmetric=activation == "s8",
        per_channel=per_channel,
        float_layers=(STEM, POOL),
    )
    made = quantize(source, settings, train, SPEC, tmp_path / "made.onnx")
    kinds = {node.op_type for node in onnx.load(str(made)).graph.node}
    assert ("QLinearConv" in kinds) == (form == "qoperator")
    assert "NonMaxSuppression" in kinds
    assert judged(made, tmp_path) > 0.99


def test_seven_bit_weights_stay_within_seven_bits(tmp_path: Path) -> None:
    prepared = prepare(write_blind(tmp_path / "blind.onnx"))
    spreads = calibrate(prepared, orange_pictures(tmp_path / "train", split="train"), SPEC)

    def largest(settings: Settings) -> int:
        model = quantized(prepared, settings, spreads)
        weights = [numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith("_quantized")]
        return max(int(np.abs(w.astype(int)).max()) for w in weights if w.dtype == np.int8)

    assert largest(Settings(reduce_range=True)) <= 64
    assert largest(Settings()) == 127


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Settings(format="other"), "format 'other' is not one of qdq, qoperator"),
        (Settings(activation="s4"), "activation 's4' is not one of u8, s8"),
        (Settings(method="guess"), "calibration method 'guess' is not one of minmax"),
        (Settings(pictures=0), "at least one picture, not 0"),
        (Settings(float_layers=("/ghost",)), "layer '/ghost' is not a convolution of this network's body"),
        (Settings(float_layers=("/score/Conv",)), "layer '/score/Conv' is not a convolution of this network's body"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: Settings, text: str, tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    pictures = orange_pictures(tmp_path / "train", 2)
    with pytest.raises(ValueError, match=text):
        quantize(source, settings, pictures, SPEC, tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()


def test_no_pictures_no_file_and_another_model_are_named(tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    with pytest.raises(ValueError, match="needs pictures to calibrate on"):
        quantize(source, Settings(), [], SPEC, tmp_path / "made.onnx")
    pictures = orange_pictures(tmp_path / "train", 2)
    with pytest.raises(FileNotFoundError, match=r"ghost.onnx does not exist; run 'vedette models export' first"):
        quantize(tmp_path / "ghost.onnx", Settings(), pictures, SPEC, tmp_path / "made.onnx")
    two = write_blind(tmp_path / "two.onnx", labels=2)
    with pytest.raises(ValueError, match=r"two.onnx tells 2 classes apart, not the 1 .* it is of another model"):
        quantize(two, Settings(), pictures, SPEC, tmp_path / "made.onnx", LABELS)


def test_ranges_are_the_true_ones_at_every_checkpoint(tmp_path: Path) -> None:
    prepared = prepare(write_blind(tmp_path / "blind.onnx"))
    pictures = orange_pictures(tmp_path / "train", 6)
    found = collect(prepared.model, ["pixels", "sr"], lambda: feeds(pictures, SPEC), (2, 6, 50))
    for count in (2, 6):
        images = [next(feeds([p], SPEC))["images"].astype(np.float32) / 255 for p in pictures[:count]]
        spread = found[count]["pixels"]
        assert spread.low == pytest.approx(min(float(i.min()) for i in images), abs=1e-6)
        assert spread.high == pytest.approx(max(float(i.max()) for i in images), abs=1e-6)
        assert spread.counts.sum() == sum(i.size for i in images)
    assert found[50]["sr"].high == found[6]["sr"].high
    with pytest.raises(ValueError, match="calibration needs pictures"):
        collect(prepared.model, ["sr"], lambda: feeds([], SPEC), (2,))


def test_percentile_and_entropy_clip_what_is_far_out() -> None:
    values = np.append(np.abs(np.random.default_rng(1).normal(size=100_000)), [50.0])
    counts = np.histogram(values, bins=BINS, range=(0, 50))[0]
    spread = Spread(0.0, 50.0, counts)
    assert spread.range("minmax") == (0.0, 50.0)
    low, high = spread.range("percentile-99.9")
    assert low == 0.0
    assert high == pytest.approx(np.quantile(values, 0.9995), abs=0.06)
    wider = spread.range("percentile-99.99")[1]
    assert high < wider < 6
    assert 2 < spread.range("entropy")[1] < 10
    with pytest.raises(ValueError, match="calibration method 'percentile-7' is not one of"):
        spread.range("percentile-7")


def test_a_tensor_that_never_changes_keeps_its_value() -> None:
    for method in METHODS:
        assert Spread(3.0, 3.0, np.zeros(BINS, np.int64)).range(method) == (3.0, 3.0)


def tried(tmp_path: Path, log: Any = print) -> Study:
    source = write_blind(tmp_path / "blind.onnx")
    whole = orange_pictures(tmp_path / "val", 12)
    train = orange_pictures(tmp_path / "train", 8, "train", 2)
    judge = Judge(THRESHOLDS, SPEC, subset(whole, 8))
    return study(source, "fire", judge, whole, train, tmp_path / "work", log, rounds=1, looked=4)


def test_a_study_finds_the_layers_that_must_stay_in_float(tmp_path: Path) -> None:
    found = tried(tmp_path)
    assert found.fp32_map50 == pytest.approx(1.0)
    assert {layer.name for layer in found.layers[:2]} == {STEM, POOL}
    assert found.layers[2] == Layer(MIX, pytest.approx(0.0, abs=0.05))
    for target in TARGETS:
        assert set(found.chosen[target].float_layers) == {STEM, POOL}
        picked = next(r for r in found.rows if r.target == target and r.settings == found.chosen[target])
        assert picked.val_loss is not None
        assert picked.val_loss <= MAX_LOSS
        blind = next(r for r in found.rows if r.target == target and r.settings == plain(target))
        assert blind.loss > 0.5
        whats = {r.what for r in found.rows if r.target == target}
        assert {"every layer INT8", "QOperator", "7-bit weights", "a scale a tensor", "calibration entropy"} <= whats
        assert not found.chosen[target].reduce_range
    assert all(r.bytes > 0 and r.ms > 0 and r.time > 0 for r in found.rows)


def test_a_study_goes_on_where_it_was_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tried(tmp_path)
    counted: list[Path] = []
    real = Judge.grade

    def count(self: Judge, path: Path) -> Grade:
        counted.append(path)
        return real(self, path)

    monkeypatch.setattr(Judge, "grade", count)
    again = tried(tmp_path)
    assert {msgspec.json.encode(r.settings) for r in again.rows} == {
        msgspec.json.encode(r.settings) for r in first.rows
    }
    # FP32, and the few of each target that are measured on the whole of val: no row again.
    assert len(counted) < len(again.rows) / 2


def test_a_study_without_pictures_or_truths_is_refused(tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    whole = orange_pictures(tmp_path / "val", 2)
    with pytest.raises(ValueError, match="study of 'fire': no pictures to calibrate on"):
        study(source, "fire", Judge(THRESHOLDS, SPEC, whole), whole, [], tmp_path / "work", print)
    with pytest.raises(ValueError, match="the pictures show none of smoke"):
        Judge({"smoke": 0.5}, SPEC, whole).grade(source)


def test_scores_that_sink_together_are_a_loss_though_map_does_not_see_it(tmp_path: Path) -> None:
    source, pictures = write_blind(tmp_path / "blind.onnx"), orange_pictures(tmp_path / "val", 4)
    assert Judge(THRESHOLDS, SPEC, pictures).grade(source) == pytest.approx((1.0, 1.0))
    assert Judge({"fire": 1.0}, SPEC, pictures).grade(source) == pytest.approx((1.0, 0.0))
    row = Row(target="x86-u8s8", what="", settings=Settings(), map50=1, loss=0.0, bytes=1, ms=1, fp32_ms=1, time=1)
    sunk = msgspec.structs.replace(row, f1_loss=2 * MAX_F1_LOSS)
    assert (row.excess, sunk.excess) == (0.0, 2.0)
    assert msgspec.structs.replace(sunk, val_loss=MAX_LOSS / 2, val_f1_loss=0.0).excess == pytest.approx(0.5)


def test_one_setting_is_other_at_a_time() -> None:
    for target in TARGETS:
        base = plain(target)
        before = msgspec.structs.asdict(base)
        for settings in alone(base).values():
            after = msgspec.structs.asdict(settings)
            assert sum(before[name] != after[name] for name in before) == 1


def test_the_record_gives_the_settings_back(tmp_path: Path) -> None:
    made = Settings(method="percentile-99.99", float_layers=(STEM,))
    row = Row(target="x86-u8s8", what="x", settings=made, map50=0.5, loss=0.0, bytes=1, ms=1, fp32_ms=2, time=0.5)
    record = Study(
        model="fire",
        source_sha256="0" * 64,
        machine="m",
        data="d",
        calibration="c",
        fp32_map50=0.5,
        fp32_bytes=2,
        rows=(row,),
        layers=(),
        chosen={"x86-u8s8": made},
        reasons={"x86-u8s8": "best"},
    )
    assert chosen(tmp_path, "x86-u8s8", "fire")[0] == TARGETS["x86-u8s8"]
    path = write_study(tmp_path, record)
    assert read_study(tmp_path) == record
    assert chosen(tmp_path, "x86-u8s8", "fire")[0] == made
    assert chosen(tmp_path, "arm64-s8s8", "fire")[0] == TARGETS["arm64-s8s8"]
    with pytest.raises(ValueError, match="target 'tpu' is not one of x86-u8s8, arm64-s8s8"):
        chosen(tmp_path, "tpu", "fire")
    with pytest.raises(RecordError, match="is the study of 'fire', not of 'person'"):
        chosen(tmp_path, "x86-u8s8", "person")
    path.write_bytes(path.read_bytes().replace(b'"format"', b'"formt"'))
    with pytest.raises(RecordError, match=r"quantization.json: .*; delete it"):
        read_study(tmp_path)


def test_a_race_tells_the_slower_of_two(tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    prepared = prepare(source)
    slow = onnx.ModelProto()
    slow.CopyFrom(prepared.model)
    before = "pixels"
    convs = []
    weight = numpy_helper.from_array(
        np.eye(3, dtype=np.float32)[..., None, None].repeat(9, 2).repeat(9, 3) / 81, "blur"
    )
    for number in range(6):
        convs.append(
            onnx.helper.make_node("Conv", [before, "blur"], [f"b{number}"], name=f"/blur{number}", pads=[4, 4, 4, 4])
        )
        before = f"b{number}"
    first = next(n for n in slow.graph.node if n.name == STEM)
    first.input[0] = before
    nodes = list(slow.graph.node)
    at = nodes.index(first)
    del slow.graph.node[:]
    slow.graph.node.extend([*nodes[:at], *convs, *nodes[at:]])
    slow.graph.initializer.append(weight)
    path = save(prepared, slow, tmp_path / "slow.onnx")
    feed = next(feeds(orange_pictures(tmp_path / "val", 1), SPEC))
    ms, fast, share = race(path, source, feed, 9)
    assert share > 1.2
    assert ms > fast


def test_a_network_of_an_older_opset_is_lifted(tmp_path: Path) -> None:
    source = write_blind(tmp_path / "blind.onnx")
    old = onnx.load(str(source))
    cut_off(old)
    old.opset_import[0].version = 11
    onnx.save(old, str(tmp_path / "old.onnx"))
    prepared = prepare(tmp_path / "old.onnx")
    spreads = calibrate(prepared, orange_pictures(tmp_path / "train", 4, "train"), SPEC)
    made = save(prepared, quantized(prepared, Settings(), spreads), tmp_path / "made.onnx")
    assert next(o.version for o in onnx.load(str(made)).opset_import if not o.domain) >= 13
