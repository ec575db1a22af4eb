"""Probabilities that mean what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from pocketgenre.training.evaluation.calibration import (
    at_temperature,
    cross_fitted,
    fit_temperature,
)


def said(temperature: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities too sure by a known temperature, and what came true."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, 5))
    true = softmax(logits, axis=1)
    targets = (rng.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(max=4)
    return softmax(logits * temperature, axis=1), targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoiled_the_probabilities_is_found(temperature: float) -> None:
    assert fit_temperature(*said(temperature, 20_000, 1)) == pytest.approx(temperature, rel=0.05)


@given(st.floats(0.05, 20.0), st.integers(0, 2**32 - 1))
def test_no_temperature_changes_a_label(temperature: float, seed: int) -> None:
    probabilities, _ = said(1.0, 20, seed)
    tempered = at_temperature(probabilities, temperature)
    np.testing.assert_array_equal(tempered.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(tempered.sum(axis=1), 1)


def test_a_probability_rounded_to_zero_does_no_harm() -> None:
    tempered = at_temperature(np.array([[1.0, 0.0]]), 2.0)
    assert np.isfinite(tempered).all()
    assert 0 < tempered[0, 1] < 1e-4


def test_a_fold_has_no_say_in_its_own_temperature() -> None:
    honest, boastful = said(1.0, 5_000, 1), said(4.0, 5_000, 2)
    probabilities, targets = zip(honest, boastful, strict=True)
    fitted = cross_fitted(probabilities, targets)
    expected = at_temperature(honest[0], fit_temperature(*boastful))
    np.testing.assert_allclose(fitted[:5_000], expected)
