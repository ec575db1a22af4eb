"""Segments that are extreme somewhere in the network don't calibrate it."""

import keras
import numpy as np
from keras import layers

from pocketgenre.export.representative_data import typical


def nested_network() -> keras.Model:
    inner = keras.Sequential([keras.Input((6, 2)), layers.Conv1D(3, 3, activation="relu")])
    return keras.Sequential([keras.Input((6, 2)), inner, layers.Flatten(), layers.Dense(2)])


def test_of_each_genre_the_half_that_is_extreme_nowhere_is_kept() -> None:
    rng = np.random.default_rng(1)
    segments = rng.normal(size=(21, 6, 2)).astype(np.float32)
    genres = np.arange(21) % 2
    segments[[3, 8]] *= 20
    kept = typical(nested_network(), segments, genres)
    assert np.bincount(genres[kept]).tolist() == [6, 5]
    assert not {3, 8} & set(kept.tolist())
    assert np.array_equal(kept, np.sort(kept))


def test_what_is_extreme_inside_a_nested_network_alone_counts() -> None:
    network = nested_network()
    convolution = network.layers[0].layers[0]
    difference = np.zeros((3, 2, 3), np.float32)
    difference[0, 0], difference[2, 0] = 1, -1  # hears what changes, however loud
    convolution.set_weights([difference, np.zeros(3, np.float32)])
    rng = np.random.default_rng(2)
    segments = rng.uniform(-0.1, 0.1, (10, 6, 2)).astype(np.float32)
    segments[:, 0, 1], segments[:, 1, 1] = 9, -9  # all have the same extremes at the input
    segments[4, ::2, 0], segments[4, 1::2, 0] = 8, -8
    segments[4, 3:, 0] = -8
    assert 4 not in typical(network, segments, np.zeros(10, np.int64))
