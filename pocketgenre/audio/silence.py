"""Find the silent segments of a song, which have no vote."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pocketgenre.constants import SILENCE_DECIBELS, SILENCE_RANGE_DECIBELS

_SMALLEST_POWER = 1e-20


def level(segment: NDArray[np.float32]) -> float:
    """Compute the level of a segment: its root mean square without the mean [dB of full scale].

    Parameters
    ----------
    segment : float32 [shape=(n,)], n >= 1
    """
    centred = segment - segment.mean(dtype=np.float64)
    return float(
        10 * np.log10(max(float(np.dot(centred, centred)) / len(centred), _SMALLEST_POWER))
    )


def silence_threshold(levels: Sequence[float]) -> float:
    """Compute the level below which segments of a song are silent [dB of full scale].

    Parameters
    ----------
    levels : levels of the song's segments, at least one
    """
    return max(SILENCE_DECIBELS, max(levels) - SILENCE_RANGE_DECIBELS)
