"""A detector is trained by its recipe, on a part of the data too, and says what it was made from."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("onnxruntime", reason="the train extra is not installed")

from models.workshop import trainer  # noqa: E402
from models.workshop.provenance import file_hash, read_record  # noqa: E402
from models.workshop.recipe import Part, Portion  # noqa: E402
from models.workshop.recipes import NETWORKS, RECIPES  # noqa: E402
from models.workshop.sets.data import read_set, write_set  # noqa: E402
from models.workshop.sets.merge import DataError, merge  # noqa: E402
from models.workshop.trainer import start, train_network  # noqa: E402
from models.workshop.training.checkpoint import CheckpointError  # noqa: E402
from models.workshop.training.machine import Machine  # noqa: E402
from models.workshop.training.network import Detector  # noqa: E402
from tests.models.test_training import spots  # noqa: E402

SMALL = Part(
    portions=(Portion("fire", "spots", 1.0),), steps=4, rate=1e-3, sizes=((64, 64),), batch=2, warm_up=1, fewest=2
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe of four steps."""
    from dataclasses import replace

    fire = replace(RECIPES["fire"], labels=("fire",), parts=(SMALL,), size=(96, 64))
    monkeypatch.setitem(RECIPES, "fire", fire)
    monkeypatch.setitem(NETWORKS, "fire", fire)


def made(tmp_path: Path) -> tuple[Path, Path]:
    """A data folder with one set, and a work folder with a base that was put there by hand."""
    data, work = tmp_path / "data", tmp_path / "work"
    spots(data / "fire")
    pictures = read_set(data / "fire")
    rows = [(p.path.name, "train" if n < 4 else "val", p.read(), list(p.truths)) for n, p in enumerate(pictures)]
    write_set(data / "fire", rows, "spots")
    for folder in (work, work / "part-0.5"):
        folder.mkdir(parents=True)
        torch.manual_seed(1)
        (data / "weights").mkdir(exist_ok=True)
        (data / "weights/yolox_nano_coco.onnx").write_bytes(b"not looked into")
        torch.save({"average": Detector(80).state_dict()}, folder / "base.pt")
    return data, work


@pytest.mark.filterwarnings("ignore")  # PyTorch's exporter warns of itself
@pytest.mark.usefixtures("small")
def test_half_of_the_data_in_half_of_the_steps_says_what_it_reached(tmp_path: Path) -> None:
    data, work = made(tmp_path)
    with pytest.raises(DataError, match=r"data.json does not exist"):
        train_network("fire", data, work, print, 0.5, machine=Machine(threads=1))
    merge(data, work, ("fire",))
    told: list[str] = []
    path = train_network("fire", data, work, told.append, 0.5, machine=Machine(threads=1), command="vedette x")
    assert path == work / "part-0.5/fire.pt"
    assert sorted(p.name for p in work.glob("fire*")) == []
    assert told[0].endswith("base.pt: not made here, taken as it is")
    record = read_record(work / "part-0.5/fire.train.json")
    assert record["inputs"][str(data / "fire/labels.jsonl")] == file_hash(data / "fire/labels.jsonl")
    assert str(work / "part-0.5/base.pt") in record["inputs"]
    assert (record["part_of"], record["seed"], record["pictures_seen"]) == (0.5, [1], 2 * 2)
    assert record["recipe"]["parts"][0]["steps"] == 2
    assert 0 <= record["figures_on_val"]["fire.map50"] <= 1
    assert record["threads"] == 1
    # The first run failed for want of data.json: its record is kept, as the beginning of this one.
    assert [run["outcome"].split(":")[0] for run in record["runs"]] == ["broken off", "done"]
    train_network("fire", data, work, told.append, 0.5, machine=Machine(threads=1))
    assert "done before" in told[-1]
    with pytest.raises(CheckpointError, match="made with seed 1, not 2"):
        train_network("fire", data, work, print, 0.5, seed=2, machine=Machine(threads=1))


def test_a_missing_base_is_said_and_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def teach(*given: object) -> Path:
        asked.append(given)
        return tmp_path / "base.pt"

    monkeypatch.setattr(trainer, "train_network", teach)
    told: list[str] = []
    assert start("base", tmp_path, tmp_path, told.append, 1.0, None, Machine()) == tmp_path / "base.pt"
    assert told == [f"{tmp_path / 'base.pt'} does not exist yet: 'base' is trained first"]
    assert len(asked) == 1
