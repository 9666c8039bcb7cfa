"""A release: what refuses it, and what its card says."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from contract.detections import Detection
from contract.manifest import (
    Artefact,
    DataSet,
    Golden,
    Input,
    Manifest,
    Metric,
    decode_manifest,
    encode_manifest,
)
from models.workshop.evaluation.evaluate import Figure
from models.workshop.quantization.record import Activation, Row, Study
from models.workshop.quantization.settings import Settings
from models.workshop.release.card import Prose, card, quantization, summary
from models.workshop.release.filing import ANSWERABLE, CHINA, EU, answers
from models.workshop.release.release import (
    RefusedError,
    int8_loss,
    metrics,
    previous,
    refuse_golden,
    refuse_loss,
    refuse_size,
)
from tests.edge.vision.plates.lines import write_reader

THERE = (0.1, 0.1, 0.5, 0.5)
PROSE = Prose("Finds fires.", "Trained so.", ("Small flames score low.",))


def sample(name: str, *labels: str) -> Golden:
    expected = tuple(Detection(label, 0.9, THERE) for label in labels)
    return Golden(file=f"golden/{name}.png", sha256="0" * 64, expected=expected)


def manifest(**changes: object) -> Manifest:
    made = {
        "name": "fire",
        "version": "2.0.0",
        "labels": ("fire", "smoke"),
        "input": Input(width=512, height=288, shape="fit"),
        "thresholds": {"fire": 0.4, "smoke": 0.5},
        "artefacts": {
            target: Artefact(file=f"fire.{target}.onnx", sha256="a" * 64, bytes=1_300_000, precision=precision)
            for target, precision in (("x86-u8s8", "int8"), ("arm64-s8s8", "int8"), ("onnx-fp32", "fp32"))
        },
        "golden": (sample("a", "fire"), sample("b", "smoke"), sample("c")),
        "metrics": (
            Metric(name="fire.map50", value=0.612, data="fire/test, 383 pictures; x86-u8s8", split="test"),
            Metric(name="fire.map50", value=0.615, data="fire/test, 383 pictures; onnx-fp32", split="test"),
            Metric(name="fire.fire.ap50", value=0.7, data="fire/test; x86-u8s8", split="test"),
            Metric(
                name="fire.fire.ap50",
                value=0.3,
                data="fire/test; x86-u8s8",
                split="test",
                slice="source=cctv_fire8_abonia",
            ),
            Metric(name="fire.fire.ap50", value=0.6, data="fire/test; x86-u8s8", split="test", slice="light=night"),
            Metric(name="fire.int8_loss", value=0.003, data="fire/test; x86-u8s8, against onnx-fp32", split="test"),
            Metric(name="fire.ms", value=6.0712, unit="ms", data="x86-u8s8, one thread"),
        ),
        "datasets": (
            DataSet(name="house", licence="CC BY 4.0", images=120),
            DataSet(name="drawn", licence="own", images=9),
        ),
        "licence": "Apache-2.0",
        "notice": "Started from a published network.",
        "minimum_runtime": {"onnxruntime": ">=1.20"},
        "created": "2026-11-24",
    }
    return Manifest(**(made | changes))  # type: ignore[arg-type]


def figure(value: float, split: str, target: str, name: str = "fire.map50") -> Figure:
    return Figure(name, value, "", f"fire/{split}; {target}")


def test_the_loss_is_that_of_each_artefact_on_each_split() -> None:
    figures = [
        figure(0.60, "val", "onnx-fp32"),
        figure(0.59, "val", "x86-u8s8"),
        figure(0.605, "val", "arm64-s8s8"),
        figure(0.50, "test", "onnx-fp32"),
        figure(0.45, "test", "x86-u8s8"),
        figure(0.1, "val", "x86-u8s8", "fire.fire.ap50"),
        Figure("fire.map50", 0.2, "", "fire/val/house; x86-u8s8"),
    ]
    found = int8_loss("fire", figures, ["x86-u8s8", "arm64-s8s8", "onnx-fp32"])
    assert {(f.conditions, round(f.value, 4)) for f in found} == {
        ("fire/val; x86-u8s8, against onnx-fp32", 0.01),
        ("fire/val; arm64-s8s8, against onnx-fp32", -0.005),
        ("fire/test; x86-u8s8, against onnx-fp32", 0.05),
    }
    assert {m.split for m in metrics(found)} == {"val", "test"}
    # The test split decides nothing.
    refuse_loss(found)
    with pytest.raises(RefusedError, match=r"fire/val; x86-u8s8.*INT8 loses 0.030 of mAP50, more than 0.02;.*--force"):
        refuse_loss([replace(found[0], value=0.03)])


def test_golden_samples_must_show_each_label_and_nothing() -> None:
    good = [sample("a", "fire"), sample("b", "smoke"), sample("c")]
    refuse_golden(good, ("fire", "smoke"))
    with pytest.raises(RefusedError, match="2 golden samples; needed are 3"):
        refuse_golden(good[:2], ("fire", "smoke"))
    with pytest.raises(RefusedError, match="no golden sample in which smoke is surely seen"):
        refuse_golden([sample("a", "fire"), sample("b", "fire"), sample("c")], ("fire", "smoke"))
    with pytest.raises(RefusedError, match="one in which nothing must be seen"):
        refuse_golden([sample("a", "fire"), sample("b", "smoke"), sample("c", "fire")], ("fire", "smoke"))


def laid(folder: Path, made: Manifest, size: int) -> Path:
    folder.mkdir(parents=True)
    for number, file in enumerate(made.files()):
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as out:
            out.truncate(size if number == 0 else 10)
    (folder / "manifest.json").write_bytes(encode_manifest(made))
    return folder


def test_a_release_that_is_too_large_is_refused_with_its_largest_file(tmp_path: Path) -> None:
    folder = laid(tmp_path / "fire", manifest(), 11_000_000)
    refuse_size(folder, manifest())
    with (folder / "fire.arm64-s8s8.onnx").open("wb") as out:
        out.truncate(2_000_000)
    with pytest.raises(RefusedError, match=r"13.0 MB, most is 12; the largest file is .*x86-u8s8.onnx with 11.0 MB"):
        refuse_size(folder, manifest())


def test_all_releases_together_have_a_limit(tmp_path: Path) -> None:
    folder = laid(tmp_path / "fire", manifest(), 11_000_000)
    for name in ("a", "b"):
        laid(tmp_path / name, manifest(name=name), 11_000_000)
    refuse_size(folder, manifest())
    laid(tmp_path / "c", manifest(name="c"), 11_000_000)
    with pytest.raises(RefusedError, match=r"with it the releases in .* are 44.0 MB, most is 40"):
        refuse_size(folder, manifest())


def test_a_release_names_the_version_that_it_follows(tmp_path: Path) -> None:
    assert previous(tmp_path, "fire", "1.0.0") == ""
    folder = laid(tmp_path / "fire", manifest(version="1.0.0", follows="0.9.0"), 10)
    assert previous(folder, "fire", "2.0.0") == "1.0.0"
    assert previous(folder, "fire", "1.0.0") == "0.9.0"
    with pytest.raises(RefusedError, match=r"is of 'fire', not of 'person'"):
        previous(folder, "person", "2.0.0")


def test_an_older_manifest_has_no_answerable_and_no_slice() -> None:
    raw = encode_manifest(manifest())
    old = raw.replace(b'  "answerable": "",\n', b"").replace(b'"created": "2026-11-24",', b'"created": "2026-11-24"')
    old = old.replace(b'  "follows": ""\n', b"").replace(b',\n      "slice": ""', b"")
    assert old != raw
    assert decode_manifest(old) == manifest()


def test_the_short_table_comes_first_and_tells_the_shipped_artefact() -> None:
    text = summary(manifest())
    assert "| fire.map50 | 0.612 |  | test |" in text
    assert "0.615" not in text
    assert "fire.fire.ap50 (source=cctv_fire8_abonia) | 0.300" in text
    assert "night" not in text
    assert "fire.int8_loss | 0.003" in text
    assert "fire.ms | 6.07 | ms" in text
    whole = card(manifest(), PROSE)
    assert whole.index("## In short") < whole.index("## Artefacts") < whole.index("## Measured")
    assert "### test, light=night, x86-u8s8" in whole
    assert "0.615" in whole
    assert "Warning" not in whole


def test_a_figure_of_an_older_manifest_is_of_its_source() -> None:
    old = Metric(name="fire.map50", value=0.381, data="fire/test/house, 30 pictures; x86-u8s8", split="test")
    whole = Metric(name="fire.map50", value=0.443, data="fire/test; x86-u8s8", split="test")
    text = summary(manifest(metrics=(old, whole)))
    assert "0.443" in text
    assert "0.381" not in text
    assert "### test, source=house, x86-u8s8" in card(manifest(metrics=(old, whole)), PROSE)


def test_a_loss_that_is_too_large_is_warned_of() -> None:
    metric = Metric(name="fire.int8_loss", value=0.0153, data="fire/val; x86-u8s8, against onnx-fp32", split="val")
    assert "**Warning:** fire/val; x86-u8s8, against onnx-fp32: INT8 loses 0.015 of mAP50" in card(
        manifest(metrics=(metric,)), PROSE
    )


def test_the_card_answers_what_a_regulator_asks() -> None:
    made = manifest(answerable="City of Examplestead, fire brigade", follows="1.0.0")
    found = answers(made, PROSE.purpose, PROSE.limits, PROSE.misuse, PROSE.oversight)
    by = {(one.law, one.asked): one.answer for one in found}
    assert by[EU, "provider; who is answerable"] == "City of Examplestead, fire brigade"
    assert by[CHINA, "name of the service provider"] == "City of Examplestead, fire brigade"
    assert by[EU, "version, and its relation to previous versions"] == "2.0.0 of 2026-11-24, follows 1.0.0"
    assert "129 pictures of 2 sources" in by[EU, "training data sets, their provenance and characteristics"]
    assert "a" * 64 in by[EU, "forms in which it is put into service"]
    assert all(one.where and one.answer for one in found)
    unnamed = answers(manifest(), "p", (), (), "o")
    assert next(a.answer for a in unnamed if "answerable" in a.asked) == ANSWERABLE
    text = card(made, PROSE)
    assert "## Filing data" in text
    assert "Annex IV 2(g)" in text
    assert "Art. 24" in text


def test_the_card_shows_what_was_tried_and_marks_what_ships() -> None:
    shipped = Settings(method="percentile-99.99")
    rows = tuple(
        Row(
            target="x86-u8s8",
            what=what,
            settings=settings,
            map50=0.6,
            loss=loss,
            bytes=1_300_000,
            ms=5.0,
            fp32_ms=8.0,
            time=0.62,
            val_map50=0.6,
            val_loss=loss,
        )
        for what, settings, loss in (
            ("every layer INT8", Settings(), 0.1),
            ("calibration percentile-99.99", shipped, 0.004),
        )
    )
    silu = Activation(
        function="SiLU",
        network="published",
        data="person/val",
        fp32=0.7,
        int8=0.65,
        fp32_ms=9,
        int8_ms=8,
        time=0.9,
        size="416x416",
    )
    made = Study(
        model="fire",
        source_sha256="0" * 64,
        machine="a processor",
        data="200 pictures",
        calibration="pictures",
        fp32_map50=0.604,
        fp32_bytes=3_600_000,
        rows=rows,
        layers=(),
        chosen={"x86-u8s8": shipped},
        reasons={"x86-u8s8": "it fits"},
        activations=(silu,),
    )
    text = card(manifest(), PROSE, quantization(made))
    assert (
        "| **shipped** calibration percentile-99.99 | 0 | +0.0040 | +0.0000 | +0.0040 | +0.0000 | 0.62 | 1.30 |" in text
    )
    assert "| every layer INT8 | 0 | +0.1000 |" in text
    assert "| SiLU | published | +0.0500 | 0.90 |" in text


def test_a_golden_sample_in_which_nothing_is_read_is_refused() -> None:
    good = [sample("a", "fire"), sample("b", "smoke"), sample("c")]
    unread = msgspec.structs.replace(good[0], texts=("",))
    with pytest.raises(RefusedError, match="nothing is read on what is found in it"):
        refuse_golden([unread, *good[1:]], ("fire", "smoke"))


def test_the_card_names_the_licence_and_notice_of_every_reader(tmp_path: Path) -> None:
    reader = write_reader(tmp_path, "cn", "AB12")
    text = card(msgspec.structs.replace(manifest(), readers=(reader,)), PROSE)
    assert f"| reader cn | {reader.file} |" in text
    assert "Reader cn: MIT. Drawn for a test." in text
