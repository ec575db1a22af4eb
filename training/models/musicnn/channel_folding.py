"""musicnn's first convolutions with eight input channels in place of one, the same to the digit.

A processor multiplies channels: with one alone seven of eight of its multipliers are idle, and
such a convolution takes as long as one of eight times its size. So neighbours become channels.

Kernels that span bands slide by one band over an image in which a band and the seven above it
are the channels (:func:`slid`). The kernel reads every eighth band of that, by dilation, and has
no more weights than before.

Kernels that span frames see blocks of eight frames as channels (:func:`blocks`), and eight
copies of each filter, shifted by a frame each, say the eight frames of a block at once
(:func:`of_blocks`): polyphase filtering, which also gives few filters many outputs.
"""

from dataclasses import dataclass
from typing import Self

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

WIDTH = 8
"""Neighbours that become channels: what one instruction of XNNPACK's kernels takes in."""


def slid(image: keras.KerasTensor, width: int) -> tuple[keras.KerasTensor, keras.Layer]:
    """Each band with the seven above it.

    Parameters
    ----------
    image : (frames, bands, 1)
    width : bands of the kernel that will read it. Each kernel needs one of its own: TFLite's
        converter makes a dilated convolution only of one that alone reads its input.

    Returns
    -------
    tensor, layer
        (frames, bands - 7 or a few more, 8), and the layer whose weights are
        :func:`sliding_kernel`: a convolution that copies is several times as fast as slices.
    """
    lacking = -width % WIDTH  # beyond the last band, where the kernel's weights are 0
    layer = layers.Conv2D(WIDTH, (1, WIDTH), use_bias=False)
    return layer(layers.ZeroPadding2D(((0, 0), (0, lacking)))(image)), layer


def sliding_kernel() -> FloatArray:
    """Kernel that copies band k of eight to channel k, float32 [shape=(1, 8, 1, 8)]."""
    return np.eye(WIDTH, dtype=np.float32)[np.newaxis, :, np.newaxis, :]


def of_slid(kernel: FloatArray) -> FloatArray:
    """A kernel over bands as it reads :func:`slid`, with dilation (1, 8).

    Parameters
    ----------
    kernel : float32 [shape=(frames, bands, 1, filters)]

    Returns
    -------
    float32 [shape=(frames, bands / 8 rounded up, 8, filters)]
    """
    frames, bands, _, filters = kernel.shape
    padded = np.pad(kernel, ((0, 0), (0, -bands % WIDTH), (0, 0), (0, 0)))
    return padded.reshape(frames, -1, WIDTH, filters)


def blocks(image: keras.KerasTensor) -> keras.KerasTensor:
    """Eight frames after another as channels.

    Parameters
    ----------
    image : (frames, bands, 1)

    Returns
    -------
    KerasTensor
        (frames / 8 rounded up, bands, 8), silence behind the last frame
    """
    frames, bands = image.shape[1:3]
    lacking = -frames % WIDTH
    padded = layers.ZeroPadding2D(((0, lacking), (0, 0)))(image)
    stacked = layers.Reshape(((frames + lacking) // WIDTH, WIDTH, bands))(padded)
    return layers.Permute((1, 3, 2))(stacked)


@dataclass(frozen=True)
class Blocking:
    """Where a kernel over frames lies among blocks.

    Attributes
    ----------
    before, behind : blocks of silence to pad, in place of the padding "same"
    shift : frames from the first that the kernel reads to the first that the filter reads
    size : blocks that the kernel reads
    """

    before: int
    behind: int
    shift: int
    size: int

    @classmethod
    def of(cls, frames: int) -> Self:
        """For a kernel of so many frames."""
        padding = (frames - 1) // 2
        before = -(-padding // WIDTH)
        shift = before * WIDTH - padding
        size = -(-(shift + frames + WIDTH - 1) // WIDTH)
        return cls(before, size - 1 - before, shift, size)


def of_blocks(kernel: FloatArray) -> FloatArray:
    """A kernel over frames as it reads :func:`blocks`, padded as :class:`Blocking` says.

    Parameters
    ----------
    kernel : float32 [shape=(frames, 1, 1, filters)]

    Returns
    -------
    float32 [shape=(blocks, 1, 8, 8 * filters)]
        all filters at a block's first frame, then all at its second, and so on.
    """
    frames, filters = kernel.shape[0], kernel.shape[-1]
    place = Blocking.of(frames)
    copies = np.zeros((place.size * WIDTH, WIDTH, filters), np.float32)
    for phase in range(WIDTH):
        first = place.shift + phase
        copies[first : first + frames, phase] = kernel[:, 0, 0]
    return copies.reshape(place.size, 1, WIDTH, WIDTH * filters)
