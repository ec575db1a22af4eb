"""Test the selection of representative segments."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from pocketgenre.export.representative_data import draw_segments, least_extreme_half
from pocketgenre.training.errors import DataError
from tests.training.fabricated import fabricate_dataset


def test_segments_are_drawn_evenly_by_genre(tmp_path: Path) -> None:
    dataset = fabricate_dataset(tmp_path / "data", {"bass": [6, 6], "flute": [12], "noise": [7, 5]})
    candidates = np.arange(len(dataset.segment_songs))
    drawn = draw_segments(dataset, candidates, 15, seed=1)
    assert np.bincount(dataset.segment_targets[drawn]).tolist() == [5, 5, 5]
    assert np.array_equal(drawn, draw_segments(dataset, candidates, 15, seed=1))
    assert not np.array_equal(drawn, draw_segments(dataset, candidates, 15, seed=2))
    with pytest.raises(DataError, match="no segments to calibrate"):
        draw_segments(dataset, candidates[:0], 15, seed=1)


def nested_network() -> keras.Model:
    inner = keras.Sequential([keras.Input((6, 2)), layers.Conv1D(3, 3, activation="relu")])
    return keras.Sequential([keras.Input((6, 2)), inner, layers.Flatten(), layers.Dense(2)])


def test_least_extreme_half_of_each_genre_is_kept() -> None:
    rng = np.random.default_rng(1)
    segments = rng.normal(size=(21, 6, 2)).astype(np.float32)
    genres = np.arange(21) % 2
    segments[[3, 8]] *= 20
    kept = least_extreme_half(nested_network(), segments, genres)
    assert np.bincount(genres[kept]).tolist() == [6, 5]
    assert not {3, 8} & set(kept.tolist())
    assert np.array_equal(kept, np.sort(kept))


def test_extremes_inside_nested_networks_count() -> None:
    network = nested_network()
    convolution = network.layers[0].layers[0]
    difference = np.zeros((3, 2, 3), np.float32)
    difference[0, 0], difference[2, 0] = 1, -1  # responds to changes at any level
    convolution.set_weights([difference, np.zeros(3, np.float32)])
    rng = np.random.default_rng(2)
    segments = rng.uniform(-0.1, 0.1, (10, 6, 2)).astype(np.float32)
    segments[:, 0, 1], segments[:, 1, 1] = 9, -9  # all inputs have the same extremes
    segments[4, ::2, 0], segments[4, 1::2, 0] = 8, -8
    segments[4, 3:, 0] = -8
    assert 4 not in least_extreme_half(network, segments, np.zeros(10, np.int64))
