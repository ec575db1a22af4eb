"""Continue a song with a second decoder at the sample where the first decoder ended."""

from collections import deque
from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Blocks = Iterator[tuple[int, FloatArray]]
"""Sample rates [Hz] and blocks [shape=(n, channels)]."""

_MATCHED = 4_096  # samples compared
# The decoders may count samples differently, by the delay of the encoder and a frame or two.
_MAX_SHIFT = 4 * 1_152
_MAX_ERROR = 1e-5  # share of the power; the decoders' rounding differs by 1e-12


class Tail:
    """The last samples of a decoder.

    Attributes
    ----------
    rate : sample rate [Hz]
    frames : number of samples of each channel
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.frames = 0
        self._ends: deque[FloatArray] = deque(maxlen=2)

    def add(self, block: FloatArray) -> None:
        """Add the next block [shape=(n, channels)]."""
        self.frames += len(block)
        self._ends.append(block[-_MATCHED:, 0].copy())  # a kept block would slow down the next

    @property
    def samples(self) -> FloatArray:
        """Last samples of the first channel, at most 4096."""
        return np.concatenate([np.empty(0, np.float32), *self._ends])[-_MATCHED:]


def drop_decoded(blocks: Blocks, tail: Tail) -> Blocks:
    """Drop the samples that another decoder has returned.

    Parameters
    ----------
    blocks : the whole song, from its start
    tail : last samples of the other decoder. The position at which they occur is searched for near
        the number of samples, which is used if they do not occur.
    """
    first, before = _skip(blocks, tail)
    near: list[tuple[int, FloatArray]] = []
    collected = 0
    for rate, block in chain(first, blocks):
        near.append((rate, block))
        collected += len(block)
        if rate != tail.rate or before + collected >= tail.frames + _MAX_SHIFT:
            break
    channel = [block[:, 0] for rate, block in near if rate == tail.rate]
    dropped = tail.frames - before
    if channel:
        dropped = _find(np.concatenate(channel), tail.samples, dropped)
    for rate, block in near:
        if dropped < len(block):
            yield rate, block[max(0, dropped) :]
        dropped -= len(block)
    yield from blocks


def _skip(blocks: Blocks, tail: Tail) -> tuple[list[tuple[int, FloatArray]], int]:
    """Skip blocks long before the position; return the first of the others, and its position."""
    position = 0
    for rate, block in blocks:
        length = round(len(block) * tail.rate / rate)
        if position + length > tail.frames - _MATCHED - _MAX_SHIFT:
            return [(rate, block)], position
        position += length
    return [], position


def _find(samples: FloatArray, tail: FloatArray, expected: int) -> int:
    """Return the end of the occurrence of ``tail`` that is the nearest to an expected end."""
    power = float(np.dot(tail, tail))
    if not power or len(samples) < len(tail):
        return expected
    squares = np.cumsum(np.concatenate([[0.0], samples.astype(np.float64) ** 2]))
    powers = squares[len(tail) :] - squares[: -len(tail)]
    errors = powers + power - 2 * np.correlate(samples, tail, "valid").astype(np.float64)
    ends = np.flatnonzero(errors < _MAX_ERROR * power) + len(tail)
    if not len(ends):
        return expected
    return int(ends[np.abs(ends - expected).argmin()])
