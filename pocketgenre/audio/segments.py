"""Cut a stream of samples into segments of fixed length."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pocketgenre.constants import MIN_SONG_SECONDS
from pocketgenre.errors import AudioError
from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig

FloatArray = NDArray[np.float32]


class TooShortError(AudioError):
    """The song is too short to be classified."""


def too_short(seconds: float) -> TooShortError:
    """Create the error of a song that has too few seconds of audio."""
    shown = math.floor(seconds * 100) / 100  # 0.999 s is not shown as the required 1.00 s
    return TooShortError(
        f"too short: {shown:.2f} s of audio, at least {MIN_SONG_SECONDS:g} s are needed"
    )


def cut_segments(
    blocks: Iterable[FloatArray], config: FeatureConfig = MFCC_CONFIG
) -> Iterator[FloatArray]:
    """Cut a song into consecutive segments; a remainder shorter than a segment is dropped.

    Parameters
    ----------
    blocks : iterable of float32 [shape=(n,)]
        samples of the song in order, at ``config.sample_rate``
    config : sample rate and length of a segment

    Yields
    ------
    float32 [shape=(segment_samples,)]

    Raises
    ------
    TooShortError
        if the song is shorter than :data:`pocketgenre.constants.MIN_SONG_SECONDS`.
    """
    size = config.segment_samples
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
    if filled < MIN_SONG_SECONDS * config.sample_rate:
        raise too_short(filled / config.sample_rate)
    yield np.resize(segment[:filled], size)
