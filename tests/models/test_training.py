"""Training can be stopped at any moment and goes on as if it had not been; run where the `train` extra is installed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")

from models.workshop.coco import CLASSES, COCO  # noqa: E402
from models.workshop.conversion.export import load_net  # noqa: E402
from models.workshop.sets.data import Truth, read_set, write_set  # noqa: E402
from models.workshop.training import checkpoint as kept  # noqa: E402
from models.workshop.training import train as training  # noqa: E402
from models.workshop.training.checkpoint import CheckpointError  # noqa: E402
from models.workshop.training.feed import Feed, Share  # noqa: E402
from models.workshop.training.machine import Machine  # noqa: E402
from models.workshop.training.network import Detector, fold  # noqa: E402
from models.workshop.training.plan import Plan  # noqa: E402
from models.workshop.training.train import train  # noqa: E402

ONE = Machine(threads=1)
LABELS = ("fire",)
PLAN = Plan(sizes=((64, 64), (96, 64)), steps=4, batch=2, rate=1e-3, warm_up=1, plain_tail=0.5, seed=7)


def spots(folder: Path) -> list[Share]:
    """Six pictures with an orange spot on noise."""
    rng = np.random.default_rng(1)
    made = []
    for n in range(6):
        image = rng.integers(0, 90, (72, 96, 3)).astype(np.uint8)
        x, y = int(rng.integers(0, 60)), int(rng.integers(0, 40))
        image[y : y + 24, x : x + 24] = (20, 120, 250)
        made.append((f"{n}.png", "train", image, [Truth("fire", (x, y, x + 24, y + 24))]))
    write_set(folder, made, "spots")
    return [Share(tuple(read_set(folder, "train")), 1.0)]


def quiet(_: str) -> None:
    pass


def same(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same numbers, to the bit."""
    a, b = kept.read(one), kept.read(other)
    halves = [(a[k], b[k]) for k in ("net", "average")]
    moments = [(a["optimizer"]["state"][n], b["optimizer"]["state"][n]) for n in a["optimizer"]["state"]]
    return a["step"] == b["step"] and all(torch.equal(x[k], y[k]) for x, y in (*halves, *moments) for k in x)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every second step."""
    monkeypatch.setattr(training, "SAVE_EVERY", 2)


def test_a_batch_is_decided_by_its_number_alone(tmp_path: Path) -> None:
    shares = spots(tmp_path)
    feed = Feed(shares, LABELS, PLAN.sizes, 2, seed=7, plain_from=2)
    later = feed.batches(3)
    fourth = next(later)
    later.close()
    ahead = Feed(shares, LABELS, PLAN.sizes, 2, seed=7, plain_from=2, makers=3).batches()
    for _ in range(3):
        other = next(ahead)
    assert not (other[0].shape == fourth[0].shape and torch.equal(other[0], fourth[0]))
    other = next(ahead)
    ahead.close()
    assert torch.equal(other[0], fourth[0])
    assert torch.equal(other[1].boxes, fourth[1].boxes)


@pytest.mark.usefixtures("often")
def test_a_training_that_was_broken_off_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = spots(tmp_path / "set")
    train(None, shares, LABELS, PLAN, tmp_path / "whole.pt", quiet, ONE)
    save, saved = kept.save, []

    def save_once(path: Path, *rest: object) -> None:
        save(path, *rest)  # type: ignore[arg-type]
        saved.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(kept, "save", save_once)
    with pytest.raises(KeyboardInterrupt):
        train(None, shares, LABELS, PLAN, tmp_path / "twice.pt", quiet, ONE)
    assert kept.read(tmp_path / "twice.pt")["step"] == 2
    monkeypatch.setattr(kept, "save", save)
    told: list[str] = []
    train(None, shares, LABELS, PLAN, tmp_path / "twice.pt", told.append, ONE)
    assert told == [f"{tmp_path / 'twice.pt'}: goes on from step 2"]
    assert same(tmp_path / "whole.pt", tmp_path / "twice.pt")
    train(None, shares, LABELS, PLAN, tmp_path / "twice.pt", told.append, ONE)
    assert told[-1].endswith("done before")
    train(None, shares, LABELS, replace(PLAN, seed=8), tmp_path / "other.pt", quiet, ONE)
    assert not same(tmp_path / "whole.pt", tmp_path / "other.pt")


KILLED = """
import os, signal, sys
from pathlib import Path
from models.workshop.training import checkpoint, train
from models.workshop import provenance
from tests.models.test_training import LABELS, ONE, PLAN, quiet, spots

folder, moment = Path(sys.argv[1]), sys.argv[2]
train.SAVE_EVERY = 1
count = 0
real = os.fsync

def fsync(file):
    global count
    count += 1
    if count == 2 and moment == "during":
        os.ftruncate(file, 1000)  # half of the file is on the disk
        os.kill(os.getpid(), signal.SIGKILL)
    real(file)

os.fsync = fsync
update = train.Average.update

def after(self, net):
    if self.updates == 2 and moment == "between":
        os.kill(os.getpid(), signal.SIGKILL)
    update(self, net)

train.Average.update = after
train.train(None, spots(folder / "set"), LABELS, PLAN, folder / "x.pt", quiet, ONE)
"""


@pytest.mark.parametrize(("moment", "step"), [("during", 1), ("between", 2)])
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path, moment: str, step: int) -> None:
    root = Path(__file__).parents[2]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), os.environ.get("PYTHONPATH", "")))}
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), moment], cwd=root, env=where, capture_output=True
    )
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    assert kept.read(tmp_path / "x.pt")["step"] == step
    train(None, spots(tmp_path / "set"), LABELS, PLAN, tmp_path / "x.pt", quiet, ONE)
    train(None, spots(tmp_path / "set"), LABELS, PLAN, tmp_path / "whole.pt", quiet, ONE)
    assert same(tmp_path / "x.pt", tmp_path / "whole.pt")


@pytest.mark.usefixtures("often")
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    shares, path = spots(tmp_path / "set"), tmp_path / "x.pt"
    short = replace(PLAN, steps=2)
    train(None, shares, LABELS, short, path, quiet, ONE)
    with pytest.raises(CheckpointError, match=r"x.pt: made with seed 7, not 8; go back to that, take another work"):
        train(None, shares, LABELS, replace(short, seed=8), path, quiet, ONE)
    with pytest.raises(CheckpointError, match=r"made with rate 0.001, not 0.002"):
        train(None, shares, LABELS, replace(short, rate=2e-3), path, quiet, ONE)
    with pytest.raises(CheckpointError, match="made with pictures "):
        train(None, [Share(shares[0].pictures[1:], 1.0)], LABELS, short, path, quiet, ONE)
    old = {key: value for key, value in kept.read(path).items() if key != "format"}
    torch.save(old, path)
    with pytest.raises(CheckpointError, match=r"another version of the workshop; take another work folder, or delete"):
        train(None, shares, LABELS, short, path, quiet, ONE)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="not a checkpoint that can be read"):
        train(None, shares, LABELS, short, path, quiet, ONE)


def test_the_published_network_is_settled_on_pictures_of_one_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    weights = given(tmp_path, monkeypatch)
    plan = replace(PLAN, steps=1, taught=1.0)
    path = train(None, spots(tmp_path / "set"), ("person",), plan, tmp_path / "x.pt", quiet, ONE, weights)
    assert kept.read(path)["average"]["branches.0.score.weight"].shape[0] == 1
    assert not any("objectness" in name for name in kept.read(path)["average"])


def given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of chance in place of the published one, and its file."""
    net = fold(Detector(CLASSES, relu=(), objectness=True).eval())
    monkeypatch.setattr(training, "published", lambda _: net)
    weights = folder / "published.onnx"
    weights.write_bytes(b"its hash is noted")
    return weights


def test_what_keeps_all_that_was_published_begins_as_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    weights = given(tmp_path, monkeypatch)
    plan = replace(PLAN, steps=1, rate=0.0, taught=0.5, folded=True, relu=(), objectness=True)
    path = train(None, spots(tmp_path / "set"), ("person",), plan, tmp_path / "x.pt", quiet, ONE, weights)
    ours, theirs = load_net(path, 1).eval(), training.published(weights)
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        (scores, boxes), (every, same) = ours(x), theirs(x)
    assert torch.allclose(scores[..., 0], every[..., COCO["person"][0]], atol=1e-2)
    assert torch.allclose(boxes, same, atol=1e-1)


def test_a_device_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"--device cuda: PyTorch finds no GPU here; use --device cpu"):
        Machine("cuda").take()
