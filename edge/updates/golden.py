"""Golden samples: pictures that travel with a release, and what it must see in them before it may take over."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contract.detections import Detection, iou
from contract.manifest import Manifest, Tolerance
from edge.updates.release import ReleaseError
from edge.vision.engine import Engine, EngineError
from edge.vision.picture import PictureError, read_picture

SLACK: Final = 0.5
"""Looked at below the thresholds too: a score that another machine's rounding pushed under is within tolerance."""


def run_golden(manifest: Manifest, folder: Path, engine: Engine) -> None:
    """Let ``engine`` look at every golden sample of the release.

    Raises:
        ReleaseError: it cannot look, or sees something else; names the picture and the first difference.
    """
    for golden in manifest.golden:
        try:
            found = engine.detect(read_picture(folder / golden.file), slack=SLACK)
        except (EngineError, PictureError) as error:
            raise ReleaseError(f"golden sample {golden.file}: {error}") from error
        fault = difference(golden.expected, found, manifest.thresholds, manifest.golden_tolerance)
        if fault:
            raise ReleaseError(f"golden sample {golden.file}: {fault}")


def difference(
    expected: Sequence[Detection], found: Sequence[Detection], thresholds: dict[str, float], tolerance: Tolerance
) -> str:
    """What is wrong with ``found``, in words; empty where nothing is.

    Every expected detection needs one of its own with the same label, overlapping by ``tolerance.iou`` and scored
    within ``tolerance.score``. What was found beyond that may lie ``tolerance.score`` above its threshold, no more.
    """
    taken = _match(expected, found, tolerance)
    for index, detection in enumerate(expected):
        if index not in taken:
            return f"expected {_describe(detection)}; found {', '.join(map(_describe, found)) or 'nothing'}"
    for index, detection in enumerate(found):
        if index not in taken.values() and detection.score > thresholds[detection.label] + tolerance.score:
            return f"found {_describe(detection)}, which is not expected"
    return ""


def _match(expected: Sequence[Detection], found: Sequence[Detection], tolerance: Tolerance) -> dict[int, int]:
    """Expected -> found, as many as possible (augmenting paths, after Kuhn), whatever the order of either."""
    fits = [[j for j, have in enumerate(found) if _fits(want, have, tolerance)] for want in expected]
    owner: dict[int, int] = {}

    def place(want: int, seen: set[int]) -> bool:
        for have in fits[want]:
            if have not in seen:
                seen.add(have)
                if have not in owner or place(owner[have], seen):
                    owner[have] = want
                    return True
        return False

    for want in range(len(expected)):
        place(want, set())
    return {want: have for have, want in owner.items()}


def _fits(want: Detection, have: Detection, tolerance: Tolerance) -> bool:
    return (
        want.label == have.label
        and abs(want.score - have.score) <= tolerance.score
        and iou(want.box, have.box) >= tolerance.iou
    )


def _describe(detection: Detection) -> str:
    box = ", ".join(f"{side:.2f}" for side in detection.box)
    return f"{detection.label} {detection.score:.2f} at ({box})"
