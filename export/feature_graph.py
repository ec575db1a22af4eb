"""Build the float32 ends of a file as TFLite graphs: the features, and the last layer.

The graphs use built-in TFLite operations only, and the constants of
:mod:`pocketgenre.features.mel` and :mod:`pocketgenre.features.mfcc`.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.export.variants import WAVEFORM
from pocketgenre.features.config import FeatureConfig, feature_kind
from pocketgenre.features.mel import banded_mel_matrix, hann_window
from pocketgenre.features.mfcc import dct_matrix
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.suppress_stderr import suppress_stderr

FloatArray = NDArray[np.float32]

_INPUT_NAME = "given"  # only while converting; changing it changes the bytes of all files


class FeatureGraph:
    """Compute features with the graph of a waveform file.

    Parameters
    ----------
    config : parameters of the features

    Raises
    ------
    ModelError
        if the kind of features has no graph.
    """

    def __init__(self, config: FeatureConfig) -> None:
        zeros = np.zeros(config.n_coefficients, np.float32)
        self._interpreter = create_interpreter(input_graph(WAVEFORM, config, zeros, zeros + 1))
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Compute the features of one segment.

        Parameters
        ----------
        samples : float32 [shape=(segment_samples,)]

        Returns
        -------
        float32 [shape=(frames, coefficients)]
        """
        self._interpreter.set_tensor(self._input, samples[np.newaxis])
        self._interpreter.invoke()
        features: FloatArray = self._interpreter.get_tensor(self._output)[0]
        return features


def input_graph(
    input_kind: str, config: FeatureConfig, mean: FloatArray, deviation: FloatArray
) -> bytes:
    """Build a TFLite file that computes the standardised features of one segment.

    Parameters
    ----------
    input_kind : ``waveform`` for an input float32 [shape=(1, segment_samples)]; any other name
        for features, float32 [shape=(1, frames, coefficients)]
    config : parameters of the features
    mean, deviation : float32 [shape=(coefficients,)]

    Returns
    -------
    bytes
        content of a file with the output float32 [shape=(1, frames, coefficients)]

    Raises
    ------
    ModelError
        if the input is a waveform and the kind of features has no graph.
    """
    scale = (1 / deviation).astype(np.float32)
    if input_kind != WAVEFORM:
        return _convert(lambda features: (features - mean) * scale, (1, *config.shape), _INPUT_NAME)
    compute = feature_kind(config.kind).load_graph()
    return _convert(
        lambda samples: (compute(samples, config) - mean) * scale,
        (1, config.segment_samples),
        _INPUT_NAME,
    )


def head_graph(kernel: FloatArray, bias: FloatArray) -> bytes:
    """Build a TFLite file of a dense layer with softmax.

    Parameters
    ----------
    kernel : float32 [shape=(inputs, outputs)]
    bias : float32 [shape=(outputs,)]

    Returns
    -------
    bytes
        content of a file from float32 [shape=(1, inputs)] to float32 [shape=(1, outputs)]
    """

    def probabilities(inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.matmul(inputs, kernel) + bias)

    return _convert(probabilities, (1, len(kernel)), "inputs")


def mfcc_graph(samples: tf.Tensor, config: FeatureConfig) -> tf.Tensor:
    """Compute MFCC in TensorFlow operations.

    Parameters
    ----------
    samples : float32 [shape=(1, segment_samples)]
    config : parameters

    Returns
    -------
    float32 [shape=(1, frames, n_mfcc)]
    """
    mel = _mel_power(samples, config)
    decibel = tf.math.log(tf.maximum(mel, config.amin)) * np.float32(10 / np.log(10))
    decibel = tf.maximum(decibel, tf.reduce_max(decibel) - config.top_db)
    # The mean of each frame bypasses the DCT. In float32, the sums over the equal bands of a
    # silent frame would leave rounding errors where librosa computes zeros.
    mean = tf.reduce_mean(decibel, axis=1, keepdims=True)
    dct = dct_matrix(config).astype(np.float32)
    mean_to_mfcc = np.zeros((1, config.n_mfcc), np.float32)
    mean_to_mfcc[0, 0] = np.sqrt(config.n_mels)
    return (tf.matmul(decibel - mean, dct, transpose_b=True) + mean * mean_to_mfcc)[tf.newaxis]


def log_mel_graph(samples: tf.Tensor, config: FeatureConfig) -> tf.Tensor:
    """Compute log-mel bands in TensorFlow operations.

    Parameters
    ----------
    samples : float32 [shape=(1, segment_samples)]
    config : parameters

    Returns
    -------
    float32 [shape=(1, frames, n_mels)]
    """
    power = _mel_power(samples, config)
    gain = config.level / tf.maximum(tf.reduce_mean(power), config.amin)
    logarithm = tf.math.log(1 + gain * power) * np.float32(1 / np.log(10))
    return logarithm[tf.newaxis]


def _mel_power(samples: tf.Tensor, config: FeatureConfig) -> tf.Tensor:
    """Compute librosa's mel power, float32 [shape=(frames, n_mels)].

    Frames are concatenated from whole hops, since TFLite has no operation for overlapping
    frames. Mel bands are computed in groups, each from its non-zero FFT bins only, which makes
    the file 0.4 MB smaller than one full matrix.
    """
    hop, frames = config.hop_length, config.n_frames
    hops_per_frame = config.n_fft // hop
    n_samples = (frames - 1 + hops_per_frame) * hop
    before = config.n_fft // 2
    after = max(0, n_samples - before - config.segment_samples)
    padded = tf.pad(samples, [[0, 0], [before, after]])[:, :n_samples]
    hops = tf.reshape(padded, (frames - 1 + hops_per_frame, hop))
    framed = tf.concat([hops[i : i + frames] for i in range(hops_per_frame)], axis=1)
    spectrum = tf.signal.rfft(framed * hann_window(config.n_fft))
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    bands = banded_mel_matrix(config)
    return tf.concat([tf.matmul(power[:, b], w, transpose_b=True) for b, w in bands], axis=1)


def _convert(
    function: Callable[[tf.Tensor], tf.Tensor], shape: tuple[int, ...], input_name: str
) -> bytes:
    # The converter orders the constants in the file by the names of nodes. An explicit name keeps
    # the bytes of a file independent of the names of Python arguments.
    spec = tf.TensorSpec(shape, tf.float32, name=input_name)
    concrete = tf.function(function, [spec]).get_concrete_function()
    with suppress_stderr():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        tflite: bytes = converter.convert()
    return tflite
