"""Decode segments of a song, correctly or with the errors that a device may make."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import ToMono, stream_mono
from pocketgenre.audio.segments import cut_segments
from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.parity.reference_features import mel_power

FloatArray = NDArray[np.float32]

MAX_DELAY = 4_096
"""Longest delay that :meth:`ParityAudio.delayed` supports [samples]."""


class UnknownSegmentError(AudioError):
    """A song ends before the requested segment."""


def song_segments(
    path: str | os.PathLike[str], feature_config: FeatureConfig
) -> Iterable[FloatArray]:
    """Decode a song and cut it: iterable of float32 [shape=(segment_samples,)]."""
    return cut_segments(stream_mono(path, feature_config.sample_rate), feature_config)


def select_segments(segments: Iterable[FloatArray], first: int, count: int) -> list[FloatArray]:
    """Return consecutive segments of a song; there are fewer if the song ends.

    Parameters
    ----------
    segments : the segments of the song, each float32 [shape=(segment_samples,)]
    first : number of the first segment, counted from 0
    count : number of segments

    Raises
    ------
    UnknownSegmentError
        if the song ends before the first segment.
    """
    selected = list(islice(segments, first, first + count))
    if not selected:
        raise UnknownSegmentError(f"the song has no segment {first}; segments are counted from 0")
    return selected


@dataclass(frozen=True)
class ParityAudio:
    """Audio of the segments whose features were computed on a device.

    Attributes
    ----------
    path : path of the song
    feature_config : parameters of the features
    first : number of the first segment
    count : number of segments
    """

    path: str | os.PathLike[str]
    feature_config: FeatureConfig
    first: int
    count: int

    @cached_property
    def segments(self) -> list[FloatArray]:
        """The correct segments: list of float32 [shape=(segment_samples,)]."""
        return self.delayed(0)

    def delayed(self, samples: int) -> list[FloatArray]:
        """Return the segments of the song with zeros inserted at its start.

        Parameters
        ----------
        samples : number of zeros, at most :data:`MAX_DELAY`
        """
        return self._cut(self._with_samples_before[MAX_DELAY - samples :])

    def decoded(self, sample_rate: int, to_mono: ToMono | None = None) -> list[FloatArray]:
        """Return the segments of the song decoded differently.

        Parameters
        ----------
        sample_rate : sample rate of the decoded audio [Hz]; the segments still have
            ``segment_samples`` samples
        to_mono : function that mixes the channels; None for their mean
        """
        return self._cut(self._decode(sample_rate, to_mono, 0))

    @cached_property
    def max_mel_power(self) -> float:
        """Largest mel power in the whole song."""
        return max(
            float(mel_power(segment, self.feature_config).max()) for segment in self.whole_song()
        )

    def whole_song(self) -> Iterable[FloatArray]:
        """Return all segments of the song: iterable of float32 [shape=(segment_samples,)]."""
        return song_segments(self.path, self.feature_config)

    @cached_property
    def _with_samples_before(self) -> FloatArray:
        return self._decode(self.feature_config.sample_rate, None, MAX_DELAY)

    def _decode(self, sample_rate: int, to_mono: ToMono | None, before: int) -> FloatArray:
        """Decode the samples of the segments, and some samples before them."""
        size = self.feature_config.segment_samples
        start, end = self.first * size - before, (self.first + self.count) * size
        parts: list[FloatArray] = [np.zeros(max(0, -start), np.float32)]
        position = 0
        for block in stream_mono(self.path, sample_rate, to_mono):
            parts.append(block[max(0, start - position) : max(0, end - position)])
            position += len(block)
            if position >= end:
                break
        return np.concatenate(parts)

    def _cut(self, samples: FloatArray) -> list[FloatArray]:
        size = self.feature_config.segment_samples
        complete = min(len(samples) // size, self.count)
        if not complete and len(samples) and not self.first:  # short songs are repeated
            return [np.resize(samples, size)]
        return list(samples[: complete * size].reshape(complete, size))
