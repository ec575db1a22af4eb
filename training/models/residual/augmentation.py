"""Augment segments: speed, gain, equalisation, band limit, noise, masking and mixup.

Changes of the sound are applied to the mel spectrum, in decibels, before the MFCC,
where most of them are additions.
"""

from dataclasses import dataclass
from functools import cache

import librosa
import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.features.mfcc import dct_matrix
from pocketgenre.training.models.residual.network import STRIDE, frames_per_view

FloatArray = NDArray[np.float32]

_SPEEDS = np.linspace(0.9, 1.1, 21)
"""Factors of the playback speed; the pitch rises with the tempo."""
_EQUALIZER_DB, _EQUALIZER_KNOTS = 2.5, 6
_GAIN_DB = 6.0
_BAND_LIMITED, _LOWEST_LIMIT = 0.2, 0.66  # share of the segments, share of the mel bands
_NOISY, _NOISE_DB = 0.5, (35.0, 75.0)  # share of the segments, level below the loudest band
_MAX_MASK = 8  # frames of a view
_MIXUP_ALPHA = 0.2


@dataclass(frozen=True)
class Excerpt:
    """Consecutive frames of a song that belong to the training data.

    Attributes
    ----------
    decibels : mel spectrum in decibels, float16 [shape=(frames, mel bands)]
    """

    decibels: NDArray[np.float16]

    def sample_view(self, feature_config: FeatureConfig, rng: np.random.Generator) -> FloatArray:
        """Draw one view of a segment at a random position and playback speed.

        Returns
        -------
        float32 [shape=(frames_per_view, mel bands)], decibels
        """
        steps = STRIDE * np.arange(frames_per_view(feature_config.n_frames))
        choice = int(rng.integers(len(_SPEEDS)))
        speed = min(float(_SPEEDS[choice]), (len(self.decibels) - 1) / steps[-1])
        length = round(steps[-1] * speed)
        start = rng.integers(0, max(1, len(self.decibels) - length))
        frames = np.minimum(start + np.rint(steps * speed).astype(int), len(self.decibels) - 1)
        view = self.decibels[frames].astype(np.float32)
        below, share_above = _band_positions(feature_config)
        low, high = view[:, below[choice]], view[:, below[choice] + 1]
        shifted: FloatArray = low + share_above[choice] * (high - low)
        return shifted


def augment_spectra(
    decibels: FloatArray, feature_config: FeatureConfig, rng: np.random.Generator
) -> FloatArray:
    """Change gain, equalisation, upper band limit and noise of segments, and compute their MFCC.

    Parameters
    ----------
    decibels : mel spectra, float32 [shape=(n, frames, mel bands)]
    feature_config : feature parameters
    rng : generator that draws the changes

    Returns
    -------
    float32 [shape=(n, frames, coefficients)]
    """
    n, frames, bands = decibels.shape
    changed = decibels + random_equalizers(n, bands, rng)[:, np.newaxis]
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
    """Compute the MFCC of mel spectra, as the library computes them from samples.

    Parameters
    ----------
    decibels : mel spectra, float32 [shape=(n, frames, mel bands)]
    feature_config : feature parameters

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
    """Change gain and equalisation of segments of which only the MFCC are available.

    Parameters
    ----------
    mfcc : float32 [shape=(n, frames, coefficients)]
    feature_config : feature parameters
    rng : generator that draws the changes

    Returns
    -------
    float32 of the same shape
    """
    curves = random_equalizers(len(mfcc), feature_config.n_mels, rng)
    return mfcc + (curves @ dct_matrix(feature_config).astype(np.float32).T)[:, np.newaxis]


def random_equalizers(n: int, bands: int, rng: np.random.Generator) -> FloatArray:
    """Draw smooth equaliser curves, each with a gain, float32 [shape=(n, bands)], decibels."""
    values = rng.normal(0, _EQUALIZER_DB, (n, _EQUALIZER_KNOTS))
    knots, positions = np.arange(_EQUALIZER_KNOTS), np.linspace(0, _EQUALIZER_KNOTS - 1, bands)
    curves = np.stack([np.interp(positions, knots, row) for row in values]).reshape(n, bands)
    return (curves + rng.normal(0, _GAIN_DB, (n, 1))).astype(np.float32)


def mask_frames(features: FloatArray, fill: FloatArray, rng: np.random.Generator) -> None:
    """Overwrite a few successive frames of each segment, in place.

    This is the time masking of Park et al., "SpecAugment" (2019).

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    fill : features of a masked frame, float32 [shape=(coefficients,)]
    rng : generator that draws the positions and lengths
    """
    for segment in features:
        length = rng.integers(0, _MAX_MASK + 1)
        start = rng.integers(0, len(segment) - length + 1)
        segment[start : start + length] = fill


def mix_up(
    features: FloatArray, targets: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Mix each segment with another one, and their targets in the same proportion.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018).

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    targets : share of each genre, float32 [shape=(n, genres)]
    rng : generator that draws the partners and proportions

    Returns
    -------
    features, targets
        mixed, of the same shapes.
    """
    share = rng.beta(_MIXUP_ALPHA, _MIXUP_ALPHA, len(features)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(features))
    of_features, of_targets = share[:, np.newaxis, np.newaxis], share[:, np.newaxis]
    return (
        of_features * features + (1 - of_features) * features[other],
        of_targets * targets + (1 - of_targets) * targets[other],
    )


@cache
def _band_positions(feature_config: FeatureConfig) -> tuple[NDArray[np.int64], FloatArray]:
    """Compute between which two mel bands each band is interpolated when the speed changes.

    At speed s, a band gets the level that the band at 1/s of its frequency had.

    Returns
    -------
    below, share_above : int64 and float32 [shape=(speeds, bands)]
        lower of the two bands, and share of the band above it
    """
    n = feature_config.n_mels
    centres = librosa.mel_frequencies(n + 2, fmin=0.0, fmax=feature_config.sample_rate / 2)[1:-1]
    positions = np.interp(centres / _SPEEDS[:, np.newaxis], centres, np.arange(n))
    below = np.minimum(positions.astype(np.int64), n - 2)
    return below, (positions - below).astype(np.float32)
