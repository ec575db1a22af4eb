"""Compute the features of audio segments in NumPy.

``compute_features(samples, config)`` computes the kind of features that the configuration names.
"""

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig, feature_kind

__all__ = ["FeatureConfig", "compute_features"]


def compute_features(samples: NDArray[np.float32], config: FeatureConfig) -> NDArray[np.float32]:
    """Compute the features of one segment.

    Parameters
    ----------
    samples : float32 [shape=(segment_samples,)]
        mono audio at ``config.sample_rate``
    config : parameters, and the kind of features

    Returns
    -------
    float32 [shape=(frames, coefficients)]
    """
    return feature_kind(config.kind).compute(samples, config)
