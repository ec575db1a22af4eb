"""Weights are rounded to the int8 grid so that the layer's output changes little."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from export.rounding import round_matrix, round_weights


def correlated(rng: np.random.Generator, examples: int, inputs: int) -> np.ndarray:
    """Examples as a convolution's patches are: neighbours alike."""
    mixing = np.tril(rng.normal(size=(inputs, inputs)))
    return (rng.normal(size=(examples, inputs)) @ mixing).astype(np.float32)


def nearest(weights: np.ndarray) -> np.ndarray:
    steps = np.abs(weights).max(axis=0) / 127
    return np.rint(weights / steps) * steps


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 10_000))
def test_the_result_stands_on_the_grid_that_the_converter_will_lay(
    inputs: int, outputs: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    rounded = round_matrix(weights, correlated(rng, 200, inputs))
    np.testing.assert_allclose(np.abs(rounded).max(axis=0), np.abs(weights).max(axis=0), rtol=1e-6)
    levels = rounded / (np.abs(weights).max(axis=0) / 127)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)


def test_the_output_changes_less_than_by_rounding_to_the_nearest() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        weights = rng.normal(size=(64, 16)).astype(np.float32)
        examples = correlated(rng, 2000, 64)
        unseen = examples[1000:]
        by_nearest = np.square(unseen @ (nearest(weights) - weights)).mean()
        rounded = round_matrix(weights, examples[:1000])
        assert np.square(unseen @ (rounded - weights)).mean() < 0.5 * by_nearest


def test_a_column_of_zeros_stays() -> None:
    rng = np.random.default_rng(3)
    weights = np.zeros((8, 2), np.float32)
    weights[:, 1] = rng.normal(size=8)
    assert not round_matrix(weights, correlated(rng, 100, 8))[:, 0].any()


def test_layers_with_too_few_examples_are_left_to_the_converter() -> None:
    model = keras.Sequential([keras.Input((20,)), layers.Dense(4), layers.Dense(4)])
    rng = np.random.default_rng(4)
    before = [layer.get_weights()[0] for layer in model.layers]
    few, many = (rng.normal(size=(n, 20)).astype(np.float32) for n in (50, 500))
    assert np.array_equal(round_weights(model, few).layers[0].get_weights()[0], before[0])
    assert not np.array_equal(round_weights(model, many).layers[0].get_weights()[0], before[0])
    after = [layer.get_weights()[0] for layer in model.layers]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
