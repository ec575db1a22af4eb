"""Every network in every form says what Keras says, with built-in operations alone."""

import keras
import numpy as np
import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.export.convert import convert
from pocketgenre.export.evaluate_files import GraphFeatures
from pocketgenre.export.feature_graph import front_graph
from pocketgenre.export.flatbuffer import SIGNATURE
from pocketgenre.export.operations import op_names
from pocketgenre.export.variants import Form, family
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.training.data.librosa_features import librosa_mfcc
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.models.networks import NETWORKS, build_network

pytestmark = pytest.mark.slow

INT8_BOUND = 0.1
"""Largest difference of a probability; an untrained network's are all near 0.1 to 0.5."""


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Chords with some noise, float32 [shape=(20, segment_samples)]."""
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


def answers(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
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
def test_every_network_exports_to_int8(
    name: str, kind: str, networks: dict, samples: np.ndarray, features: np.ndarray
) -> None:
    tflite = convert(networks[name], MFCC_CONFIG, features, Form(kind))
    ops = op_names(tflite)
    assert not {op for op in ops if op.startswith("Flex") or op in ("CUSTOM", "WHILE")}
    expected = networks[name].predict(features, verbose=0)
    given = samples if kind == "waveform" else features
    np.testing.assert_allclose(answers(tflite, given), expected, atol=INT8_BOUND)


@pytest.mark.parametrize("form", family(), ids=lambda form: form.name)
def test_the_cnn_exports_to_every_form(
    form: Form, networks: dict, samples: np.ndarray, features: np.ndarray
) -> None:
    tflite = convert(networks["cnn"], MFCC_CONFIG, features, form)
    interpreter = create_interpreter(tflite)
    end = np.int8 if form.io == "int8" else np.float32
    assert interpreter.get_input_details()[0]["dtype"] is end
    assert interpreter.get_output_details()[0]["dtype"] is end
    if form.io == "float32":
        expected = networks["cnn"].predict(features, verbose=0)
        given = samples if form.input == "waveform" else features
        bound = 1e-4 if form.quantization == "float32" else INT8_BOUND
        np.testing.assert_allclose(answers(tflite, given), expected, atol=bound)


def test_int8_is_smaller_than_float16_is_smaller_than_float32(
    networks: dict, features: np.ndarray
) -> None:
    sizes = [
        len(convert(networks["ann"], MFCC_CONFIG, features, Form("mfcc", quantization)))
        for quantization in ("int8", "float16", "float32")
    ]
    assert sizes[0] < 0.6 * sizes[1] < 0.6 * sizes[2]


def test_the_network_of_a_waveform_file_is_that_of_the_mfcc_file(
    networks: dict, samples: np.ndarray, features: np.ndarray
) -> None:
    by_features, by_samples = (
        convert(networks["cnn"], MFCC_CONFIG, features, Form(kind)) for kind in ("mfcc", "waveform")
    )
    zeros = np.zeros(13, np.float32)
    front = GraphFeatures(front_graph("waveform", MFCC_CONFIG, zeros, zeros + 1))
    in_graph = np.stack([front(segment) for segment in samples])
    difference = np.abs(answers(by_samples, samples) - answers(by_features, in_graph))
    assert difference.max() <= 1 / 128  # the standardisation rounds once more in between


def test_the_lstm_is_one_fused_operation_a_layer(networks: dict, features: np.ndarray) -> None:
    ops = op_names(convert(networks["lstm"], MFCC_CONFIG, features))
    assert ops.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    assert len(ops) < 20


@pytest.mark.parametrize("quantization", ["int8", "float32"])
def test_the_lstm_forgets_between_segments(
    quantization: str, networks: dict, features: np.ndarray
) -> None:
    tflite = convert(networks["lstm"], MFCC_CONFIG, features, Form("mfcc", quantization))
    loud = features * 3
    alone = answers(tflite, features[:1])
    after_others = answers(tflite, np.concatenate([loud, features[:1]]))[-1:]
    np.testing.assert_array_equal(alone, after_others)


def test_a_form_that_an_operation_lacks_is_an_error_that_names_it(
    networks: dict, features: np.ndarray
) -> None:
    with pytest.raises(DataError, match=r"int16x8.*UNIDIRECTIONAL_SEQUENCE_LSTM"):
        convert(networks["lstm"], MFCC_CONFIG, features, Form("mfcc", "int16x8"))


class Determinant(keras.layers.Layer):
    """Something that TFLite has no operation for."""

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.det(features[:, :13])[:, None]


def test_an_operation_that_tflite_lacks_is_an_error_that_names_it(features: np.ndarray) -> None:
    mean, variance = np.zeros(13, np.float32), np.ones(13, np.float32)
    standardize = keras.layers.Normalization(mean=mean, variance=variance, name="standardize")
    head = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((130, 13)), standardize, Determinant(), head])
    with pytest.raises(DataError, match="MatrixDeterminant"):
        convert(model, MFCC_CONFIG, features)


def test_the_same_network_gives_the_same_bytes(networks: dict, features: np.ndarray) -> None:
    one, two = (convert(networks["cnn"], MFCC_CONFIG, features) for _ in range(2))
    assert one == two


def test_the_ends_have_names(networks: dict, features: np.ndarray) -> None:
    interpreter = create_interpreter(
        convert(networks["ann"], MFCC_CONFIG, features, Form("waveform"))
    )
    signature = interpreter.get_signature_list()[SIGNATURE]
    assert signature == {"inputs": ["waveform"], "outputs": ["probabilities"]}


@pytest.mark.parametrize(("kind", "quantization"), [("waveform", "int8"), ("mfcc", "float32")])
def test_int8_ends_go_with_an_int8_network_on_mfcc_alone(kind: str, quantization: str) -> None:
    with pytest.raises(PocketGenreError, match="--io int8 goes with"):
        Form(kind, quantization, "int8")
