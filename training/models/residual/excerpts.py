"""Cut views of segments from the mel spectra of songs, at random positions and speeds."""

from dataclasses import dataclass
from functools import cache

import librosa
import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.models.residual.network import STRIDE, frames_per_view

FloatArray = NDArray[np.float32]

_SPEEDS = 21
"""Number of playback speeds; the pitch rises with the tempo."""


@dataclass(frozen=True)
class Excerpt:
    """Consecutive frames of a song that belong to the training data.

    Attributes
    ----------
    decibels : mel spectrum in decibels, float16 [shape=(frames, mel bands)]
    """

    decibels: NDArray[np.float16]

    def sample_view(
        self, feature_config: FeatureConfig, max_change: float, rng: np.random.Generator
    ) -> FloatArray:
        """Draw one view of a segment at a random position and playback speed.

        Parameters
        ----------
        feature_config : feature parameters
        max_change : largest relative change of the speed
        rng : generator that draws position and speed

        Returns
        -------
        float32 [shape=(frames_per_view, mel bands)], decibels
        """
        steps = STRIDE * np.arange(frames_per_view(feature_config.n_frames))
        choice = int(rng.integers(_SPEEDS))
        speed = min(float(_speeds(max_change)[choice]), (len(self.decibels) - 1) / steps[-1])
        length = round(steps[-1] * speed)
        start = rng.integers(0, max(1, len(self.decibels) - length))
        frames = np.minimum(start + np.rint(steps * speed).astype(int), len(self.decibels) - 1)
        view = self.decibels[frames].astype(np.float32)
        below, share_above = _band_positions(feature_config, max_change)
        low, high = view[:, below[choice]], view[:, below[choice] + 1]
        shifted: FloatArray = low + share_above[choice] * (high - low)
        return shifted


@cache
def _band_positions(
    feature_config: FeatureConfig, max_change: float
) -> tuple[NDArray[np.int64], FloatArray]:
    """Compute between which two mel bands each band is interpolated when the speed changes.

    At speed s, a band gets the level that the band at 1/s of its frequency had.

    Returns
    -------
    below, share_above : int64 and float32 [shape=(speeds, bands)]
        lower of the two bands, and share of the band above it
    """
    n = feature_config.n_mels
    centres = librosa.mel_frequencies(n + 2, fmin=0.0, fmax=feature_config.sample_rate / 2)[1:-1]
    positions = np.interp(centres / _speeds(max_change)[:, np.newaxis], centres, np.arange(n))
    below = np.minimum(positions.astype(np.int64), n - 2)
    return below, (positions - below).astype(np.float32)


def _speeds(max_change: float) -> NDArray[np.float64]:
    """Return the factors of the playback speed."""
    return np.linspace(1 - max_change, 1 + max_change, _SPEEDS)
