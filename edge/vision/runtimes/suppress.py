"""The suppression of doubles, for hardware whose compiler cannot hold it in the graph.

An ONNX artefact gives ``[N, 6]``, doubles suppressed. The compilers for Rockchip's and Hailo's processors want outputs
of one size (RKNN-Toolkit2's list of operators has neither NonMaxSuppression nor GatherND), so their artefacts end where
that begins: ``scores`` ``[1, C, A]``, 0 to 1, and ``boxes`` ``[1, A, 4]``, x1, y1, x2, y2 in input pixels, for C labels
and A cells. What follows here does the same as the graph's end, with the same numbers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.manifest import Suppression
from edge.vision.engine import EngineError


def read_heads(path: Path, outputs: Sequence[NDArray[Any]], labels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """``scores`` ``[C, A]`` and ``boxes`` ``[A, 4]`` out of what the hardware gave, float32.

    Sides of one may be missing or too many, and the two may come in either order: they are told apart by their shape.

    Raises:
        EngineError: there are not two, or their shapes do not belong together.
    """
    arrays = [np.asarray(output, np.float32) for output in outputs]
    found = " and ".join(str(list(array.shape)) for array in arrays) or "nothing"
    if len(arrays) == 2:
        for scores, boxes in (arrays, arrays[::-1]):
            cells = boxes.size // 4
            if cells and _bare(boxes) == _bare_sides(cells, 4) and _bare(scores) == _bare_sides(labels, cells):
                return scores.reshape(labels, cells), boxes.reshape(cells, 4)
    raise EngineError(f"{path} gives {found}; needed are scores [1, {labels}, A] and boxes [1, A, 4]")


def suppress(scores: NDArray[Any], boxes: NDArray[Any], rule: Suppression) -> NDArray[np.float32]:
    """The boxes that remain, label by label, as rows ``[N, 6]`` of x1, y1, x2, y2, score, index of the label.

    Args:
        scores: ``[C, A]``, 0 to 1.
        boxes: ``[A, 4]``, x1, y1, x2, y2 in any unit.
        rule: what remains, from the release's manifest.
    """
    rows = [np.zeros((0, 6), np.float32)]
    for label, row in enumerate(scores):
        (sure,) = np.nonzero(row > rule.score)
        order = sure[np.argsort(-row[sure], kind="stable")]
        kept: list[int] = []
        while order.size and len(kept) < rule.most:
            best, order = int(order[0]), order[1:]
            kept.append(best)
            order = order[_overlap(boxes[best], boxes[order]) <= rule.iou]
        labels = np.full((len(kept), 1), label, np.float32)
        rows.append(np.concatenate([boxes[kept], row[kept, None], labels], axis=1).astype(np.float32))
    return np.concatenate(rows)


def _overlap(one: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Intersection over union of a box ``[4]`` with each of ``[n, 4]``; 0 where neither has an area."""
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0.0), axis=1)
    area = np.prod(np.maximum(one[2:] - one[:2], 0.0))
    union = np.prod(np.maximum(others[:, 2:] - others[:, :2], 0.0), axis=1) + area - shared
    overlap: NDArray[Any] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def _bare(array: NDArray[Any]) -> tuple[int, ...]:
    return _bare_sides(*array.shape)


def _bare_sides(*sides: int) -> tuple[int, ...]:
    return tuple(side for side in sides if side != 1)
