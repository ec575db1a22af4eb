"""The features of one segment, of whichever kind the front end names."""

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from pocketgenre.features.mel import mel_power
from pocketgenre.features.mfcc import mfcc

FloatArray = NDArray[np.float32]


def compute_features(
    samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG
) -> FloatArray:
    """What a network takes for one segment.

    Parameters
    ----------
    samples : float32 [shape=(segment_samples,)]
        mono audio at ``config.sample_rate``
    feature_config : the parameters

    Returns
    -------
    float32 [shape=(frames, coefficients)]
    """
    if feature_config.features == "log-mel":
        return log_mel(samples, feature_config)
    return mfcc(samples, feature_config)


def log_mel(samples: FloatArray, feature_config: FeatureConfig = LOG_MEL_CONFIG) -> FloatArray:
    """Logarithm of the power in the mel bands, brought to one level.

    After Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio
    tagging" (2019), who take ``log10(1 + 10000 * librosa.feature.melspectrogram(...))``.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mels)]
    """
    power = mel_power(samples, feature_config)
    gain = feature_config.level / max(float(power.mean()), feature_config.amin)
    scaled = power.T * np.float32(gain)
    logarithm: FloatArray = np.log1p(scaled, dtype=np.float32) * np.float32(1 / np.log(10))
    return np.ascontiguousarray(logarithm)
