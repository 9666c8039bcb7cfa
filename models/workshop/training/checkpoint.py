"""A training put on disk whole, and taken up again only as the training that it was.

`average` holds the weights that are shipped; the rest is there to go on. `made_by` says what the training is made of:
a checkpoint of another recipe, seed or input is refused, not continued.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.workshop.provenance import write_whole

FORMAT = 2
_SHOWN = 60  # letters of a value in an error


class CheckpointError(ValueError):
    """A checkpoint is broken, or is not one of the training that was asked for."""


def save(path: Path, state: Mapping[str, Any], made_by: Mapping[str, str]) -> None:
    """Write a checkpoint whole or not at all; its tensors go to the CPU. Raises `OSError`, with the old one kept."""
    whole = io.BytesIO()
    torch.save({"format": FORMAT, "made_by": dict(made_by), **_on_cpu(dict(state))}, whole)
    write_whole(path, whole.getvalue())


def load(path: Path, made_by: Mapping[str, str]) -> dict[str, Any]:
    """The state of a checkpoint of this training. Raises `CheckpointError` naming what differs, and the way out."""
    state = read(path)
    out = f"take another work folder, or delete {path} to begin anew"
    if state.get("format") != FORMAT:
        raise CheckpointError(f"{path}: written by another version of the workshop; {out}")
    theirs = state["made_by"]
    for name in sorted({*theirs, *made_by}):
        if theirs.get(name) != made_by.get(name):
            was, now = str(theirs.get(name))[:_SHOWN], str(made_by.get(name))[:_SHOWN]
            raise CheckpointError(f"{path}: made with {name} {was}, not {now}; go back to that, {out}")
    return state


def done(path: Path, made_by: Mapping[str, str], steps: int) -> bool:
    """Whether this training has already run to its end. Raises as `load` does."""
    return path.is_file() and int(load(path, made_by)["step"]) >= steps


def read(path: Path) -> dict[str, Any]:
    """Whatever a checkpoint holds, on the CPU. Raises `FileNotFoundError`, and `CheckpointError` when it is broken."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist; run vedette models train first")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the unpickler trips over, the file is broken
        raise CheckpointError(f"{path}: not a checkpoint that can be read; delete it to begin anew") from error
    if not isinstance(state, dict) or "average" not in state:
        raise CheckpointError(f"{path}: not a checkpoint of the workshop")
    return state


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(one) for one in value)
    return value
