"""The counter's step that trains: as `models.workshop.trainer`, with a record of what the weights were made from."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from math import ceil
from pathlib import Path

from models.workshop.crowd.recipe import FEWEST, NAME, PARTS, learned
from models.workshop.progress import Log
from models.workshop.provenance import recorded
from models.workshop.steps import need
from models.workshop.trainer import CPU, fewer, own_folder, part, same, takes
from models.workshop.training.machine import Machine


def train_counter(
    data: Path,
    work: Path,
    log: Log,
    part_of: float = 1.0,
    seed: int | None = None,
    machine: Machine = CPU,
    command: str = "",
    package: Path | None = None,
) -> Path:
    """Train the counter by its recipe: `crowd.pt`. The sets that `data` makes must be there.

    `package` is the folder of the package with the weights to start from, the installed one when left out; `part_of`
    and `seed` as in `trainer.train_network`.
    """
    own = own_folder(work, part_of)
    need("torch")
    from models.workshop.crowd.start import start_weights
    from models.workshop.crowd.train import train
    from models.workshop.training.feed import Share

    weights = start_weights(package)
    parts = [
        replace(
            one,
            steps=fewer(one.steps, FEWEST, part_of),
            schedule=ceil(one.schedule * fewer(one.steps, FEWEST, part_of) / one.steps),
            seed=one.seed if seed is None else seed,
        )
        for one in PARTS
    ]
    about: dict[str, object] = {"part_of": part_of, "recipe": [asdict(one) for one in parts]}
    final, before = own / f"{NAME}.pt", weights
    with recorded(own / f"{NAME}.train.json", command or f"train {NAME}", lambda old: same(old, about)) as record:
        record.states(**about, **machine.described())
        for number, one in enumerate(parts, 1):
            takes(record, one.portions, data, work, own, before)
            shares = [Share(part(learned(p.pictures(data, work)), part_of), p.share) for p in one.portions]
            before = train(before, shares, one, own / f"{NAME}.{number}.pt", log, machine)
        shutil.copyfile(before, final.with_suffix(".part"))
        final.with_suffix(".part").replace(final)
        record.states(pictures_seen=sum(one.steps * one.batch for one in parts))
    return final
