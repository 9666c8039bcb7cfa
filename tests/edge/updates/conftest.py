"""A cloud and a node for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.updates.world import Web, World, running_world


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs to outlive the machine; what a cut of its power does is tried with ``tests.cutting``."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[World, Web]]:
    """An installation and its web server."""
    with running_world(tmp_path) as found:
        yield found


@pytest.fixture
def world(both: tuple[World, Web]) -> World:
    """The installation."""
    return both[0]


@pytest.fixture
def web(both: tuple[World, Web]) -> Web:
    """The installation's web server."""
    return both[1]
