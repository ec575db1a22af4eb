"""The published networks have the published layers."""

import numpy as np
import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.training.models.networks import NETWORKS, STANDARDIZE, build_network
from pocketgenre.training.models.trainers import BUILT_IN

MEAN, VARIANCE = np.zeros(13, np.float32), np.ones(13, np.float32)

# Weights counted by hand from the published table.
PARAMETERS = {
    "ann": (130 * 13 + 1) * 512 + 513 * 256 + 257 * 64 + 65 * 10,
    "ann-regularized": (130 * 13 + 1) * 512 + 513 * 256 + 257 * 64 + 65 * 10,
    "cnn": 10 * 32 + 289 * 32 + 129 * 32 + 3 * 4 * 32 + (15 * 1 * 32 + 1) * 64 + 65 * 10,
    "lstm": 4 * 64 * (13 + 64 + 1) + 4 * 64 * (64 + 64 + 1) + 65 * 64 + 65 * 10,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_has_published_size(name: str) -> None:
    network = build_network(name, (130, 13), 10, MEAN, VARIANCE)
    standardization = 2 * 13 if network.layers[0].count_params() else 0
    assert network.count_params() - standardization == PARAMETERS[name]
    probabilities = network.predict(np.zeros((2, 130, 13), np.float32), verbose=0)
    assert probabilities.shape == (2, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_each_published_trainer_has_a_network() -> None:
    assert [trainer.name for trainer in BUILT_IN if trainer.is_published] == list(NETWORKS)


@pytest.mark.parametrize("shape", [(10, 11), (11, 10)])
def test_cnn_layers_need_eleven_by_eleven(shape: tuple[int, int]) -> None:
    moments = np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)
    with pytest.raises(ValueError, match="negative"):
        build_network("cnn", shape, 10, *moments)


def test_standardization_comes_first() -> None:
    mean = np.arange(13, dtype=np.float32)
    network = build_network("ann", (130, 13), 10, mean, 4 * VARIANCE)
    assert network.layers[0].name == STANDARDIZE
    out = network.layers[0](np.tile(mean + 2, (1, 130, 1)))
    np.testing.assert_allclose(out, 1.0, atol=1e-5)


def test_unknown_network_is_refused_with_choices() -> None:
    with pytest.raises(PocketGenreError, match="ann, ann-regularized, cnn, lstm"):
        build_network("resnet", (130, 13), 10, MEAN, VARIANCE)
