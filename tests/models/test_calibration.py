"""Scores against what they promise, on detectors whose honesty is known."""

import numpy as np
import pytest

from models.workshop.evaluation.calibration import (
    by_steps,
    cool,
    expected_error,
    fit_isotonic,
    fit_temperature,
    reliability,
)


def world(count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Detections whose scores are their chances of being right."""
    rng = np.random.default_rng(5)
    chances = rng.uniform(0.05, 0.99, count)
    return chances, rng.random(count) < chances


def test_a_table_by_hand() -> None:
    table = reliability(np.array([0.15, 0.15, 0.95, 0.85, 1.0]), np.array([True, False, True, False, True]))
    assert [(b.low, b.count, b.precision) for b in table] == [(0.1, 2, 0.5), (0.8, 1, 0.0), (0.9, 2, 1.0)]
    # (2 * |0.15 - 0.5| + 1 * |0.85 - 0| + 2 * |0.975 - 1|) / 5
    assert expected_error(table) == pytest.approx((0.7 + 0.85 + 0.05) / 5)


def test_honest_scores_have_no_error_and_need_no_cooling() -> None:
    scores, right = world()
    assert expected_error(reliability(scores, right)) < 0.02
    assert fit_temperature(scores, right) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("heat", [0.4, 2.5])
def test_a_temperature_is_found_again(heat: float) -> None:
    chances, right = world()
    shown = cool(chances, 1 / heat)
    assert expected_error(reliability(shown, right)) > 0.05
    assert fit_temperature(shown, right) == pytest.approx(heat, rel=0.05)
    assert expected_error(reliability(cool(shown, fit_temperature(shown, right)), right)) < 0.02


def test_isotonic_steps_rise_and_mend_what_no_temperature_can() -> None:
    chances, right = world()
    shown = chances**3 / 2
    steps = fit_isotonic(shown, right)
    assert (np.diff(steps[0]) > 0).all()
    assert (np.diff(steps[1]) > 0).all()
    assert expected_error(reliability(by_steps(shown, steps), right)) < 0.01
    assert expected_error(reliability(cool(shown, fit_temperature(shown, right)), right)) > 0.02


def test_isotonic_by_hand_pools_what_falls() -> None:
    scores, right = np.array([0.1, 0.2, 0.3, 0.3, 0.9]), np.array([False, True, False, False, True])
    starts, values = fit_isotonic(scores, right)
    assert starts.tolist() == [0.1, 0.2, 0.9]
    assert values.tolist() == pytest.approx([0.0, 1 / 3, 1.0])
    assert by_steps(np.array([0.05, 0.25, 0.95]), (starts, values)).tolist() == pytest.approx([0.0, 1 / 3, 1.0])


def test_nothing_wrong_or_nothing_right_fits_no_map() -> None:
    with pytest.raises(ValueError, match="2 detections, 2 right"):
        fit_temperature(np.array([0.5, 0.6]), np.array([True, True]))
    with pytest.raises(ValueError, match="0 detections"):
        fit_isotonic(np.zeros(0), np.zeros(0, bool))
