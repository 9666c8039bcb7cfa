"""What the tests of the fleet share."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs to outlive the machine; what a cut of its power does is tried with ``tests.cutting``."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
