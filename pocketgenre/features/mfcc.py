"""Compute MFCC in NumPy, equal to librosa's.

Samples are mono float32 in [-1, 1]. Features are (frames, coefficients), the transpose of
librosa's. The result equals ``librosa.feature.mfcc(y=samples, sr=22050, n_mfcc=13, n_fft=2048,
hop_length=512).T`` of librosa 0.11 within 1e-3.

The dynamic range (``top_db``) is relative to the loudest mel band of the samples passed in, so the
MFCC of a segment must be computed from that segment only. A slice of a whole song's MFCC differs.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import ModelError
from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig, FeatureKind
from pocketgenre.features.mel import mel_power

FloatArray = NDArray[np.float32]


def mfcc(samples: FloatArray, config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Compute the mel-frequency cepstral coefficients of one segment.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
        mono audio at ``config.sample_rate``, usually one segment
    config : parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mfcc)]
        DCT-II (orthonormal) over the mel bands in dB; (130, 13) for a 3 s segment
    """
    decibels = power_to_db(mel_power(samples, config), config)
    # In float64: the bands of a silent frame are all -100 dB, and their float32
    # sums would leave rounding errors where librosa has zeros.
    cepstrum: NDArray[np.float64] = dct_matrix(config) @ decibels.astype(np.float64)
    return cepstrum.T.astype(np.float32)


def power_to_db(power: FloatArray, config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Convert power to dB (re 1.0), limited to ``top_db`` below the largest value.

    Parameters
    ----------
    power : float32 [shape=(...)], >= 0

    Returns
    -------
    float32 [shape=(...)]
    """
    decibels: FloatArray = np.log10(np.maximum(power, np.float32(config.amin)))
    decibels *= np.float32(10.0)
    np.maximum(decibels, decibels.max() - np.float32(config.top_db), out=decibels)
    return decibels


@lru_cache(maxsize=8)
def dct_matrix(config: FeatureConfig = MFCC_CONFIG) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II from mel bands to cepstral coefficients.

    Returns
    -------
    float64 [shape=(n_mfcc, n_mels)], read-only
    """
    n = config.n_mels
    bands = np.arange(n) + 0.5
    coefficients = np.arange(config.n_mfcc)[:, np.newaxis]
    matrix: NDArray[np.float64] = np.sqrt(2.0 / n) * np.cos(np.pi / n * coefficients * bands)
    matrix[0] /= np.sqrt(2.0)
    matrix.flags.writeable = False
    return matrix


def _check(config: FeatureConfig) -> None:
    if config.n_mfcc > config.n_mels:
        raise ModelError(
            f"{config.n_mfcc} MFCC need at least as many mel bands; there are {config.n_mels}."
        )


MFCC = FeatureKind(
    name="mfcc",
    default=MFCC_CONFIG,
    compute=mfcc,
    reference="pocketgenre.training.data.librosa_features:librosa_mfcc",
    graph="pocketgenre.export.feature_graph:mfcc_graph",
    own_parameters=("n_mfcc", "top_db"),
    check=_check,
    n_coefficients=lambda config: config.n_mfcc,
)
