"""The step that trains: `train_network`, with `mine` in it.

It says how far it is, goes on where it was broken off, and writes down what its weights were made from. Training on
a part of the data has a folder of its own in the work folder, `part-0.1` for a tenth: nothing of it gets into what is
made from the whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.workshop.progress import Log, track
from models.workshop.provenance import Record, recorded
from models.workshop.recipe import Part, Portion
from models.workshop.recipes import RECIPES, network, recipe
from models.workshop.sets.data import Picture, write_list
from models.workshop.sets.merge import FILE, training
from models.workshop.steps import need, start_weights, whole_folder
from models.workshop.training.machine import Machine

if TYPE_CHECKING:
    from models.workshop.training.feed import Share

MINED = 0.2
"""Score from which something seen in a picture with nothing in it is worth training on."""
CPU = Machine()


def own_folder(work: Path, part_of: float) -> Path:
    """Where a training on a part of the data keeps what it makes. Raises `ValueError` for what is no part."""
    if not 0 < part_of <= 1:
        raise ValueError(f"--part-of {part_of:g}: give a share above 0 and up to 1, such as 0.1")
    return work if part_of == 1 else work / f"part-{part_of:g}"


def part(pictures: Sequence[Picture], part_of: float) -> tuple[Picture, ...]:
    """A share of the pictures, at least one, in their order. Which ones depends on their set and file names alone."""

    def key(picture: Picture) -> str:
        return sha256(f"{picture.path.parent.parent.name}/{picture.path.name}".encode()).hexdigest()

    if part_of == 1:
        return tuple(pictures)
    chosen = {id(p) for p in sorted(pictures, key=key)[: ceil(len(pictures) * part_of)]}
    return tuple(p for p in pictures if id(p) in chosen)


def shares(portions: Sequence[Portion], data: Path, work: Path, part_of: float) -> list[Share]:
    """What a training sees. Hard negatives are those that its own first part found."""
    from models.workshop.training.feed import Share

    own = own_folder(work, part_of)
    return [
        Share(part(p.pictures(data, own if p.folder.startswith("mined") else work), part_of), p.share) for p in portions
    ]


def train_network(
    name: str,
    data: Path,
    work: Path,
    log: Log,
    part_of: float = 1.0,
    seed: int | None = None,
    machine: Machine = CPU,
    command: str = "",
) -> Path:
    """Train a network by its recipe: `<name>.pt`. The one that it starts from is made first where it is missing.

    Each part leaves `<name>.<n>.pt`; hard negatives are mined where a part wants them. The sets that `data` makes must
    be there. With `part_of` below 1 that share of each portion's pictures is trained on, for that share of the steps.
    `seed` replaces the recipe's. The figures that a detector reaches on `val` are in `<name>.train.json`.
    """
    own, how = own_folder(work, part_of), network(name)
    need("torch", "onnx", "onnxruntime")
    from models.workshop.training.train import train

    parts = [scaled(one, part_of, seed) for one in how.parts]
    about = {"seed": [p.seed for p in parts], "part_of": part_of, "recipe": {"labels": how.labels, "start": how.start}}
    about["recipe"] |= {"parts": [asdict(p) for p in parts]}  # type: ignore[operator]
    weights = start_weights(data)
    before = start(how.start, data, work, log, part_of, seed, machine) if how.start else None
    final = own / f"{name}.pt"
    with recorded(own / f"{name}.train.json", command or f"train {name}", lambda old: same(old, about)) as record:
        record.states(**about, **machine.described())
        for number, one in enumerate(parts, 1):
            if one.mines and not (own / "mined" / name / "labels.jsonl").is_file():
                assert before is not None
                mine(name, before, data, work, log, part_of)
            seen = shares(one.portions, data, work, part_of)
            takes(record, one.portions, data, work, own, before or weights)
            before = train(before, seen, how.labels, one, own / f"{name}.{number}.pt", log, machine, weights)
        assert before is not None
        shutil.copyfile(before, final.with_suffix(".part"))
        final.with_suffix(".part").replace(final)
        record.states(pictures_seen=sum(one.steps * one.batch for one in parts))
        if name in RECIPES:
            record.states(figures_on_val=on_val(name, final, data, own))
    return final


def start(name: str, data: Path, work: Path, log: Log, part_of: float, seed: int | None, machine: Machine) -> Path:
    """A network to start from, whole: made or finished first where it is not. One that was put there by hand is taken
    as it is."""
    from models.workshop.training import checkpoint

    path = own_folder(work, part_of) / f"{name}.pt"
    if path.is_file() and "made_by" not in checkpoint.read(path):
        log(f"{path}: not made here, taken as it is")
        return path
    if not path.is_file():
        log(f"{path} does not exist yet: '{name}' is trained first")
    return train_network(name, data, work, log, part_of, seed, machine)


def same(before: Any, about: dict[str, object]) -> bool:
    """Whether an earlier record is of the same training: its runs are then kept."""
    return all(before.get(key) == json.loads(json.dumps(value)) for key, value in about.items())


def takes(record: Record, portions: Sequence[Portion], data: Path, work: Path, own: Path, *files: Path) -> None:
    """Note the inputs of a training: label files, what was left out of them, and files to start from."""
    folders = [
        (own if p.folder.startswith("mined") else work) / p.folder if p.made else data / p.folder for p in portions
    ]
    record.takes(work / FILE, *files, *dict.fromkeys(folder / "labels.jsonl" for folder in folders))


def fewer(steps: int, fewest: int, part_of: float) -> int:
    """Steps for a part of the data."""
    return min(steps, max(fewest, round(steps * part_of)))


def scaled(one: Part, part_of: float, seed: int | None) -> Part:
    """A part of a training for a part of the data, and with another seed where one is given."""
    steps = fewer(one.steps, one.fewest, part_of)
    return replace(
        one,
        steps=steps,
        schedule=ceil(one.schedule * steps / one.steps),
        warm_up=min(one.warm_up, steps // 4),
        seed=one.seed if seed is None else seed,
    )


def on_val(name: str, checkpoint: Path, data: Path, own: Path) -> dict[str, float]:
    """The figures of a trained detector on the whole of its `val` split, in FP32, by name."""
    from models.workshop.conversion.export import export
    from models.workshop.evaluation.evaluate import evaluate
    from models.workshop.runner import Runner

    how = recipe(name)
    path = export(checkpoint, how.labels, how.size, own / f"{name}.val.onnx")
    found = evaluate(name, data, "val", Runner(path, how.labels, how.input))
    return {figure.name: round(figure.value, 4) for figure in found if not figure.slice}


def mine(name: str, checkpoint: Path, data: Path, work: Path, log: Log, part_of: float = 1.0) -> Path:
    """List the pictures without a truth in which a checkpoint sees something: `mined/<name>`, hardest first.

    Only training pictures are looked at, of the sets in which nothing of the detector's labels can be.
    """
    need("torch", "onnx", "onnxruntime")
    from models.workshop.conversion.export import export
    from models.workshop.runner import Runner

    how, own = recipe(name), own_folder(work, part_of)
    path = export(checkpoint, how.labels, how.size, own / f"{name}.mining.onnx")
    detect = Runner(path, how.labels, how.input, MINED)
    pictures = [p for folder in ("person", "plate", "crowd") for p in part(training(data / folder, work), part_of)]
    seen: list[tuple[float, Picture]] = []
    for picture in track(pictures, f"mining for {name}"):
        score = max((d.score for d in detect(picture.read())), default=0.0)
        if score > 0:
            seen.append((score, picture))
    seen.sort(key=lambda pair: -pair[0])
    log(f"{len(seen)} pictures without {' or '.join(how.labels)} score over {MINED}")
    with whole_folder(own / "mined" / name) as folder:
        write_list(folder, [picture for _, picture in seen])
    return own / "mined" / name
