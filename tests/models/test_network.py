"""The network and its loss; run where the `train` extra is installed."""

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")

from models.workshop.training.loss import Batch, assign, complete_iou, detection_loss, iou_pairs  # noqa: E402
from models.workshop.training.network import Detector, Unit, fold, from_state, joint  # noqa: E402
from models.workshop.training.train import cell_centres  # noqa: E402


def test_melting_the_norms_changes_nothing() -> None:
    torch.manual_seed(1)
    net = Detector(2)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    net.eval()
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before = net(x)
        after = fold(net)(x)
    assert torch.allclose(before[0], after[0], atol=1e-4)
    again = from_state(net.state_dict(), 2)
    with torch.no_grad():
        assert torch.allclose(again(x)[1], after[1], atol=1e-3)
    assert before[0].shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 2)


def test_large_maps_have_the_activation_that_costs_nothing() -> None:
    kinds = {name: type(m.act).__name__ for name, m in Detector(2).named_modules() if isinstance(m, Unit)}
    assert {n.split(".")[0] for n, kind in kinds.items() if kind == "ReLU"} == {"stem", "stage2", "branches"}
    assert kinds["stage3.1.join"] == kinds["merge3.join"] == "SiLU"
    assert not any(isinstance(m.act, torch.nn.ReLU) for m in Detector(2, relu=()).modules() if isinstance(m, Unit))


def test_the_joint_score_is_a_product_of_probabilities() -> None:
    a, b = torch.tensor([-30.0, -2.0, 0.0, 3.0, 30.0]), torch.tensor([[2.0], [-40.0], [25.0]])
    product = a.double().sigmoid() * b.double().sigmoid()
    assert torch.allclose(joint(a, b).double().sigmoid(), product, rtol=1e-4, atol=0)
    net = Detector(2, objectness=True).eval()
    again = from_state(net.state_dict(), 2)
    assert again.branches[0].objectness is not None
    assert net(torch.zeros(1, 3, 64, 64))[0].shape == (1, 84, 2)


def test_overlaps_by_hand() -> None:
    a, b = torch.tensor([[[0.0, 0, 10, 10]]]), torch.tensor([[[5.0, 0, 15, 10], [20.0, 20, 30, 30]]])
    assert torch.allclose(iou_pairs(a, b), torch.tensor([[[1 / 3, 0.0]]]), atol=1e-5)
    assert complete_iou(a[0], a[0]).item() == pytest.approx(1.0, abs=1e-4)
    assert complete_iou(a[0], b[0, 1:]).item() < 0


def test_only_cells_inside_answer_and_padding_asks_nothing() -> None:
    cells = cell_centres(64, 64)
    count = len(cells)
    scores = torch.full((1, count, 2), 0.3)
    boxes = torch.cat((cells - 8, cells + 8), 1)[None]
    batch = Batch(
        torch.tensor([[[16.0, 16, 32, 32], [0, 0, 0, 0]]]), torch.tensor([[1, -1]]), torch.zeros(1, 2, dtype=torch.bool)
    )
    targets, _, answers = assign(scores, boxes, cells, batch)
    inside = ((cells > 16) & (cells < 32)).all(1)
    assert answers[0].any()
    assert not (answers[0] & ~inside).any()
    assert targets[0, :, 0].sum() == 0
    assert targets[0, :, 1].max() > 0


def test_a_silent_class_is_neither_praised_nor_punished() -> None:
    torch.manual_seed(2)
    cells = cell_centres(64, 64)
    logits = torch.randn(1, len(cells), 2, requires_grad=True)
    boxes = torch.cat((cells - 8, cells + 8), 1)[None].requires_grad_()
    batch = Batch(torch.tensor([[[16.0, 16, 32, 32]]]), torch.tensor([[0]]), torch.tensor([[False, True]]))
    detection_loss(logits, boxes, cells, batch)[0].backward()
    assert logits.grad[..., 1].abs().sum() == 0
    assert logits.grad[..., 0].abs().sum() > 0
