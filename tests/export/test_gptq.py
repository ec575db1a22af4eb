"""Test that rounding weights to the int8 grid changes the output of a layer little."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from pocketgenre.export.gptq import round_matrix, round_weights


def correlated(rng: np.random.Generator, examples: int, inputs: int) -> np.ndarray:
    """Return examples with correlated neighbours, like the patches of a convolution."""
    mixing = np.tril(rng.normal(size=(inputs, inputs)))
    return (rng.normal(size=(examples, inputs)) @ mixing).astype(np.float32)


def moments(examples: np.ndarray) -> np.ndarray:
    return examples.astype(np.float64).T @ examples / len(examples)


def nearest(weights: np.ndarray) -> np.ndarray:
    steps = np.abs(weights).max(axis=0) / 127
    return np.rint(weights / steps) * steps


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 10_000))
def test_rounded_weights_are_on_the_int8_grid(inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    rounded = round_matrix(weights, moments(correlated(rng, 200, inputs)))
    np.testing.assert_allclose(np.abs(rounded).max(axis=0), np.abs(weights).max(axis=0), rtol=1e-6)
    levels = rounded / (np.abs(weights).max(axis=0) / 127)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)


def test_error_is_less_than_with_nearest_rounding() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        weights = rng.normal(size=(64, 16)).astype(np.float32)
        examples = correlated(rng, 2000, 64)
        test = examples[1000:]
        nearest_error = np.square(test @ (nearest(weights) - weights)).mean()
        rounded = round_matrix(weights, moments(examples[:1000]))
        assert np.square(test @ (rounded - weights)).mean() < 0.5 * nearest_error


def test_column_of_zeros_is_unchanged() -> None:
    rng = np.random.default_rng(3)
    weights = np.zeros((8, 2), np.float32)
    weights[:, 1] = rng.normal(size=8)
    assert not round_matrix(weights, moments(correlated(rng, 100, 8)))[:, 0].any()


def test_layers_with_few_examples_are_unchanged() -> None:
    model = keras.Sequential([keras.Input((20,)), layers.Dense(4), layers.Dense(4)])
    rng = np.random.default_rng(4)
    before = [layer.get_weights()[0] for layer in model.layers]
    few, many = (rng.normal(size=(n, 20)).astype(np.float32) for n in (50, 500))
    assert np.array_equal(round_weights(model, few).layers[0].get_weights()[0], before[0])
    assert not np.array_equal(round_weights(model, many).layers[0].get_weights()[0], before[0])
    after = [layer.get_weights()[0] for layer in model.layers]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_convolutions_of_nested_models_are_rounded() -> None:
    keras.utils.set_random_seed(5)
    inside = keras.Input((40, 6))
    wide = layers.Reshape((40, 6, 1))(inside)
    wide = layers.Conv2D(3, (3, 2), dilation_rate=(1, 2), activation="relu")(wide)
    tower = keras.Model(inside, layers.Conv1D(4, 5)(layers.Reshape((38, 12))(wide)), name="tower")
    inputs = keras.Input((40, 6))
    frames = tower(layers.ReLU()(inputs))
    encoder = keras.Model(inputs, layers.GlobalMaxPooling1D()(frames), name="encoder")
    model = keras.Sequential([keras.Input((40, 6)), encoder, layers.Dense(2)])
    rng = np.random.default_rng(5)
    representative, test = (rng.normal(size=(n, 40, 6)).astype(np.float32) for n in (100, 50))
    rounded = round_weights(model, representative)
    nested = rounded.layers[0].get_layer("tower")
    kernels = [layer.get_weights()[0] for layer in nested.layers if layer.get_weights()]
    assert [kernel.shape for kernel in kernels] == [(3, 2, 1, 3), (5, 12, 4)]
    for kernel in kernels:
        matrix = kernel.reshape(-1, kernel.shape[-1])
        levels = matrix / (np.abs(matrix).max(axis=0) / 127)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    expected = model(test)
    assert 0 < np.abs(rounded(test) - expected).max() < 0.05 * np.abs(expected).max()
