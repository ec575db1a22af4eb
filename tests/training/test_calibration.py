"""Scale probabilities by a temperature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from pocketgenre.training.evaluation.calibration import (
    cross_calibrate,
    fit_temperature,
    scale_probabilities,
)


def draw_predictions(temperature: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities that are overconfident by a known temperature, and their targets."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, 5))
    true = softmax(logits, axis=1)
    targets = (rng.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(max=4)
    return softmax(logits * temperature, axis=1), targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_fit_recovers_a_known_temperature(temperature: float) -> None:
    assert fit_temperature(*draw_predictions(temperature, 20_000, 1)) == pytest.approx(
        temperature, rel=0.05
    )


@given(st.floats(0.05, 20.0), st.integers(0, 2**32 - 1))
def test_scaling_never_changes_a_label(temperature: float, seed: int) -> None:
    probabilities, _ = draw_predictions(1.0, 20, seed)
    scaled = scale_probabilities(probabilities, temperature)
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


def test_zero_probability_stays_finite() -> None:
    scaled = scale_probabilities(np.array([[1.0, 0.0]]), 2.0)
    assert np.isfinite(scaled).all()
    assert 0 < scaled[0, 1] < 1e-4


def test_fold_is_scaled_by_other_folds_only() -> None:
    calibrated, overconfident = draw_predictions(1.0, 5_000, 1), draw_predictions(4.0, 5_000, 2)
    probabilities, targets = zip(calibrated, overconfident, strict=True)
    scaled = cross_calibrate(probabilities, targets)
    expected = scale_probabilities(calibrated[0], fit_temperature(*overconfident))
    np.testing.assert_allclose(scaled[:5_000], expected)
