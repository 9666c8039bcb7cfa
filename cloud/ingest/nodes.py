"""Which nodes are enrolled, and in which partition."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import psycopg

_TRUSTED_S: Final = 30.0
_ASKED_AGAIN_S: Final = 1.0


class Nodes:
    """The enrolled nodes, read anew now and then; one that is unknown is asked for at most once a second."""

    def __init__(self, connection: psycopg.Connection[Any], monotonic: Callable[[], float]) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._partitions: dict[tuple[str, str], int] = {}
        self._in: Counter[int] = Counter()
        self._read_at = float("-inf")
        self._missed: dict[tuple[str, str], float] = {}

    def partition(self, site: str, node: str) -> int | None:
        """The node's partition; None where it is not enrolled."""
        now = self._monotonic()
        if now - self._read_at > _TRUSTED_S:
            self._read(now)
        found = self._partitions.get((site, node))
        if found is None and now - self._missed.get((site, node), float("-inf")) > _ASKED_AGAIN_S:
            self._read(now)
            found = self._partitions.get((site, node))
            if found is None:
                self._missed[site, node] = now
        return found

    def partitions(self) -> set[int]:
        """Partitions that have a node."""
        if self._monotonic() - self._read_at > _TRUSTED_S:
            self._read(self._monotonic())
        return set(self._partitions.values())

    def count(self, partitions: Iterable[int]) -> int:
        """How many are enrolled in some partitions."""
        return sum(self._in[partition] for partition in partitions)

    def _read(self, now: float) -> None:
        rows = self._connection.execute("SELECT site, node, partition FROM node")
        self._partitions = {(site, node): partition for site, node, partition in rows}
        self._in = Counter(self._partitions.values())
        self._read_at = now
        self._missed = {name: at for name, at in self._missed.items() if now - at <= _ASKED_AGAIN_S}
