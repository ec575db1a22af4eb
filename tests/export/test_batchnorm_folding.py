"""Test that folding batch normalisation preserves the function of a network."""

import keras
import numpy as np
import pytest
from keras import layers

from pocketgenre.export.batchnorm_folding import fold_batch_norms
from pocketgenre.training.models.networks import NETWORKS, build_network


def randomize_norms(model: keras.Model) -> keras.Model:
    """Give every normalisation random statistics, with negative scales among them."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = len(layer.get_weights()[0])
            layer.set_weights(
                [rng.normal(size=n), rng.normal(size=n), rng.normal(size=n), rng.uniform(0.1, 3, n)]
            )
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_folded_network_computes_the_same(name: str) -> None:
    ones = np.ones(13, np.float32)
    model = randomize_norms(build_network(name, (130, 13), 10, 0 * ones, ones))
    folded = fold_batch_norms(model)
    x = np.random.default_rng(1).normal(size=(20, 130, 13)).astype(np.float32)
    np.testing.assert_allclose(folded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-4)


def test_published_cnn_is_folded_completely() -> None:
    ones = np.ones(13, np.float32)
    folded = fold_batch_norms(build_network("cnn", (130, 13), 10, 0 * ones, ones))
    assert not [x for x in folded.layers if isinstance(x, layers.BatchNormalization)]


def test_normalisation_before_padding_is_kept() -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(3, 3, padding="same"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model = randomize_norms(model)
    folded = fold_batch_norms(model)
    assert len(folded.layers) == len(model.layers)
    x = np.random.default_rng(1).normal(size=(4, 8, 8, 2)).astype(np.float32)
    np.testing.assert_allclose(folded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
