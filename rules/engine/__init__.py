"""Runs rules over journal entries: a pure function of state and entries."""

from rules.engine.engine import Engine, SnapshotError

__all__ = ["Engine", "SnapshotError"]
