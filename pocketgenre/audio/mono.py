"""Mix channels to mono."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
ToMono = Callable[[FloatArray], FloatArray]
"""From samples [shape=(n, channels)] to samples [shape=(n,)]."""

# The channels cancel where the power of their mean is below this share of the loudest channel's
# power (40 dB less), and no longer do above the second value (20 dB).
_CANCELLED, _AUDIBLE = 1e-4, 1e-2
_STEP = 7  # powers are measured in every seventh sample
_SILENT_POWER = 1e-6  # mean square of a channel, -60 dB: quieter blocks are left as they are


def mix_to_mono(block: FloatArray) -> FloatArray:
    """Average the channels as ``librosa.to_mono``: (n, channels) to (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):  # non-finite samples raise later
        return _mean(block)


def _mean(block: FloatArray) -> FloatArray:
    if block.shape[1] == 1:
        return block[:, 0]
    if block.shape[1] == 2:  # four times as fast as mean() over two channels
        mono: FloatArray = block[:, 0] + block[:, 1]
        mono *= np.float32(0.5)
        return mono
    mean: FloatArray = block.mean(axis=1, dtype=np.float32)
    return mean


class MonoMixer:
    """Average the channels, or take one channel where they cancel each other.

    Two channels in opposite phase (one has the wrong polarity, by a cable or an effect) are audible
    in stereo, but their mean is silent. For such blocks the loudest channel is taken. Between the
    mean and the channel, the mixer fades over one block, so that there is no click.
    """

    def __init__(self) -> None:
        self._channel: int | None = None
        self._is_silent = True

    def __call__(self, block: FloatArray) -> FloatArray:
        """Mix one block: (n, channels) to (n,)."""
        mono = mix_to_mono(block)
        if block.shape[1] == 1 or not len(block):
            return mono
        before = self._channel
        was_silent = self._is_silent
        self._choose(block, mono)
        if was_silent:  # no fade from silence
            before = self._channel
        if before is None and self._channel is None:
            return mono
        before_samples = self._samples(before, block, mono)
        samples = self._samples(self._channel, block, mono)
        if before == self._channel:
            return np.ascontiguousarray(samples)
        fade = np.linspace(0, 1, len(block), dtype=np.float32)
        return before_samples + fade * (samples - before_samples)

    @staticmethod
    def _samples(channel: int | None, block: FloatArray, mono: FloatArray) -> FloatArray:
        return mono if channel is None or channel >= block.shape[1] else block[:, channel]

    def _choose(self, block: FloatArray, mono: FloatArray) -> None:
        """Set the channel to take, or None for the mean."""
        some, some_mono = block[::_STEP], mono[::_STEP]
        with np.errstate(invalid="ignore", over="ignore"):
            power = float(np.dot(some_mono, some_mono)) / len(some)
            powers = [float(np.dot(some[:, n], some[:, n])) for n in range(block.shape[1])]
        loudest = max(powers) / len(some)
        if not loudest > _SILENT_POWER:
            return
        self._is_silent = False
        if power > _AUDIBLE * loudest:
            self._channel = None
        elif power < _CANCELLED * loudest and self._channel is None:
            self._channel = int(np.argmax(powers))
