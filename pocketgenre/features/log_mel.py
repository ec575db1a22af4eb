"""Compute log-mel bands in NumPy: the input of musicnn, scaled to one level."""

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import LOG_MEL_CONFIG, FeatureConfig, FeatureKind
from pocketgenre.features.mel import mel_power

FloatArray = NDArray[np.float32]


def log_mel(samples: FloatArray, config: FeatureConfig = LOG_MEL_CONFIG) -> FloatArray:
    """Compute the logarithm of the power in each mel band, scaled to one level.

    After Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio
    tagging" (2019), who use ``log10(1 + 10000 * librosa.feature.melspectrogram(...))``.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
        mono audio at ``config.sample_rate``
    config : parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mels)]
    """
    power = mel_power(samples, config)
    gain = config.level / max(float(power.mean()), config.amin)
    scaled = power.T * np.float32(gain)
    logarithm: FloatArray = np.log1p(scaled, dtype=np.float32) * np.float32(1 / np.log(10))
    return np.ascontiguousarray(logarithm)


LOG_MEL = FeatureKind(
    name="log-mel",
    default=LOG_MEL_CONFIG,
    compute=log_mel,
    reference="pocketgenre.training.data.librosa_features:librosa_log_mel",
    graph="pocketgenre.export.feature_graph:log_mel_graph",
    own_parameters=("level",),
)
