"""What the vision process says of itself, for the node's health."""

from collections.abc import Iterable
from typing import Any

import msgspec

from edge.updates.switch import ReleaseSwitch
from edge.vision.detectors import Detectors
from edge.vision.scheduler import Scheduler
from edge.vision.watch import CameraWatch


def describe(
    switch: ReleaseSwitch, detectors: Detectors, watches: Iterable[CameraWatch], scheduler: Scheduler
) -> dict[str, Any]:
    """As JSON: ``models`` (each a ``ModelHealth``) and ``cameras`` (by name, the ``Counts`` with ``state`` and
    ``skipped``, the frames that never had a turn)."""
    names = dict.fromkeys((*detectors.engines.names(), *detectors.missing))
    return {
        "models": [_model(name, switch, detectors) for name in names],
        "cameras": {watch.name: _camera(watch, scheduler) for watch in watches},
    }


def _model(name: str, switch: ReleaseSwitch, detectors: Detectors) -> dict[str, Any]:
    health = switch.health(name)
    tally = detectors.tallies.get(name)
    reason = health.reason or detectors.missing.get(name, "") or (tally.reason if tally is not None else "")
    described: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(health, reason=reason))
    return described


def _camera(watch: CameraWatch, scheduler: Scheduler) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.to_builtins(watch.counts)
    return described | {
        "latency_ms": round(watch.counts.latency_ms, 2),
        "skipped": scheduler.skipped(watch.name),
        "state": "degraded" if watch.counts.reason else "ok",
    }
