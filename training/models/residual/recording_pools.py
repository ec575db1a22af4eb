"""Draw views from recordings that are given by their mel spectra or by their MFCC."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.models.residual.excerpts import Excerpt
from pocketgenre.training.models.residual.network import frames_per_view

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RecordingPool:
    """Recordings given by their mel spectra.

    Attributes
    ----------
    excerpts : training excerpts of each recording
    targets : share of each label, float32 [shape=(recordings, labels)]
    weights : probability of drawing each recording, float64 [shape=(recordings,)]
    """

    excerpts: list[list[Excerpt]]
    targets: FloatArray
    weights: NDArray[np.float64]

    def joined(self, other: Self, share: float) -> Self:
        """Return the recordings of both pools; ``share`` is the probability of the other pool."""
        return type(self)(
            self.excerpts + other.excerpts,
            np.concatenate([self.targets, other.targets]),
            np.concatenate([(1 - share) * self.weights, share * other.weights]),
        )

    def sample(
        self, count: int, config: FeatureConfig, max_change: float, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Draw views in decibels, and their targets.

        Parameters
        ----------
        count : number of views
        config : feature parameters
        max_change : largest relative change of the playback speed
        rng : generator that draws recordings, positions and speeds

        Returns
        -------
        views, targets : float32 [shape=(count, frames, mel bands)], [shape=(count, labels)]
        """
        drawn = rng.choice(len(self.weights), count, p=self.weights)
        views = [
            self._view(self.excerpts[recording], config, max_change, rng) for recording in drawn
        ]
        return np.stack(views), self.targets[drawn]

    @staticmethod
    def _view(
        excerpts: list[Excerpt],
        config: FeatureConfig,
        max_change: float,
        rng: np.random.Generator,
    ) -> FloatArray:
        lengths = np.array([len(excerpt.decibels) for excerpt in excerpts])
        drawn = rng.choice(len(excerpts), p=lengths / lengths.sum())
        return excerpts[drawn].sample_view(config, max_change, rng)


@dataclass(frozen=True, eq=False)
class MfccPool:
    """Songs given by the MFCC of some of their frames.

    Attributes
    ----------
    frames : float32 [shape=(songs, frames, coefficients)]
    targets : share of each label, float32 [shape=(songs, labels)]
    weights : probability of drawing each song, float64 [shape=(songs,)]
    """

    frames: FloatArray
    targets: FloatArray
    weights: NDArray[np.float64]

    def sample(
        self, count: int, config: FeatureConfig, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Draw views of successive frames, and their targets.

        Returns
        -------
        views, targets : float32 [shape=(count, frames, coefficients)], [shape=(count, labels)]
        """
        view = frames_per_view(config.n_frames)
        drawn = rng.choice(len(self.weights), count, p=self.weights)
        starts = rng.integers(0, self.frames.shape[1] - view + 1, count)
        frames = starts[:, np.newaxis] + np.arange(view)
        return self.frames[drawn[:, np.newaxis], frames], self.targets[drawn]
