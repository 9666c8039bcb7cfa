"""The counter's training; run where the `train` extra is installed."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")

from models.workshop.crowd import recipe  # noqa: E402
from models.workshop.crowd import train as training_module  # noqa: E402
from models.workshop.crowd.export import export, load_net  # noqa: E402
from models.workshop.crowd.feed import Feed, Scene, in_cells, part  # noqa: E402
from models.workshop.crowd.loss import counting_loss, moments, unlikelihood  # noqa: E402
from models.workshop.crowd.runner import CountRunner  # noqa: E402
from models.workshop.crowd.start import published, start_weights  # noqa: E402
from models.workshop.sets.data import Picture  # noqa: E402
from models.workshop.training import checkpoint as kept  # noqa: E402
from models.workshop.training import train as loop  # noqa: E402
from models.workshop.training.checkpoint import CheckpointError  # noqa: E402
from models.workshop.training.feed import Share  # noqa: E402
from models.workshop.training.machine import Machine  # noqa: E402

ONE = Machine(threads=1)
PACE = replace(recipe.PARTS[0], steps=4, schedule=0, sizes=((64, 64), (96, 64)), batch=2, warm_up=1)


def weights() -> Path:
    """The published weights. Where their package is not installed a test skips, and says how to get it."""
    try:
        return start_weights()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def dots(folder: Path, number: int = 6) -> tuple[Picture, ...]:
    """Pictures with white dots for heads."""
    rng = np.random.default_rng(1)
    made = []
    for n in range(number):
        image = rng.integers(0, 90, (120, 160, 3)).astype(np.uint8)
        points = rng.uniform(5, 115, (int(rng.integers(0, 12)), 2))
        for x, y in points:
            cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)
        cv2.imwrite(str(folder / f"{n}.png"), image)
        heads = tuple((float(x), float(y)) for x, y in points)
        made.append(Picture(folder / f"{n}.png", "train", 160, 120, "dots", (), heads=heads))
    return tuple(made)


def test_the_probabilities_of_all_counts_add_up_to_one_with_the_stated_moments() -> None:
    torch.manual_seed(1)
    maps = torch.randn(1, 2, 3, 4) * 1.5
    counts = torch.arange(120.0)
    likely = torch.stack([(-unlikelihood(maps, torch.full((1, 3, 4), float(k)))).exp() for k in counts], -1)
    assert torch.allclose(likely.sum(-1), torch.ones(1, 3, 4), atol=1e-4)
    mean, variance = moments(maps)
    by_sum = (likely * counts).sum(-1)
    assert torch.allclose(by_sum, mean, rtol=1e-3, atol=1e-3)
    assert torch.allclose((likely * counts**2).sum(-1) - by_sum**2, variance, rtol=1e-3, atol=1e-3)


def test_the_loss_is_least_where_the_count_is_right() -> None:
    heads = torch.full((1, 8, 8), 2.0)
    sure = 8.0

    def loss(rate: float) -> float:
        maps = torch.stack((torch.full((1, 8, 8), sure), torch.full((1, 8, 8), math.log(rate))), 1)
        return float(counting_loss(maps, heads))

    assert loss(2.0) < min(loss(1.8), loss(2.2))
    nobody = torch.stack((torch.full((1, 8, 8), -9.0), torch.zeros(1, 8, 8)), 1)
    assert float(counting_loss(nobody, torch.zeros(1, 8, 8))) < 0.01


def test_every_head_of_a_part_is_in_one_cell() -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    heads = np.random.default_rng(2).uniform(0, 119, (200, 2)).astype(np.float32)
    for seed in range(20):
        seen = part(np.random.default_rng(seed), Scene(image, heads), 64, 96, (0.5, 2.0))
        assert seen.image.shape == (96, 64, 3)
        cells = in_cells(seen.heads, 64, 96)
        assert cells.shape == (6, 4)
        assert cells.sum() == len(seen.heads)
    # Scaled down as far as it goes the whole picture is there, and so is every head.
    whole = part(np.random.default_rng(0), Scene(image, heads), 160, 120, (0.1, 0.1001))
    assert len(whole.heads) == 200


def test_a_head_stays_on_its_pixel() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(image, (120, 70), 6, (255, 255, 255), -1)
    for seed in range(30):
        seen = part(np.random.default_rng(seed), Scene(image, np.array([[120, 70]], np.float32)), 96, 96, (0.5, 1.5))
        for x, y in seen.heads:
            assert seen.image[min(95, int(y)), min(95, int(x))].min() > 100


def test_it_starts_with_what_the_published_network_sees() -> None:
    path = weights()
    net = published(path).eval()
    state = torch.load(path, weights_only=True)
    x = torch.rand(1, 3, 64, 64)
    scaled = (x - 127 / 255) * 255 / 128
    by_hand = torch.nn.functional.conv2d(scaled, state["_conv_stem.weight"], stride=2, padding=1)
    norm = [state[f"_bn0.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    by_hand = torch.nn.functional.batch_norm(by_hand, *norm, eps=1e-3).clamp(0, 6)
    assert torch.allclose(net.stem(scaled), by_hand, atol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.stages.modules())
    assert net(x).shape == (1, 2, 4, 4)


def test_a_training_that_was_broken_off_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights()
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    shares = [Share(dots(tmp_path), 1.0)]
    training_module.train(path, shares, PACE, tmp_path / "whole.pt", lambda _: None, ONE)
    broken = kept.save

    def stop(where: Path, state: dict[str, object], made: dict[str, str]) -> None:
        broken(where, state, made)
        raise KeyboardInterrupt

    monkeypatch.setattr(kept, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        training_module.train(path, shares, PACE, tmp_path / "parts.pt", lambda _: None, ONE)
    monkeypatch.setattr(kept, "save", broken)
    assert kept.read(tmp_path / "parts.pt")["step"] == 2
    training_module.train(path, shares, PACE, tmp_path / "parts.pt", lambda _: None, ONE)
    whole, parts = kept.read(tmp_path / "whole.pt"), kept.read(tmp_path / "parts.pt")
    assert all(torch.equal(whole["average"][name], parts["average"][name]) for name in whole["average"])
    with pytest.raises(CheckpointError, match="made with seed"):
        training_module.train(path, shares, replace(PACE, seed=2), tmp_path / "whole.pt", lambda _: None, ONE)


def test_melting_the_heads_norms_changes_nothing_until_the_first_step(tmp_path: Path) -> None:
    shares = [Share(dots(tmp_path), 1.0)]
    training_module.train(weights(), shares, PACE, tmp_path / "a.pt", lambda _: None, ONE)
    none = replace(PACE, folded=True, steps=1, rate=0.0, decay=0.0)
    training_module.train(tmp_path / "a.pt", shares, none, tmp_path / "b.pt", lambda _: None, ONE)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(load_net(tmp_path / "a.pt")(x), load_net(tmp_path / "b.pt")(x), atol=1e-4)


def test_a_batch_is_decided_by_its_number_alone(tmp_path: Path) -> None:
    shares = [Share(dots(tmp_path), 1.0)]
    later, first = Feed(shares, PACE), Feed(shares, PACE, makers=2)
    images, heads = later.make(3)
    stream = first.batches()
    for _ in range(3):
        next(stream)
    again, same = next(stream)
    stream.close()
    assert torch.equal(images, again)
    assert torch.equal(heads, same)
    assert images.dtype == torch.uint8


@pytest.mark.filterwarnings("ignore")  # PyTorch's exporter warns of itself
def test_what_is_exported_counts_as_the_network_does(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the train extra is not installed")
    path = weights()
    shares = [Share(dots(tmp_path), 1.0)]
    training_module.train(path, shares, PACE, tmp_path / "c.pt", lambda _: None, ONE)
    run = CountRunner(export(tmp_path / "c.pt", tmp_path / "crowd.onnx"))
    net = load_net(tmp_path / "c.pt")
    for sides in ((96, 128), (64, 32)):  # multiples of the input's stride: nothing is letterboxed
        image = np.random.default_rng(3).integers(0, 255, (*sides, 3)).astype(np.uint8)
        pixels = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))[None].float() / 255
        with torch.no_grad():
            mean, variance = moments(net(pixels))
        assert run(image) == pytest.approx((float(mean.sum()), float(variance.sum())), rel=1e-3)


def test_no_picture_is_both_held_out_and_learned(tmp_path: Path) -> None:
    pictures = dots(tmp_path, 30)
    learned = recipe.learned(pictures)
    assert {*learned} | {p for p in pictures if recipe.held_out(p)} == {*pictures}
    assert not any(recipe.held_out(picture) for picture in learned)
