"""The features of one segment, of whichever kind the front end names."""

import numpy as np
from numpy.typing import NDArray

from mobile_demo.frontend import LOG_MEL, STANDARD, FrontEnd
from mobile_demo.mel import mel_power
from mobile_demo.mfcc import mfcc

FloatArray = NDArray[np.float32]


def segment_features(samples: FloatArray, front_end: FrontEnd = STANDARD) -> FloatArray:
    """What a network takes for one segment.

    Parameters
    ----------
    samples : float32 [shape=(segment_samples,)]
        mono audio at ``front_end.sample_rate``
    front_end : the parameters

    Returns
    -------
    float32 [shape=(frames, coefficients)]
    """
    if front_end.features == "log-mel":
        return log_mel(samples, front_end)
    return mfcc(samples, front_end)


def log_mel(samples: FloatArray, front_end: FrontEnd = LOG_MEL) -> FloatArray:
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
    power = mel_power(samples, front_end)
    gain = front_end.level / max(float(power.mean()), front_end.amin)
    scaled = power.T * np.float32(gain)
    logarithm: FloatArray = np.log1p(scaled, dtype=np.float32) * np.float32(1 / np.log(10))
    return np.ascontiguousarray(logarithm)
