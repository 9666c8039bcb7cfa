"""What a recipe is: which pictures a network sees, for how long, at which pace, and what it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import DataSet, Input
from models.workshop.release.card import Prose
from models.workshop.release.release import Origin
from models.workshop.sets.data import Picture, read_set
from models.workshop.sets.licences import licence_of
from models.workshop.sets.merge import training
from models.workshop.training.plan import Plan


@dataclass(frozen=True)
class Portion:
    """A set (a folder of the data folder, or of the work folder where `made`), of it the sources whose names begin with
    `source`, without the pictures that show a label of `free_of`; and the share of the training that they get."""

    folder: str
    source: str
    share: float
    made: bool = False
    free_of: tuple[str, ...] = ()

    def pictures(self, data: Path, work: Path) -> tuple[Picture, ...]:
        """The training pictures that `work/data.json` keeps; of a set made here all of them.

        Raises `FileNotFoundError` without the set, `DataError` without its `data.json`, `ValueError` when it is empty.
        """
        folder = (work if self.made else data) / self.folder
        found = tuple(
            p
            for p in (read_set(folder, "train") if self.made else training(folder, work))
            if p.source.startswith(self.source) and not any(t.label in self.free_of for t in p.truths)
        )
        if not found:
            raise ValueError(f"{folder}: no training picture of source '{self.source}'")
        return found


@dataclass(frozen=True, kw_only=True)
class Part(Plan):
    """One part of a training: its plan, and what it sees."""

    portions: tuple[Portion, ...]
    fewest: int = 100
    """Steps at least, however small the part of the data is that is trained on."""

    @property
    def mines(self) -> bool:
        """Whether it needs the hard negatives of the part before."""
        return any(portion.folder.startswith("mined") for portion in self.portions)


@dataclass(frozen=True)
class Network:
    """What decides a network: `start` names the one that it starts from, empty for the published weights; its parts
    follow each other. Without labels it has all of COCO's classes."""

    name: str
    start: str
    labels: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Recipe(Network):
    """A network that is released; `size` is the width and height of its input in pixels."""

    size: tuple[int, int]
    thresholds: tuple[tuple[str, float], ...]
    prose: Prose
    licence: str = "Apache-2.0"
    notice: str = ""

    @property
    def input(self) -> Input:
        """The input of the release, as its manifest states it."""
        return Input(width=self.size[0], height=self.size[1], shape="fit")

    def origin(self, data: Path, work: Path, before: Sequence[Network] = ()) -> Origin:
        """Data sets with their licences and the number of pictures used, and the notice.

        `before` are the networks that it starts from: what they saw is in its weights too.
        """
        counted: dict[str, int] = {}
        parts = [part for network in (*before, self) for part in network.parts]
        used = {p for part in parts for portion in part.portions for p in portion.pictures(data, work)}
        for picture in {p.path.resolve(): p for p in used}.values():
            counted[picture.source] = counted.get(picture.source, 0) + 1
        sets = tuple(
            DataSet(name=source, licence=licence_of(source), images=counted[source]) for source in sorted(counted)
        )
        return Origin(sets, self.licence, self.notice)
