"""The float32 ends of a file as TFLite graphs: front end before the network, softmax behind.

Built-in operations alone, with the constants of :mod:`pocketgenre.features.mel` and
:mod:`pocketgenre.features.mfcc`.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.export.variants import Input
from pocketgenre.features.config import FeatureConfig
from pocketgenre.features.mel import banded_mel_matrix, hann_window
from pocketgenre.features.mfcc import dct_matrix
from pocketgenre.suppress_stderr import suppress_stderr

FloatArray = NDArray[np.float32]


def front_graph(
    kind: Input, feature_config: FeatureConfig, mean: FloatArray, deviation: FloatArray
) -> bytes:
    """A TFLite file from a segment to its standardised features.

    Parameters
    ----------
    kind : what it takes: ``waveform`` float32 [shape=(1, segment_samples)], or features
        float32 [shape=(1, frames, coefficients)]
    feature_config : the parameters
    mean, deviation : float32 [shape=(coefficients,)]

    Returns
    -------
    bytes
        of a file whose output is float32 [shape=(1, frames, coefficients)]
    """
    shape = (feature_config.segment_samples,) if kind == "waveform" else feature_config.shape
    compute = _mfcc if feature_config.kind == "mfcc" else _log_mel

    def standardized(given: tf.Tensor) -> tf.Tensor:
        features = compute(given, feature_config) if kind == "waveform" else given
        return (features - mean) * (1 / deviation).astype(np.float32)

    return _convert(standardized, (1, *shape))


def softmax_graph(correction: FloatArray) -> bytes:
    """A TFLite file from logits to probabilities, float32 [shape=(1, outputs)] both.

    Parameters
    ----------
    correction : float32 [shape=(outputs,)], added to the logits
    """
    return _convert(lambda logits: tf.nn.softmax(logits + correction), (1, len(correction)))


def _mel_power(samples: tf.Tensor, feature_config: FeatureConfig) -> tf.Tensor:
    """Librosa's mel power in TensorFlow operations, float32 [shape=(frames, bands)].

    Frames are put together from whole hops, since TFLite has no operation that cuts
    overlapping frames; mel bands from groups that hear few bins, which makes the file 0.4 MB
    smaller than one matrix would.
    """
    hop, frames = feature_config.hop_length, feature_config.n_frames
    per_frame = feature_config.n_fft // hop
    wanted = (frames - 1 + per_frame) * hop
    before = feature_config.n_fft // 2
    after = max(0, wanted - before - feature_config.segment_samples)
    padded = tf.pad(samples, [[0, 0], [before, after]])[:, :wanted]
    hops = tf.reshape(padded, (frames - 1 + per_frame, hop))
    framed = tf.concat([hops[i : i + frames] for i in range(per_frame)], axis=1)
    spectrum = tf.signal.rfft(framed * hann_window(feature_config.n_fft))
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    bands = banded_mel_matrix(feature_config)
    return tf.concat([tf.matmul(power[:, b], w, transpose_b=True) for b, w in bands], axis=1)


def _log_mel(samples: tf.Tensor, feature_config: FeatureConfig) -> tf.Tensor:
    power = _mel_power(samples, feature_config)
    gain = feature_config.level / tf.maximum(tf.reduce_mean(power), feature_config.amin)
    logarithm = tf.math.log(1 + gain * power) * np.float32(1 / np.log(10))
    return logarithm[tf.newaxis]


def _mfcc(samples: tf.Tensor, feature_config: FeatureConfig) -> tf.Tensor:
    mel = _mel_power(samples, feature_config)
    decibel = tf.math.log(tf.maximum(mel, feature_config.amin)) * np.float32(10 / np.log(10))
    decibel = tf.maximum(decibel, tf.reduce_max(decibel) - feature_config.top_db)
    # The mean of a frame goes past the DCT: in float32, the sums over a silent frame's equal
    # bands would leave rounding errors where librosa has zeros.
    mean = tf.reduce_mean(decibel, axis=1, keepdims=True)
    dct = dct_matrix(feature_config).astype(np.float32)
    of_mean = np.zeros((1, feature_config.n_mfcc), np.float32)
    of_mean[0, 0] = np.sqrt(feature_config.n_mels)
    return (tf.matmul(decibel - mean, dct, transpose_b=True) + mean * of_mean)[tf.newaxis]


def _convert(function: Callable[[tf.Tensor], tf.Tensor], shape: tuple[int, ...]) -> bytes:
    concrete = tf.function(function, [tf.TensorSpec(shape, tf.float32)]).get_concrete_function()
    with suppress_stderr():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        tflite: bytes = converter.convert()
    return tflite
