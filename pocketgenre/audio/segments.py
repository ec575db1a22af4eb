"""Cut a stream of samples into the 3 s segments that the network hears."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError
from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig

FloatArray = NDArray[np.float32]

SHORTEST_SECONDS = 1.0
"""A song shorter than a segment is repeated to fill one, unless it is shorter than this.

Repeated, not padded with silence: of clips of 2 to 3 s that way five in a hundred more are labelled
rightly, since no network has learned how music sounds that stops.
"""


class TooShortError(AudioError):
    """Less audio than anything could be said about."""


def cut_segments(
    blocks: Iterable[FloatArray], feature_config: FeatureConfig = MFCC_CONFIG
) -> Iterator[FloatArray]:
    """Consecutive segments of a song; a rest shorter than a segment is dropped.

    Parameters
    ----------
    blocks : iterable of float32 [shape=(n,)]
        the song's samples in order, at ``config.sample_rate``.

    Yields
    ------
    float32 [shape=(segment_samples,)]

    Raises
    ------
    TooShortError
        the song lasts less than :data:`SHORTEST_SECONDS`.
    """
    size = feature_config.segment_samples
    segment = np.empty(size, np.float32)
    filled = 0
    yielded = False
    for block in blocks:
        start = 0
        while start < len(block):
            taken = min(size - filled, len(block) - start)
            segment[filled : filled + taken] = block[start : start + taken]
            filled += taken
            start += taken
            if filled == size:
                yield segment
                yielded = True
                segment = np.empty(size, np.float32)
                filled = 0
    if yielded:
        return
    if filled < SHORTEST_SECONDS * feature_config.sample_rate:
        seconds = filled / feature_config.sample_rate
        raise TooShortError(
            f"too short: {seconds:.2f} s of audio, at least {SHORTEST_SECONDS:g} s are needed"
        )
    yield np.resize(segment[:filled], size)
