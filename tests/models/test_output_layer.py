"""Read, replace and apply the last layer of a TFLite file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.classifier import GenreClassifier
from pocketgenre.errors import ModelError
from pocketgenre.models.flatbuffer import (
    read_output_layer,
    replace_output_layer,
    with_feature_output,
)
from pocketgenre.models.model_card import model_hash, read_model
from pocketgenre.models.output_layer import find_output_layer
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.models.tflite_model import TFLiteModel
from tests.conftest import tone
from tests.teachable_model import LABELS, write_teachable_model

RNG = np.random.default_rng(0)
SEGMENT = RNG.normal(scale=0.1, size=48_000).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_teachable_model(tmp_path)


def test_features_do_not_change_the_prediction(model: Path) -> None:
    content, card = read_model(model)
    probabilities, features = TFLiteModel(content, card, with_features=True).predict_with_features(
        SEGMENT
    )
    np.testing.assert_array_equal(
        probabilities, TFLiteModel(content, card).predict_segment(SEGMENT)
    )
    assert features.dtype == np.int8
    assert len(np.unique(features)) > 5


def test_layer_predicts_as_the_network(model: Path) -> None:
    content, card = read_model(model)
    probabilities, features = TFLiteModel(content, card, with_features=True).predict_with_features(
        SEGMENT
    )
    predicted = read_output_layer(content).predict(features[np.newaxis])[0]
    np.testing.assert_allclose(predicted, probabilities, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 100])
def test_replaced_layer_is_the_networks(model: Path, count: int) -> None:
    content, card = read_model(model)
    old = read_output_layer(content)
    kernel = RNG.normal(size=(len(old.kernel), count)).astype(np.float32)
    bias = RNG.normal(size=count).astype(np.float32)
    labels = tuple(f"genre {n}" for n in range(count))
    learned = replace_output_layer(content, kernel, bias, labels)
    layer = read_output_layer(learned)
    np.testing.assert_array_equal(layer.kernel, kernel)
    np.testing.assert_array_equal(layer.bias, bias)
    assert layer.base == old.base
    new_card = replace(card, labels=labels, sha256=model_hash(learned))
    probabilities, features = TFLiteModel(
        learned, new_card, with_features=True
    ).predict_with_features(SEGMENT)
    np.testing.assert_allclose(layer.predict(features[np.newaxis])[0], probabilities, atol=1e-5)


def test_replacing_twice_keeps_the_size(model: Path) -> None:
    content, _ = read_model(model)
    layer = read_output_layer(content)
    once = replace_output_layer(content, layer.kernel, layer.bias, LABELS)
    assert replace_output_layer(once, layer.kernel, layer.bias, LABELS) == once


def test_other_network_has_another_base(tmp_path: Path) -> None:
    """Two networks that differ in a scale, and not in their last layer."""
    content, _ = read_model(write_teachable_model(tmp_path, "one"))
    position = content.index(np.float32(0.03).tobytes())
    other = content[:position] + np.float32(0.04).tobytes() + content[position + 4 :]
    assert read_output_layer(other).base != read_output_layer(content).base
    same, _ = read_model(write_teachable_model(tmp_path, "two", seed=1))
    assert read_output_layer(same).base == read_output_layer(content).base


def test_int8_last_layer_is_refused() -> None:
    content = PRETRAINED["standard"].read_bytes()
    assert find_output_layer(content) is None
    with pytest.raises(ModelError, match="no last layer that can be replaced"):
        with_feature_output(content)


def test_damaged_models_are_refused(model: Path) -> None:
    content = model.read_bytes()
    for length in range(8, len(content), len(content) // 50):
        damaged = content[:length] + bytes(len(content) - length)
        assert find_output_layer(damaged) is None
    for position in range(8, len(content), 37):
        flipped = bytearray(content)
        flipped[position] ^= 0xFF
        find_output_layer(bytes(flipped))  # a layer or None, never another error


def test_silent_segments_have_no_features(model: Path) -> None:
    content, card = read_model(model)
    base = read_output_layer(content).base
    classifier = GenreClassifier.from_bytes(content, card, features_base=base)
    samples = np.concatenate([tone(440.0, 3.0), np.zeros((66_150, 1), np.float32)])
    features = classifier.analyze((samples, 22_050)).features
    assert features.base == base
    assert features.values.any(axis=1).tolist() == [True, False]
    assert GenreClassifier(model).analyze((samples, 22_050)).features is None
