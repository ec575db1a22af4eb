"""Test that converted networks predict what Keras predicts, with built-in operations only."""

import keras
import numpy as np
import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.export.convert import convert
from pocketgenre.export.feature_graph import FeatureGraph
from pocketgenre.export.flatbuffer import SIGNATURE
from pocketgenre.export.operations import op_names
from pocketgenre.export.variants import Variant, all_variants
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.training.data.librosa_features import librosa_mfcc
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.networks import NETWORKS, build_network

pytestmark = pytest.mark.slow

INT8_BOUND = 0.1
"""Largest difference of a probability; an untrained network predicts between 0.1 and 0.5."""


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Chords with noise, float32 [shape=(20, segment_samples)]."""
    rng = np.random.default_rng(0)
    seconds = np.arange(MFCC_CONFIG.segment_samples) / MFCC_CONFIG.sample_rate
    chords = []
    for _ in range(20):
        tones = [np.sin(2 * np.pi * hz * seconds) for hz in rng.uniform(80, 4000, 4)]
        noise = rng.normal(scale=rng.uniform(0.01, 1), size=len(seconds))
        chords.append(rng.uniform(0.01, 0.2) * (np.sum(tones, axis=0) + noise))
    return np.array(chords, np.float32)


@pytest.fixture(scope="module")
def features(samples: np.ndarray) -> np.ndarray:
    return np.stack([librosa_mfcc(segment) for segment in samples])


@pytest.fixture(scope="module")
def networks(features: np.ndarray) -> dict[str, keras.Model]:
    keras.utils.set_random_seed(1)
    mean, variance = features.mean(axis=(0, 1)), features.var(axis=(0, 1))
    return {name: build_network(name, (130, 13), 10, mean, variance) for name in NETWORKS}


def predict(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """Run a file on segments and return its probabilities."""
    interpreter = create_interpreter(tflite)
    index = interpreter.get_input_details()[0]["index"]
    rows = []
    for segment in inputs:
        interpreter.set_tensor(index, segment[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.stack(rows)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["mfcc", "waveform"])
def test_int8_predictions_agree_with_keras(
    name: str, kind: str, networks: dict, samples: np.ndarray, features: np.ndarray
) -> None:
    tflite = convert(networks[name], MFCC_CONFIG, features, Variant(kind))
    ops = op_names(tflite)
    assert not {op for op in ops if op.startswith("Flex") or op in ("CUSTOM", "WHILE")}
    expected = networks[name].predict(features, verbose=0)
    inputs = samples if kind == "waveform" else features
    np.testing.assert_allclose(predict(tflite, inputs), expected, atol=INT8_BOUND)


@pytest.mark.parametrize("variant", all_variants(), ids=lambda variant: variant.name)
def test_cnn_variants_agree_with_keras(
    variant: Variant, networks: dict, samples: np.ndarray, features: np.ndarray
) -> None:
    tflite = convert(networks["cnn"], MFCC_CONFIG, features, variant)
    interpreter = create_interpreter(tflite)
    io_type = np.int8 if variant.io == "int8" else np.float32
    assert interpreter.get_input_details()[0]["dtype"] is io_type
    assert interpreter.get_output_details()[0]["dtype"] is io_type
    if variant.io == "float32":
        expected = networks["cnn"].predict(features, verbose=0)
        inputs = samples if variant.input == "waveform" else features
        bound = 1e-4 if variant.quantization == "float32" else INT8_BOUND
        np.testing.assert_allclose(predict(tflite, inputs), expected, atol=bound)


def test_file_size_follows_weight_precision(networks: dict, features: np.ndarray) -> None:
    sizes = [
        len(convert(networks["ann"], MFCC_CONFIG, features, Variant("mfcc", quantization)))
        for quantization in ("int8", "float16", "float32")
    ]
    assert sizes[0] < 0.6 * sizes[1] < 0.6 * sizes[2]


def test_waveform_and_mfcc_files_share_the_network(
    networks: dict, samples: np.ndarray, features: np.ndarray
) -> None:
    mfcc_file, waveform_file = (
        convert(networks["cnn"], MFCC_CONFIG, features, Variant(kind))
        for kind in ("mfcc", "waveform")
    )
    feature_graph = FeatureGraph(MFCC_CONFIG)
    graph_features = np.stack([feature_graph(segment) for segment in samples])
    difference = np.abs(predict(waveform_file, samples) - predict(mfcc_file, graph_features))
    assert difference.max() <= 1 / 128  # the standardisation rounds once more in between


def test_lstm_layer_becomes_one_operation(networks: dict, features: np.ndarray) -> None:
    ops = op_names(convert(networks["lstm"], MFCC_CONFIG, features))
    assert ops.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    assert len(ops) < 20


@pytest.mark.parametrize("quantization", ["int8", "float32"])
def test_lstm_state_is_reset_between_segments(
    quantization: str, networks: dict, features: np.ndarray
) -> None:
    tflite = convert(networks["lstm"], MFCC_CONFIG, features, Variant("mfcc", quantization))
    others = features * 3
    first = predict(tflite, features[:1])
    after_others = predict(tflite, np.concatenate([others, features[:1]]))[-1:]
    np.testing.assert_array_equal(first, after_others)


def test_unsupported_quantization_error_names_the_operation(
    networks: dict, features: np.ndarray
) -> None:
    with pytest.raises(DataError, match=r"int16x8.*UNIDIRECTIONAL_SEQUENCE_LSTM"):
        convert(networks["lstm"], MFCC_CONFIG, features, Variant("mfcc", "int16x8"))


class Determinant(keras.layers.Layer):
    """Layer without a TFLite operation."""

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.det(features[:, :13])[:, None]


def test_unsupported_layer_error_names_the_operation(features: np.ndarray) -> None:
    mean, variance = np.zeros(13, np.float32), np.ones(13, np.float32)
    standardize = keras.layers.Normalization(mean=mean, variance=variance, name="standardize")
    head = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((130, 13)), standardize, Determinant(), head])
    with pytest.raises(DataError, match="MatrixDeterminant"):
        convert(model, MFCC_CONFIG, features)


def test_conversion_is_reproducible(networks: dict, features: np.ndarray) -> None:
    one, two = (convert(networks["cnn"], MFCC_CONFIG, features) for _ in range(2))
    assert one == two


def test_input_and_output_have_names(networks: dict, features: np.ndarray) -> None:
    interpreter = create_interpreter(
        convert(networks["ann"], MFCC_CONFIG, features, Variant("waveform"))
    )
    signature = interpreter.get_signature_list()[SIGNATURE]
    assert signature == {"inputs": ["waveform"], "outputs": ["probabilities"]}


@pytest.mark.parametrize(("kind", "quantization"), [("waveform", "int8"), ("mfcc", "float32")])
def test_int8_io_needs_int8_features(kind: str, quantization: str) -> None:
    with pytest.raises(PocketGenreError, match="--io int8 needs features as input"):
        Variant(kind, quantization, "int8")
