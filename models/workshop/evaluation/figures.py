"""What is reported of a detector: figures, each with its slice and with the conditions under which it was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.workshop.evaluation.calibration import cool, expected_error, fit_temperature, reliability
from models.workshop.evaluation.matching import Tally, f1


@dataclass(frozen=True)
class Figure:
    """A measured number. `conditions` says on what data, and how, it was measured.

    `slice` names the part of the data, such as `light=night`; empty for the whole. `table` holds the rows behind the
    number, where there are any.
    """

    name: str
    value: float
    unit: str
    conditions: str
    slice: str = ""
    table: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; `table` only where there is one."""
        flat = {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "slice": self.slice,
            "conditions": self.conditions,
        }
        return flat | ({"table": list(self.table)} if self.table else {})


def stem(name: str, label: str, labels: Sequence[str]) -> str:
    """What a label's figures begin with: `fire.smoke`, but `person` alone where a detector has one label, its name."""
    return f"{name}.{label}" if label != name or len(labels) > 1 else name


def figures(
    name: str,
    tallies: Mapping[str, Tally],
    thresholds: Mapping[str, float],
    conditions: str,
    slice: str = "",  # noqa: A002 - the word of the figures
) -> list[Figure]:
    """Average precision and, at the thresholds, precision, recall and F1; labels without truths are left out."""
    known = {label: one for label, one in tallies.items() if one.truths}
    result = []
    if known:
        mean50 = float(np.mean([one.average_precision() for one in known.values()]))
        mean = float(np.mean([one.mean_average_precision() for one in known.values()]))
        of = "" if len(tallies) == 1 else f", mean of {', '.join(known)}"
        for ending, value in (("map50", mean50), ("map50_95", mean)):
            result.append(Figure(f"{name}.{ending}", value, "", conditions + of, slice))
    for label, one in known.items():
        begin = stem(name, label, list(tallies))
        about = f"{conditions}, {one.pictures} pictures, {one.truths} boxes"
        result.append(Figure(f"{begin}.ap50", one.average_precision(), "", about, slice))
        if label in thresholds:
            precision, recall = one.at(thresholds[label])
            at = f"{about}, IoU 0.5, score >= {thresholds[label]:g}"
            for ending, value in (("precision", precision), ("recall", recall), ("f1", f1(precision, recall))):
                result.append(Figure(f"{begin}.{ending}", value, "", at, slice))
    return result


def of_size(
    name: str, tallies: Mapping[str, Tally], thresholds: Mapping[str, float], conditions: str, part: str
) -> list[Figure]:
    """Figures of a slice of boxes, where other boxes are ignored: AP, and recall at the threshold."""
    wanted = ("ap50", "map50", "recall")
    found = figures(name, tallies, thresholds, conditions, part)
    return [figure for figure in found if figure.name.rpartition(".")[2] in wanted]


def trust(name: str, tallies: Mapping[str, Tally], conditions: str, fit: bool) -> list[Figure]:
    """Calibration, label by label: the expected error with its reliability table and, where `fit`, the temperature
    that would fit the scores best, and the error that would be left."""
    result = []
    for label, one in tallies.items():
        scores, right = one.curve(0)
        if not one.truths or not len(scores):
            continue
        begin = stem(name, label, list(tallies))
        table = reliability(scores, right)
        about = f"{conditions}, {len(scores)} detections from score {scores.min():.2f} on, IoU 0.5, {len(table)} bins"
        rows = tuple(row.as_dict() for row in table)
        result.append(Figure(f"{begin}.ece", expected_error(table), "", about, "", rows))
        if fit and right.any() and not right.all():
            heat = fit_temperature(scores, right)
            left = expected_error(reliability(cool(scores, heat), right))
            fitted = f"{about}; fitted and measured on the same pictures, no score was changed"
            result.append(Figure(f"{begin}.temperature", heat, "", fitted))
            result.append(Figure(f"{begin}.ece_cooled", left, "", fitted))
    return [figure for figure in result if math.isfinite(figure.value)]
