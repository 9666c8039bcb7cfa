"""Which nodes are enrolled, and in which partition."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import psycopg

SILENT_AFTER_S: Final = 3600.0
"""A node that has not been heard of for so long, be it since it was enrolled, is brought to the rules' notice: of one
that falls silent they tell by themselves, but not of one that they never heard. So long an installer has to get from
the enrolment to the site."""
_TRUSTED_S: Final = 30.0
_ASKED_AGAIN_S: Final = 1.0


class Nodes:
    """The enrolled nodes, read anew now and then; one that is unknown is asked for at most once a second."""

    def __init__(self, connection: psycopg.Connection[Any], monotonic: Callable[[], float]) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._partitions: dict[tuple[str, str], int] = {}
        self._in: Counter[int] = Counter()
        self._silent: dict[int, set[tuple[str, str]]] = {}
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

    def silent(self, partition: int) -> set[tuple[str, str]]:
        """Nodes of a partition that have not been heard of for ``SILENT_AFTER_S``."""
        return self._silent.get(partition, set())

    def count(self, partitions: Iterable[int]) -> int:
        """How many are enrolled in some partitions."""
        return sum(self._in[partition] for partition in partitions)

    def _read(self, now: float) -> None:
        rows = self._connection.execute(_NODES, [SILENT_AFTER_S]).fetchall()
        self._partitions = {(site, node): partition for site, node, partition, _ in rows}
        self._in = Counter(self._partitions.values())
        self._silent = {}
        for site, node, partition, silent in rows:
            if silent:
                self._silent.setdefault(partition, set()).add((site, node))
        self._read_at = now
        self._missed = {name: at for name, at in self._missed.items() if now - at <= _ASKED_AGAIN_S}


_NODES: Final = """
SELECT site, node, partition, coalesce(health_time, enrolled) < now() - make_interval(secs => %s) FROM node"""
