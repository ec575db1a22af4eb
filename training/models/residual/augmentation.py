"""Cut and change segments as other rooms, codecs and record players would.

Everything happens on the mel spectrum, in decibels, before the MFCC: there the changes are what
they are in the air, and cheap.
"""

from dataclasses import dataclass
from functools import cache

import librosa
import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.features.mfcc import dct_matrix
from pocketgenre.training.models.residual.network import STRIDE, frames_seen

FloatArray = NDArray[np.float32]

_SPEEDS = np.linspace(0.9, 1.1, 21)
"""A record played so much faster: its pitch rises with its tempo."""
_EQUALIZER_DB, _EQUALIZER_KNOTS = 2.5, 6
_GAIN_DB = 6.0
_BAND_LIMITED, _LOWEST_LIMIT = 0.2, 0.66  # share of segments; share of the mel bands
_NOISY, _NOISE_DB = 0.5, (35.0, 75.0)  # share of segments; its level below the loudest
_LONGEST_GAP = 8  # frames of a view
_MIXUP = 0.2


@dataclass(frozen=True)
class Excerpt:
    """Consecutive frames of a song that may be learned from.

    Attributes
    ----------
    decibels : float16 [shape=(frames, mel bands)], mel spectrum
    """

    decibels: NDArray[np.float16]

    def cut(self, feature_config: FeatureConfig, rng: np.random.Generator) -> FloatArray:
        """One view of a segment, anywhere and at a speed near the true one.

        Returns
        -------
        float32 [shape=(frames_seen, mel bands)], decibels
        """
        steps = STRIDE * np.arange(frames_seen(feature_config.n_frames))
        choice = int(rng.integers(len(_SPEEDS)))
        speed = min(float(_SPEEDS[choice]), (len(self.decibels) - 1) / steps[-1])
        reach = round(steps[-1] * speed)
        start = rng.integers(0, max(1, len(self.decibels) - reach))
        frames = np.minimum(start + np.rint(steps * speed).astype(int), len(self.decibels) - 1)
        cut = self.decibels[frames].astype(np.float32)
        moved: FloatArray = cut @ _shifted_bands(feature_config)[choice]
        return moved


def augment_spectra(
    decibels: FloatArray, feature_config: FeatureConfig, rng: np.random.Generator
) -> FloatArray:
    """MFCC of segments whose sound is changed: gain, colour, band limit, noise.

    Parameters
    ----------
    decibels : float32 [shape=(n, frames, mel bands)]
    feature_config : the parameters
    rng : draws the changes

    Returns
    -------
    float32 [shape=(n, frames, coefficients)]
    """
    n, frames, bands = decibels.shape
    changed = decibels + random_colours(n, bands, rng)[:, np.newaxis]
    for i in np.flatnonzero(rng.random(n) < _BAND_LIMITED):
        limit = rng.integers(round(_LOWEST_LIMIT * bands), bands)
        changed[i, :, limit:] -= rng.uniform(20, 80)
    loudest = changed.max(axis=(1, 2), keepdims=True)
    noisy = np.flatnonzero(rng.random(n) < _NOISY)
    level = loudest[noisy] - rng.uniform(*_NOISE_DB, (len(noisy), 1, 1))
    noise = level + rng.normal(0, 1.5, (len(noisy), frames, bands))
    changed[noisy] = np.maximum(changed[noisy], noise)
    return decibels_to_mfcc(changed, feature_config)


def decibels_to_mfcc(decibels: FloatArray, feature_config: FeatureConfig) -> FloatArray:
    """The device's MFCC of segments whose mel spectra are known.

    Parameters
    ----------
    decibels : float32 [shape=(n, frames, mel bands)]

    Returns
    -------
    float32 [shape=(n, frames, coefficients)]
    """
    loudest = decibels.max(axis=(1, 2), keepdims=True)
    limited = np.maximum(decibels, loudest - feature_config.top_db)
    mfcc: FloatArray = limited @ dct_matrix(feature_config).astype(np.float32).T
    return mfcc


def augment_mfcc(
    mfcc: FloatArray, feature_config: FeatureConfig, rng: np.random.Generator
) -> FloatArray:
    """Change the gain and the colour of segments of which only the MFCC are known.

    Parameters
    ----------
    mfcc : float32 [shape=(n, frames, coefficients)]

    Returns
    -------
    float32 of the same shape
    """
    colours = random_colours(len(mfcc), feature_config.n_mels, rng)
    return mfcc + (colours @ dct_matrix(feature_config).astype(np.float32).T)[:, np.newaxis]


def random_colours(n: int, bands: int, rng: np.random.Generator) -> FloatArray:
    """A random gain and a smooth random equaliser each, float32 [shape=(n, bands)], decibels."""
    knots = rng.normal(0, _EQUALIZER_DB, (n, _EQUALIZER_KNOTS))
    at, where = np.arange(_EQUALIZER_KNOTS), np.linspace(0, _EQUALIZER_KNOTS - 1, bands)
    curves = np.stack([np.interp(where, at, row) for row in knots]).reshape(n, bands)
    return (curves + rng.normal(0, _GAIN_DB, (n, 1))).astype(np.float32)


def mask_frames(features: FloatArray, filling: FloatArray, rng: np.random.Generator) -> None:
    """Overwrite some successive frames of each segment, in place.

    Park et al., "SpecAugment" (2019), over time.

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    filling : float32 [shape=(coefficients,)]
    """
    for segment in features:
        length = rng.integers(0, _LONGEST_GAP + 1)
        start = rng.integers(0, len(segment) - length + 1)
        segment[start : start + length] = filling


def mix_up(
    features: FloatArray, targets: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Blend each segment with another one, and their targets alike.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018).

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    targets : float32 [shape=(n, genres)]
    """
    share = rng.beta(_MIXUP, _MIXUP, len(features)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(features))
    wide, high = share[:, np.newaxis, np.newaxis], share[:, np.newaxis]
    return (
        wide * features + (1 - wide) * features[other],
        high * targets + (1 - high) * targets[other],
    )


@cache
def _shifted_bands(feature_config: FeatureConfig) -> FloatArray:
    """Of each speed, the matrix that moves the mel bands, float32 [shape=(speeds, bands, bands)].

    At speed s a band hears what the band at 1/s of its frequency heard.
    """
    n = feature_config.n_mels
    centres = librosa.mel_frequencies(n + 2, fmin=0.0, fmax=feature_config.sample_rate / 2)[1:-1]
    matrices = np.zeros((len(_SPEEDS), n, n), np.float32)
    for matrix, speed in zip(matrices, _SPEEDS, strict=True):
        position = np.interp(centres / speed, centres, np.arange(n))
        below = np.minimum(position.astype(int), n - 2)
        matrix[below, np.arange(n)] = 1 - (position - below)
        matrix[below + 1, np.arange(n)] = position - below
    return matrices
