"""``vedette models detect`` and ``evaluate`` with a release that reads what it finds, and a box that tries it."""

import hashlib
import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from contract.detections import Detection
from contract.manifest import Artefact, Golden, Manifest, ManifestError, decode_manifest, encode_manifest
from edge.updates.golden import run_golden
from edge.updates.release import ReleaseError
from edge.vision.engine import load_engine
from models import zoo
from tests.edge.vision.plates.lines import write_reader
from tests.models.blind import SPEC, orange_pictures, write_blind
from vedette.cli import app


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Manifest, Path]:
    """A release that takes orange squares for plates, and reads the same in all of them."""
    folder = tmp_path / "plate"
    file = write_blind(folder / "plate.onnx-fp32.onnx")
    readers = tuple(write_reader(folder, name, "川A12345") for name in ("one", "other"))
    picture = orange_pictures(tmp_path / "golden", 1)[0]
    (folder / "golden.png").write_bytes(cv2.imencode(".png", picture.read())[1].tobytes())
    made = Manifest(
        name="plate",
        version="1.0.0",
        labels=("plate",),
        input=SPEC,
        thresholds={"plate": 0.5},
        artefacts={
            "onnx-fp32": Artefact(file=file.name, sha256=sha256(file), bytes=file.stat().st_size, precision="fp32")
        },
        readers=readers,
        golden=(Golden(file="golden.png", sha256=sha256(folder / "golden.png"), expected=()),),
        licence="Apache-2.0",
    )
    found = load_engine(made, folder, threads=1).detect(cv2.imread(str(folder / "golden.png")))
    golden = msgspec.structs.replace(made.golden[0], expected=tuple(found), texts=("川A12345",))
    made = decode_manifest(encode_manifest(msgspec.structs.replace(made, golden=(golden,))))
    monkeypatch.setattr(zoo, "load", lambda _: (made, folder))
    return made, folder


def call(*arguments: object) -> Result:
    with capture_logs():
        return CliRunner().invoke(app, ["models", *map(str, arguments)])


@pytest.mark.usefixtures("release")
def test_what_is_found_is_read_told_and_drawn(tmp_path: Path) -> None:
    picture = orange_pictures(tmp_path / "set", 1)[0]
    found = json.loads(call("detect", "plate", picture.path, "--region", "cn", "--json").stdout)
    (one,) = found[0]["detections"]
    assert (one["text"], one["grammar"], one["colour"]) == ("川A12345", "cn-civil", "yellow")
    assert 0 < one["confidence"] <= 1
    assert {"text", "confidence"} == set(one["alternatives"][0]) if one["alternatives"] else True
    told = call("detect", "plate", picture.path, "--draw", tmp_path / "drawn").stdout
    assert "川A12345 (" in told
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 1
    wrong = call("detect", "plate", picture.path, "--region", "mars")
    assert "--region: plates of 'mars' are not known" in str(wrong.exception)


@pytest.mark.usefixtures("release")
def test_reading_is_measured_on_known_texts_and_on_plates_that_were_cut_out(tmp_path: Path) -> None:
    pictures = orange_pictures(tmp_path / "set", 4, "read")
    path = tmp_path / "set/labels.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row, text in zip(rows, ("川A12345", "川A12345", "川A12345", "京A12345"), strict=True):
        row["boxes"] = [["plate", *box[1:]] for box in row["boxes"]]
        row["texts"] = [text]
    cv2.imwrite(str(tmp_path / "set/cut.png"), pictures[0].read()[:20])
    rows.append(
        {"image": "cut.png", "split": "crop", "width": 64, "height": 20, "source": "cut", "texts": ["川A12345"]}
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = call("evaluate", "plate", "--data", tmp_path / "set", "--split", "read", "--region", "cn", "--json")
    found = {(f["name"], f["slice"]): f["value"] for f in json.loads(done.stdout)}
    assert found["plate.ap50", ""] == pytest.approx(1.0)
    assert found["plate.whole_read", ""] == found["plate.whole_read_e2e", ""] == pytest.approx(0.75)
    assert found["plate.whole_read_no_province", ""] == 1
    cut = call("evaluate", "plate", "--data", tmp_path / "set", "--split", "crop", "--json")
    found = {(f["name"], f["slice"]): f["value"] for f in json.loads(cut.stdout)}
    assert found["plate.whole_read", ""] == 1
    assert ("plate.ap50", "") not in found


def test_a_box_tries_the_readers_before_it_runs_them(release: tuple[Manifest, Path]) -> None:
    manifest, folder = release
    engine = load_engine(manifest, folder, threads=1)
    run_golden(manifest, folder, engine)
    other = msgspec.structs.replace(manifest.golden[0], texts=("川B12345",))
    with pytest.raises(ReleaseError, match=r"golden\.png: read '川A12345' where '川B12345' is expected"):
        run_golden(msgspec.structs.replace(manifest, golden=(other,)), folder, engine)
    (folder / manifest.readers[1].file).write_bytes(b"cut off")
    with pytest.raises(ReleaseError, match="is not the file its manifest names"):
        run_golden(manifest, folder, engine)


def test_a_manifest_lists_its_readers_and_as_many_texts_as_detections(release: tuple[Manifest, Path]) -> None:
    manifest, _ = release
    assert {reader.file for reader in manifest.readers} < set(manifest.files())
    golden = msgspec.structs.replace(manifest.golden[0], texts=("A", "B"))
    with pytest.raises(ManifestError, match="has 2 texts for 1 detections"):
        decode_manifest(encode_manifest(msgspec.structs.replace(manifest, golden=(golden,))))
    assert isinstance(manifest.golden[0].expected[0], Detection)


def test_a_detector_without_readers_has_no_regions(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((32, 32, 3), np.uint8))
    done = call("detect", "person", tmp_path / "x.png", "--region", "cn")
    assert "--region: model 'person' reads nothing" in str(done.exception)
