"""Reduce a song to an outline for drawing: waveform and features in at most 1,000 columns."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features import compute_features
from pocketgenre.features.config import FeatureConfig
from pocketgenre.server.schemas import Outline

FloatArray = NDArray[np.float32]

_COLUMNS_PER_SEGMENT = 30
_MAX_COLUMNS = 1_000


class OutlineBuilder:
    """Collect the outline of a song while its segments are processed.

    Parameters
    ----------
    feature_config : parameters of the features
    """

    def __init__(self, feature_config: FeatureConfig) -> None:
        self._feature_config = feature_config
        self._lowest: list[FloatArray] = []
        self._highest: list[FloatArray] = []
        self._features: list[FloatArray] = []

    def record(self, segments: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Pass segments through and add each to the outline.

        Parameters
        ----------
        segments : iterable of float32 [shape=(segment_samples,)]

        Yields
        ------
        float32 [shape=(segment_samples,)]
        """
        for segment in segments:
            columns = np.array_split(segment, _COLUMNS_PER_SEGMENT)
            self._lowest.append(np.array([column.min() for column in columns]))
            self._highest.append(np.array([column.max() for column in columns]))
            frames = compute_features(segment, self._feature_config)
            parts = np.array_split(frames, _COLUMNS_PER_SEGMENT)
            self._features.append(np.stack([part.mean(axis=0) for part in parts]))
            yield segment

    def build(self) -> Outline:
        """Return the outline of all segments so far."""
        lowest, highest = np.concatenate(self._lowest), np.concatenate(self._highest)
        features = np.concatenate(self._features)
        merged = -(-len(lowest) // _MAX_COLUMNS)
        starts = np.arange(0, len(lowest), merged)
        sums = np.add.reduceat(features, starts, axis=0)
        means = sums / np.diff([*starts, len(lowest)])[:, np.newaxis]
        seconds = self._feature_config.segment_seconds / _COLUMNS_PER_SEGMENT
        return Outline(
            seconds_per_column=merged * seconds,
            lowest=_rounded(np.minimum.reduceat(lowest, starts)),
            highest=_rounded(np.maximum.reduceat(highest, starts)),
            kind=self._feature_config.kind,
            features=_rounded(means),
        )


def _rounded(values: NDArray[np.floating]) -> Any:
    return np.round(values.astype(float), 3).tolist()
