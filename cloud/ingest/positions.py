"""How far each lane of each outbox has come, and what that says of a batch. Pure."""

from enum import Enum, auto
from typing import NamedTuple

from contract.records import Lane


class Place(NamedTuple):
    """One lane in one life of one node's outbox."""

    site: str
    node: str
    epoch: int
    lane: Lane


class Verdict(Enum):
    """What becomes of a batch."""

    ACCEPTED = auto()
    REPEATED = auto()
    """The database has it; it is acknowledged again and changes nothing."""
    MISPLACED = auto()
    """It starts elsewhere; the answer names where to go on."""


class Positions:
    """What is committed, and on top of it what the transaction being gathered would add."""

    def __init__(self) -> None:
        self._held: dict[Place, int] = {}
        self.added: dict[Place, int] = {}

    def knows(self, place: Place) -> bool:
        """Whether the database has been asked about it."""
        return place in self._held

    def learn(self, place: Place, position: int) -> None:
        """What the database said."""
        self._held[place] = position

    def forget(self) -> None:
        """Know nothing any more; between two transactions."""
        self._held = {}

    def held(self, place: Place) -> int:
        """What is committed."""
        return self._held[place]

    def judge(self, place: Place, first: int, last: int) -> Verdict:
        """Judge a batch, and count it in where it is accepted."""
        position = self.added.get(place, self._held[place])
        if last <= position:
            return Verdict.REPEATED
        if first != position + 1:
            return Verdict.MISPLACED
        self.added[place] = last
        return Verdict.ACCEPTED

    def settle(self) -> None:
        """The transaction is committed."""
        self._held.update(self.added)
        self.added = {}

    def undo(self) -> None:
        """The transaction is not committed."""
        self.added = {}
