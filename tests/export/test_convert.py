"""Test that converted networks predict what Keras predicts, with built-in operations only."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import keras
import numpy as np
import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.export.convert import convert
from pocketgenre.export.feature_graph import FeatureGraph
from pocketgenre.export.flatbuffer import SIGNATURE
from pocketgenre.export.operations import op_names
from pocketgenre.export.variants import Variant, all_variants
from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.training.data.librosa_features import librosa_mfcc
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.networks import NETWORKS, build_network

pytestmark = pytest.mark.slow

INT8_BOUND = 0.1
"""Largest difference of a probability; an untrained network predicts between 0.1 and 0.5."""


SHORT = replace(MFCC_CONFIG, segment_samples=11_025)
"""Segments of 22 frames. An LSTM takes many times longer to convert with the default of 130."""


@dataclass(frozen=True)
class Subject:
    """Network to convert, and segments.

    Attributes
    ----------
    network : untrained network
    config : parameters of its features
    samples : chords with noise, float32 [shape=(20, segment_samples)]
    features : float32 [shape=(20, frames, coefficients)]
    converted : files by variant
    """

    network: keras.Model
    config: FeatureConfig
    samples: np.ndarray
    features: np.ndarray
    converted: dict[Variant, bytes] = field(default_factory=dict)

    def convert(self, variant: Variant = Variant()) -> bytes:  # noqa: B008
        """Convert the network, each variant once."""
        if variant not in self.converted:
            self.converted[variant] = self.convert_anew(variant)
        return self.converted[variant]

    def convert_anew(self, variant: Variant) -> bytes:
        return convert(self.network, self.config, self.features, variant)

    def inputs(self, variant: Variant) -> np.ndarray:
        return self.samples if variant.input == "waveform" else self.features

    def expected(self) -> np.ndarray:
        return self.network.predict(self.features, verbose=0)


def chords(config: FeatureConfig) -> np.ndarray:
    rng = np.random.default_rng(0)
    seconds = np.arange(config.segment_samples) / config.sample_rate
    written = []
    for _ in range(20):
        tones = [np.sin(2 * np.pi * hz * seconds) for hz in rng.uniform(80, 4000, 4)]
        noise = rng.normal(scale=rng.uniform(0.01, 1), size=len(seconds))
        written.append(rng.uniform(0.01, 0.2) * (np.sum(tones, axis=0) + noise))
    return np.array(written, np.float32)


@pytest.fixture(scope="module")
def subject() -> Callable[..., Subject]:
    """Return a function that builds a network once, by its name and feature parameters."""

    @cache
    def segments(config: FeatureConfig) -> tuple[np.ndarray, np.ndarray]:
        samples = chords(config)
        return samples, np.stack([librosa_mfcc(segment, config) for segment in samples])

    @cache
    def build(name: str, config: FeatureConfig | None = None) -> Subject:
        config = config or (SHORT if name == "lstm" else MFCC_CONFIG)
        samples, features = segments(config)
        keras.utils.set_random_seed(1)
        mean, variance = features.mean(axis=(0, 1)), features.var(axis=(0, 1))
        return Subject(
            build_network(name, config.shape, 10, mean, variance), config, samples, features
        )

    return build


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


def assert_int8_agrees(subject: Subject, variant: Variant) -> None:
    tflite = subject.convert(variant)
    ops = op_names(tflite)
    assert not {op for op in ops if op.startswith("Flex") or op in ("CUSTOM", "WHILE")}
    predicted = predict(tflite, subject.inputs(variant))
    np.testing.assert_allclose(predicted, subject.expected(), atol=INT8_BOUND)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["mfcc", "waveform"])
def test_int8_predictions_agree_with_keras(name: str, kind: str, subject: Callable) -> None:
    assert_int8_agrees(subject(name), Variant(kind))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["mfcc", "waveform"])
def test_int8_lstm_of_default_segments_agrees_with_keras(kind: str, subject: Callable) -> None:
    assert_int8_agrees(subject("lstm", MFCC_CONFIG), Variant(kind))


@pytest.mark.parametrize("variant", all_variants(), ids=lambda variant: variant.name)
def test_cnn_variants_agree_with_keras(variant: Variant, subject: Callable) -> None:
    cnn = subject("cnn")
    tflite = cnn.convert(variant)
    interpreter = create_interpreter(tflite)
    io_type = np.int8 if variant.io == "int8" else np.float32
    assert interpreter.get_input_details()[0]["dtype"] is io_type
    assert interpreter.get_output_details()[0]["dtype"] is io_type
    if variant.io == "float32":
        bound = 1e-4 if variant.quantization == "float32" else INT8_BOUND
        np.testing.assert_allclose(predict(tflite, cnn.inputs(variant)), cnn.expected(), atol=bound)


def test_file_size_follows_weight_precision(subject: Callable) -> None:
    sizes = [
        len(subject("ann").convert(Variant("mfcc", quantization)))
        for quantization in ("int8", "float16", "float32")
    ]
    assert sizes[0] < 0.6 * sizes[1] < 0.6 * sizes[2]


def test_waveform_and_mfcc_files_share_the_network(subject: Callable) -> None:
    cnn = subject("cnn")
    mfcc_file, waveform_file = (cnn.convert(Variant(kind)) for kind in ("mfcc", "waveform"))
    feature_graph = FeatureGraph(MFCC_CONFIG)
    graph_features = np.stack([feature_graph(segment) for segment in cnn.samples])
    difference = np.abs(predict(waveform_file, cnn.samples) - predict(mfcc_file, graph_features))
    assert difference.max() <= 1 / 128  # the standardisation rounds once more in between


def test_lstm_layer_becomes_one_operation(subject: Callable) -> None:
    ops = op_names(subject("lstm").convert())
    assert ops.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    assert len(ops) < 20


@pytest.mark.parametrize("quantization", ["int8", "float32"])
def test_lstm_state_is_reset_between_segments(quantization: str, subject: Callable) -> None:
    lstm = subject("lstm")
    tflite = lstm.convert(Variant("mfcc", quantization))
    others = lstm.features * 3
    first = predict(tflite, lstm.features[:1])
    after_others = predict(tflite, np.concatenate([others, lstm.features[:1]]))[-1:]
    np.testing.assert_array_equal(first, after_others)


def test_unsupported_quantization_error_names_the_operation(subject: Callable) -> None:
    with pytest.raises(DataError, match=r"int16x8.*UNIDIRECTIONAL_SEQUENCE_LSTM"):
        subject("lstm").convert(Variant("mfcc", "int16x8"))


class Determinant(keras.layers.Layer):
    """Layer without a TFLite operation."""

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.det(features[:, :13])[:, None]


def test_unsupported_layer_error_names_the_operation() -> None:
    mean, variance = np.zeros(13, np.float32), np.ones(13, np.float32)
    standardize = keras.layers.Normalization(mean=mean, variance=variance, name="standardize")
    head = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((130, 13)), standardize, Determinant(), head])
    features = np.random.default_rng(0).normal(size=(20, 130, 13)).astype(np.float32)
    with pytest.raises(DataError, match="MatrixDeterminant"):
        convert(model, MFCC_CONFIG, features)


def test_conversion_is_reproducible(subject: Callable) -> None:
    cnn = subject("cnn")
    assert cnn.convert_anew(Variant()) == cnn.convert()


def test_input_and_output_have_names(subject: Callable) -> None:
    interpreter = create_interpreter(subject("ann").convert(Variant("waveform")))
    signature = interpreter.get_signature_list()[SIGNATURE]
    assert signature == {"inputs": ["waveform"], "outputs": ["probabilities"]}


@pytest.mark.parametrize(("kind", "quantization"), [("waveform", "int8"), ("mfcc", "float32")])
def test_int8_io_needs_int8_features(kind: str, quantization: str) -> None:
    with pytest.raises(PocketGenreError, match="--io int8 needs features as input"):
        Variant(kind, quantization, "int8")
