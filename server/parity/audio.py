"""Some segments of a song as a device may have heard them: later, otherwise mixed or sampled."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import ToMono, stream_mono
from pocketgenre.features.config import FeatureConfig
from pocketgenre.server.parity.reference_features import mel_power
from pocketgenre.server.tasks import Recording

FloatArray = NDArray[np.float32]

LONGEST_DELAY = 4_096
"""That :meth:`ParityAudio.late` takes [samples]."""


@dataclass(frozen=True)
class ParityAudio:
    """The recording whose features were computed elsewhere, around some of its segments.

    Attributes
    ----------
    first, count : which segments
    """

    recording: Recording
    feature_config: FeatureConfig
    first: int
    count: int

    @cached_property
    def segments(self) -> list[FloatArray]:
        """Those segments as they are."""
        return self.late(0)

    def late(self, delay: int) -> list[FloatArray]:
        """The segments if the song began so many samples later, with zeros."""
        return self._cut(self._around[LONGEST_DELAY - delay :])

    def heard(self, rate: int, to_mono: ToMono | None = None) -> list[FloatArray]:
        """The segments of the song at another rate, or otherwise mixed."""
        return self._cut(self._decoded(rate, to_mono, 0))

    @cached_property
    def _around(self) -> FloatArray:
        return self._decoded(self.feature_config.sample_rate, None, LONGEST_DELAY)

    def _decoded(self, rate: int, to_mono: ToMono | None, before: int) -> FloatArray:
        """What is at the segments' place, counted in samples, and so many samples before."""
        size = self.feature_config.segment_samples
        start, end = self.first * size - before, (self.first + self.count) * size
        parts: list[FloatArray] = [np.zeros(max(0, -start), np.float32)]
        at = 0
        for block in stream_mono(Path(self.recording.path), rate, to_mono):
            parts.append(block[max(0, start - at) : max(0, end - at)])
            at += len(block)
            if at >= end:
                break
        return np.concatenate(parts)

    def _cut(self, samples: FloatArray) -> list[FloatArray]:
        size = self.feature_config.segment_samples
        whole = min(len(samples) // size, self.count)
        if not whole and len(samples) and not self.first:  # short songs are repeated
            return [np.resize(samples, size)]
        return list(samples[: whole * size].reshape(whole, size))

    @cached_property
    def power(self) -> float:
        """Largest mel power of any of its segments."""
        segments = self.recording.segments(self.feature_config)
        return max(float(mel_power(segment, self.feature_config).max()) for segment in segments)
