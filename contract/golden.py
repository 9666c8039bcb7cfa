"""When a golden sample's result is right: one rule for the workshop that makes a release and the box that tries it."""

from collections.abc import Mapping, Sequence

from contract.detections import Detection, iou
from contract.manifest import Tolerance


def difference(
    expected: Sequence[Detection], found: Sequence[Detection], thresholds: Mapping[str, float], tolerance: Tolerance
) -> str:
    """What is wrong with ``found``, in words; empty where nothing is.

    Every expected detection needs one of its own with the same label, overlapping by ``tolerance.iou`` and scored
    within ``tolerance.score``. What is expected lies at least ``tolerance.score`` above its threshold, so that another
    machine's rounding cannot lose it; what was found beyond it lies no more than twice that above.
    """
    taken = _match(expected, found, tolerance)
    for index, detection in enumerate(expected):
        if index not in taken:
            return f"expected {_describe(detection)}; found {', '.join(map(_describe, found)) or 'nothing'}"
    for index, detection in enumerate(found):
        if index not in taken.values() and detection.score > thresholds[detection.label] + 2 * tolerance.score:
            return f"found {_describe(detection)}, which is not expected"
    return ""


def miscounted(expected: float, found: float, tolerance: Tolerance) -> str:
    """What is wrong with a count, in words; empty where nothing is."""
    if abs(found - expected) <= tolerance.heads + tolerance.count * expected:
        return ""
    return f"counted {found:.1f} heads where {expected:.1f} are expected"


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
