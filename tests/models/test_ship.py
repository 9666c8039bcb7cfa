"""From an FP32 file to a release: a small detector goes the whole way."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from contract.manifest import DataSet
from models.workshop.evaluation.evaluate import Figure
from models.workshop.quantization.record import FILE, read_study, write_study
from models.workshop.quantization.settings import TARGETS
from models.workshop.recipe import Network, Recipe
from models.workshop.recipes import RECIPES
from models.workshop.release import ship
from models.workshop.release.release import Origin, RefusedError
from models.workshop.sets.data import Image
from tests.models.blind import LABELS, POOL, SIDE, STEM, orange_pictures, write_blind


class Blind(Recipe):
    """A recipe whose data sets need no data folder."""

    def origin(self, data: Path, work: Path, before: Sequence[Network] = ()) -> Origin:
        return Origin((DataSet(name="made", licence="own", images=8),), "Apache-2.0", "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release's folder with the FP32 file; what needs the data folder is stood in for."""
    fire = RECIPES["fire"]
    how = Blind(
        name="fire",
        start="base",
        labels=LABELS,
        parts=fire.parts,
        size=(SIDE, SIDE),
        thresholds=(("fire", 0.5),),
        prose=fire.prose,
    )
    monkeypatch.setattr(ship, "recipe", lambda name: how)
    train = orange_pictures(tmp_path / "train", 8, "train", 2)
    monkeypatch.setattr(ship, "calibration", lambda *_: train)
    orange_pictures(tmp_path / "data/fire", 8)
    write_blind(tmp_path / "zoo/fire/fire.onnx-fp32.onnx")
    return tmp_path / "zoo/fire"


def golden() -> list[tuple[str, Image]]:
    made = []
    for name, cell in (("one", 1), ("two", 5), ("none", None)):
        image = np.full((SIDE, SIDE, 3), 120, np.uint8)
        if cell is not None:
            image[cell * 8 : cell * 8 + 8, 16:24] = (0, 140, 255)
        made.append((name, image))
    return made


def measured(losses: dict[str, float]) -> list[Figure]:
    return [Figure("fire.map50", 0.6 - losses.get(t, 0.0), "", f"fire/val; {t}") for t in (*TARGETS, "onnx-fp32")]


def test_a_study_then_artefacts_then_a_release(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, work, lines = folder.parents[1] / "data", folder.parents[1] / "work", []
    made = ship.quantize_detector("fire", data, work, folder, lines.append, study=True, pictures=4, rounds=1)
    assert set(made) == set(TARGETS)
    record = read_study(folder)
    assert record is not None
    assert all(set(settings.float_layers) == {STEM, POOL} for settings in record.chosen.values())
    assert any("activation functions are not compared" in line for line in lines)
    monkeypatch.setattr(ship, "measure", lambda *_: measured({"x86-u8s8": 0.004, "arm64-s8s8": 0.015}))
    manifest = ship.release_detector("fire", "1.0.0", data, work, folder, golden(), "2026-11-24", "The fire brigade")
    assert manifest.answerable == "The fire brigade"
    assert [len(sample.expected) for sample in manifest.golden] == [1, 1, 0]
    losses = {m.data: m.value for m in manifest.metrics if m.name == "fire.int8_loss"}
    assert losses["fire/val; x86-u8s8, against onnx-fp32"] == pytest.approx(0.004)
    card = (folder / "card.md").read_text()
    assert "## Quantization" in card
    assert "**shipped**" in card
    assert "**Warning:** fire/val; arm64-s8s8, against onnx-fp32: INT8 loses 0.015" in card
    again = ship.release_detector("fire", "1.1.0", data, work, folder, golden(), "2026-11-25")
    assert again.follows == "1.0.0"


def test_without_a_study_the_recorded_settings_are_used_and_another_file_is_told(folder: Path) -> None:
    data, work = folder.parents[1] / "data", folder.parents[1] / "work"
    ship.quantize_detector("fire", data, work, folder, print, study=True, pictures=2, rounds=1)
    before = {target: (folder / f"fire.{target}.onnx").read_bytes() for target in TARGETS}
    lines: list[str] = []
    ship.quantize_detector("fire", data, work, folder, lines.append)
    assert before == {target: (folder / f"fire.{target}.onnx").read_bytes() for target in TARGETS}
    assert f"x86-u8s8: chosen by the study in {FILE}" in lines
    record = read_study(folder)
    assert record is not None
    write_study(folder, record.__class__(**{**_fields(record), "source_sha256": "0" * 64}))
    ship.quantize_detector("fire", data, work, folder, lines.append)
    assert any("chosen for another FP32 file of 'fire'" in line for line in lines)


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}  # type: ignore[attr-defined]


def test_what_must_not_ship_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, work = folder.parents[1] / "data", folder.parents[1] / "work"
    with pytest.raises(FileNotFoundError, match=r"fire.x86-u8s8.onnx does not exist; run export and quantize first"):
        ship.release_detector("fire", "1.0.0", data, work, folder, golden(), "2026-11-24")
    source = folder / "fire.onnx-fp32.onnx"
    for target in TARGETS:
        (folder / f"fire.{target}.onnx").write_bytes(source.read_bytes())
    monkeypatch.setattr(ship, "measure", lambda *_: measured({"x86-u8s8": 0.05}))
    with pytest.raises(RefusedError, match=r"INT8 loses 0.050 of mAP50"):
        ship.release_detector("fire", "1.0.0", data, work, folder, golden(), "2026-11-24")
    assert not (folder / "manifest.json").exists()
    made = ship.release_detector("fire", "1.0.0", data, work, folder, golden(), "2026-11-24", force=True)
    assert made.version == "1.0.0"
    with pytest.raises(RefusedError, match="2 golden samples"):
        ship.release_detector("fire", "1.0.0", data, work, folder, golden()[1:], "2026-11-24")
    only = [("three", golden()[0][1]), *golden()[:2]]
    with pytest.raises(RefusedError, match="one in which nothing must be seen"):
        ship.release_detector("fire", "1.0.0", data, work, folder, only, "2026-11-24")


def test_the_file_of_another_model_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, work = folder.parents[1] / "data", folder.parents[1] / "work"
    for target in (*TARGETS, "onnx-fp32"):
        write_blind(folder / f"fire.{target}.onnx", labels=2)
    monkeypatch.setattr(ship, "measure", lambda *_: measured({}))
    with pytest.raises(ValueError, match=r"fire.onnx-fp32.onnx tells more classes apart than fire; it is of another"):
        ship.release_detector("fire", "1.0.0", data, work, folder, golden(), "2026-11-24")
    with pytest.raises(ValueError, match="tells 2 classes apart, not the 1 of this detector"):
        ship.quantize_detector("fire", data, work, folder, print)


def test_calibration_is_mixed_and_in_its_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {name: orange_pictures(tmp_path / name, 40, "train", seed) for seed, name in enumerate(("fire", "person"))}
    portions = tuple(
        replace(RECIPES["fire"].parts[-1].portions[0], folder=n, share=s) for n, s in (("fire", 0.75), ("person", 0.25))
    )
    monkeypatch.setattr(type(portions[0]), "pictures", lambda self, *_: tuple(many[self.folder]))
    how = replace(RECIPES["fire"], parts=(replace(RECIPES["fire"].parts[-1], portions=portions),))
    chosen = ship.calibration(how, tmp_path, tmp_path, 40)
    assert len(chosen) == 40
    assert len({p.path for p in chosen}) == 40
    fires = [p.path.is_relative_to(tmp_path / "fire") for p in chosen]
    assert sum(fires) == 30
    assert 9 <= sum(fires[:16]) <= 15
    assert ship.calibration(how, tmp_path, tmp_path, 40) == chosen


def test_heads_are_written_for_a_compiler(folder: Path, tmp_path: Path) -> None:
    made = ship.export_fixed(folder / "fire.onnx-fp32.onnx", "fire", "64x64", tmp_path / "out", heads=True)
    assert made.path.name == "fire.heads-64x64.onnx"
    assert [o.name for o in onnx.load(str(made.path)).graph.output] == ["scores", "boxes"]
