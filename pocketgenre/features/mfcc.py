"""librosa's MFCC in NumPy alone.

Conventions: samples are mono float32 in [-1, 1]; features are (frames,
coefficients), the transpose of librosa's. The result equals
``librosa.feature.mfcc(y=samples, sr=22050, n_mfcc=13, n_fft=2048, hop_length=512).T``
of librosa 0.11 within 1e-3.

The dynamic range (``top_db``) is relative to the loudest band of what is passed
in: features of a segment are computed from that segment alone. A slice of a whole
song's MFCC is something else.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig
from pocketgenre.features.mel import mel_power

FloatArray = NDArray[np.float32]


def mfcc(samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Mel-frequency cepstral coefficients of one segment.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
        mono audio at ``config.sample_rate``; usually one segment.

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mfcc)]
        DCT-II (orthonormal) over the mel bands in dB; (130, 13) for a 3 s segment.
    """
    log_mel = power_to_db(mel_power(samples, feature_config), feature_config)
    # In float64: the bands of a silent frame are all -100 dB, and their float32
    # sums would leave rounding errors where librosa has zeros.
    cepstrum: NDArray[np.float64] = dct_matrix(feature_config) @ log_mel.astype(np.float64)
    return cepstrum.T.astype(np.float32)


def power_to_db(power: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Power in dB (re 1.0), clamped to ``top_db`` below the largest value given.

    Parameters
    ----------
    power : float32 [shape=(...)], >= 0

    Returns
    -------
    float32 [shape=(...)]
    """
    decibel: FloatArray = np.log10(np.maximum(power, np.float32(feature_config.amin)))
    decibel *= np.float32(10.0)
    np.maximum(decibel, decibel.max() - np.float32(feature_config.top_db), out=decibel)
    return decibel


@lru_cache(maxsize=8)
def dct_matrix(feature_config: FeatureConfig = MFCC_CONFIG) -> NDArray[np.float64]:
    """Orthonormal DCT-II from mel bands to coefficients.

    Returns
    -------
    float64 [shape=(n_mfcc, n_mels)], read-only
    """
    n = feature_config.n_mels
    bands = np.arange(n) + 0.5
    coefficients = np.arange(feature_config.n_mfcc)[:, np.newaxis]
    matrix: NDArray[np.float64] = np.sqrt(2.0 / n) * np.cos(np.pi / n * coefficients * bands)
    matrix[0] /= np.sqrt(2.0)
    matrix.flags.writeable = False
    return matrix
