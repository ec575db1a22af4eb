"""Change segments at random while a network is trained on them.

Gain, equalisation, band limit and noise change the mel spectrum in decibels, where they are
additions or maxima. Without the spectrum of a song, it is computed from the features: MFCC give a
smooth spectrum, whose change is added to the MFCC.
"""

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.features.mfcc import dct_matrix
from pocketgenre.training.augmentation import Augmentation

FloatArray = NDArray[np.float32]

_EQUALIZER_KNOTS = 6
_LOWEST_LIMIT = 0.66  # share of the mel bands
_LIMITED_DB = (20, 80)  # attenuation of the bands above a limit
_NOISE_DB = (35.0, 75.0)  # level below the loudest band
_NOISE_DEVIATION_DB = 1.5
_MIN_POWER = 1e-10


def augment_features(
    features: FloatArray,
    fill: FloatArray,
    config: FeatureConfig,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> FloatArray:
    """Change segments of which only the features are available, all but by mixup.

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    fill : features of a masked frame, float32 [shape=(coefficients,)]
    config : parameters of the features
    augmentation : changes
    rng : generator that draws the changes

    Returns
    -------
    float32 of the same shape
    """
    changed = features.copy()
    if augmentation.changes_sound:
        change = _change_mfcc if config.kind == "mfcc" else _change_log_mel
        changed = change(features, config, augmentation, rng)
    mask_frames(changed, fill, augmentation.time_mask, rng)
    mask_coefficients(changed, fill, augmentation.coefficient_mask, rng)
    return changed


def augment_spectra(
    decibels: FloatArray,
    feature_config: FeatureConfig,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> FloatArray:
    """Change gain, equalisation, upper band limit and noise of segments, and compute their MFCC.

    Parameters
    ----------
    decibels : mel spectra, float32 [shape=(n, frames, mel bands)]
    feature_config : feature parameters
    augmentation : changes
    rng : generator that draws the changes

    Returns
    -------
    float32 [shape=(n, frames, coefficients)]
    """
    return decibels_to_mfcc(change_spectra(decibels, augmentation, rng), feature_config)


def change_spectra(
    decibels: FloatArray, augmentation: Augmentation, rng: np.random.Generator
) -> FloatArray:
    """Change gain, equalisation, upper band limit and noise of segments.

    Parameters
    ----------
    decibels : mel spectra, float32 [shape=(n, frames, mel bands)]
    augmentation : changes
    rng : generator that draws the changes

    Returns
    -------
    float32 of the same shape
    """
    n, frames, bands = decibels.shape
    changed: FloatArray
    changed = decibels + random_equalizers(n, bands, augmentation, rng)[:, np.newaxis]
    for i in np.flatnonzero(rng.random(n) < augmentation.band_limit):
        limit = rng.integers(round(_LOWEST_LIMIT * bands), bands)
        changed[i, :, limit:] -= rng.uniform(*_LIMITED_DB)
    loudest = changed.max(axis=(1, 2), keepdims=True)
    noisy = np.flatnonzero(rng.random(n) < augmentation.noise)
    level = loudest[noisy] - rng.uniform(*_NOISE_DB, (len(noisy), 1, 1))
    noise = level + rng.normal(0, _NOISE_DEVIATION_DB, (len(noisy), frames, bands))
    changed[noisy] = np.maximum(changed[noisy], noise)
    return changed


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
    mfcc: FloatArray,
    feature_config: FeatureConfig,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> FloatArray:
    """Change gain and equalisation of segments of which only the MFCC are available.

    Parameters
    ----------
    mfcc : float32 [shape=(n, frames, coefficients)]
    feature_config : feature parameters
    augmentation : changes
    rng : generator that draws the changes

    Returns
    -------
    float32 of the same shape
    """
    curves = random_equalizers(len(mfcc), feature_config.n_mels, augmentation, rng)
    return mfcc + (curves @ dct_matrix(feature_config).astype(np.float32).T)[:, np.newaxis]


def random_equalizers(
    n: int, bands: int, augmentation: Augmentation, rng: np.random.Generator
) -> FloatArray:
    """Draw smooth equaliser curves, each with a gain, float32 [shape=(n, bands)], decibels."""
    values = rng.normal(0, augmentation.equalizer, (n, _EQUALIZER_KNOTS))
    knots, positions = np.arange(_EQUALIZER_KNOTS), np.linspace(0, _EQUALIZER_KNOTS - 1, bands)
    curves = np.stack([np.interp(positions, knots, row) for row in values]).reshape(n, bands)
    return (curves + rng.normal(0, augmentation.gain, (n, 1))).astype(np.float32)


def mask_frames(
    features: FloatArray, fill: FloatArray, longest: int, rng: np.random.Generator
) -> None:
    """Overwrite a few successive frames of each segment, in place.

    This is the time masking of Park et al., "SpecAugment" (2019).

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    fill : features of a masked frame, float32 [shape=(coefficients,)]
    longest : largest number of frames to overwrite
    rng : generator that draws the positions and lengths
    """
    for segment in features:
        segment[_random_stretch(len(segment), longest, rng)] = fill


def mask_coefficients(
    features: FloatArray, fill: FloatArray, most: int, rng: np.random.Generator
) -> None:
    """Overwrite a few successive coefficients of each segment, in place.

    For mel bands, this is the frequency masking of "SpecAugment".

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    fill : features of a masked frame, float32 [shape=(coefficients,)]
    most : largest number of coefficients to overwrite
    rng : generator that draws the positions and numbers
    """
    for segment in features:
        stretch = _random_stretch(len(fill), most, rng)
        segment[:, stretch] = fill[stretch]


def _random_stretch(size: int, longest: int, rng: np.random.Generator) -> slice:
    """Draw successive positions of ``size``: from none up to ``longest``."""
    length = int(rng.integers(0, min(longest, size) + 1))
    start = int(rng.integers(0, size - length + 1))
    return slice(start, start + length)


def mix_up(
    features: FloatArray, targets: FloatArray, alpha: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Mix each segment with another one, and their targets in the same proportion.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018).

    Parameters
    ----------
    features : float32 [shape=(n, frames, coefficients)]
    targets : share of each genre, float32 [shape=(n, genres)]
    alpha : parameter of the beta distribution of the proportions; 0 mixes nothing
    rng : generator that draws the partners and proportions

    Returns
    -------
    features, targets
        mixed, of the same shapes.
    """
    if not alpha:
        return features, targets
    share = rng.beta(alpha, alpha, len(features)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(features))
    of_features, of_targets = share[:, np.newaxis, np.newaxis], share[:, np.newaxis]
    return (
        of_features * features + (1 - of_features) * features[other],
        of_targets * targets + (1 - of_targets) * targets[other],
    )


def _change_mfcc(
    mfcc: FloatArray, config: FeatureConfig, augmentation: Augmentation, rng: np.random.Generator
) -> FloatArray:
    matrix = dct_matrix(config).astype(np.float32)
    smooth = mfcc @ matrix
    difference = (change_spectra(smooth, augmentation, rng) - smooth) @ matrix.T
    return np.asarray(mfcc + difference, np.float32)


def _change_log_mel(
    log_mel: FloatArray, config: FeatureConfig, augmentation: Augmentation, rng: np.random.Generator
) -> FloatArray:
    """Change the bands, and scale each segment to the common level again."""
    before = np.maximum(np.float32(10) ** log_mel - 1, np.float32(_MIN_POWER))
    decibels = change_spectra(10 * np.log10(before), augmentation, rng)
    power: FloatArray = np.float32(10) ** (decibels / np.float32(10))
    level = np.maximum(power.mean(axis=(1, 2), keepdims=True), np.float32(_MIN_POWER))
    scaled: FloatArray = np.log10(1 + power * (np.float32(config.level) / level))
    return scaled
