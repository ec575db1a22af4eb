"""Rewrite musicnn's first convolutions from one input channel to eight, with equal results.

A processor vectorises a convolution over its channels. With a single channel, seven of eight
multipliers are idle, and the convolution takes as long as with eight channels. So eight
neighbouring bands or frames become channels.

Kernels that span bands slide by one band over an image whose channels are a band and the seven
above it (:func:`stack_bands`). The kernel reads every eighth band of that image, by dilation, and
has no more weights than before.

Kernels that span frames read blocks of eight frames as channels (:func:`stack_frames`). Eight
copies of each filter, shifted by a frame each, compute the eight frames of a block at once
(:func:`fold_frame_kernel`). This is polyphase filtering, which also gives few filters many outputs.
"""

from dataclasses import dataclass
from typing import Self

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

CHANNELS = 8
"""Neighbours that become channels, the vector width of XNNPACK's kernels."""


def stack_bands(image: keras.KerasTensor, width: int) -> tuple[keras.KerasTensor, keras.Layer]:
    """Stack each band and the seven above it as channels.

    Call it once for each kernel: TFLite's converter fuses a dilated convolution only if no other
    layer reads its input.

    Parameters
    ----------
    image : tensor (frames, bands, 1)
    width : bands of the kernel that reads the result

    Returns
    -------
    tensor, layer
        tensor (frames, bands - 7 or a few more, 8), and the layer that needs the weights
        :func:`stacking_kernel`. A convolution that copies is several times as fast as slices.
    """
    missing = -width % CHANNELS  # bands beyond the last one, where the kernel's weights are 0
    layer = layers.Conv2D(CHANNELS, (1, CHANNELS), use_bias=False)
    return layer(layers.ZeroPadding2D(((0, 0), (0, missing)))(image)), layer


def stacking_kernel() -> FloatArray:
    """Return the kernel that copies band k of eight to channel k, float32 [shape=(1, 8, 1, 8)]."""
    return np.eye(CHANNELS, dtype=np.float32)[np.newaxis, :, np.newaxis, :]


def fold_band_kernel(kernel: FloatArray) -> FloatArray:
    """Fold a kernel over bands to read :func:`stack_bands` with dilation (1, 8).

    Parameters
    ----------
    kernel : float32 [shape=(frames, bands, 1, filters)]

    Returns
    -------
    float32 [shape=(frames, bands / 8 rounded up, 8, filters)]
    """
    frames, bands, _, filters = kernel.shape
    padded = np.pad(kernel, ((0, 0), (0, -bands % CHANNELS), (0, 0), (0, 0)))
    return padded.reshape(frames, -1, CHANNELS, filters)


def stack_frames(image: keras.KerasTensor) -> keras.KerasTensor:
    """Stack each block of eight successive frames as channels.

    Parameters
    ----------
    image : tensor (frames, bands, 1)

    Returns
    -------
    KerasTensor
        tensor (frames / 8 rounded up, bands, 8), zeros after the last frame
    """
    frames, bands = image.shape[1:3]
    missing = -frames % CHANNELS
    padded = layers.ZeroPadding2D(((0, missing), (0, 0)))(image)
    stacked = layers.Reshape(((frames + missing) // CHANNELS, CHANNELS, bands))(padded)
    return layers.Permute((1, 3, 2))(stacked)


@dataclass(frozen=True)
class BlockAlignment:
    """Position of a kernel over frames among blocks of eight frames.

    Attributes
    ----------
    before, after : blocks of zeros to pad, in place of the padding "same"
    shift : frames from the first that the kernel reads to the first that the filter reads
    size : number of blocks that the kernel reads
    """

    before: int
    after: int
    shift: int
    size: int

    @classmethod
    def of(cls, frames: int) -> Self:
        """Compute the position of a kernel of ``frames`` frames."""
        padding = (frames - 1) // 2
        before = -(-padding // CHANNELS)
        shift = before * CHANNELS - padding
        size = -(-(shift + frames + CHANNELS - 1) // CHANNELS)
        return cls(before, size - 1 - before, shift, size)


def fold_frame_kernel(kernel: FloatArray) -> FloatArray:
    """Fold a kernel over frames to read :func:`stack_frames`, padded by :class:`BlockAlignment`.

    Parameters
    ----------
    kernel : float32 [shape=(frames, 1, 1, filters)]

    Returns
    -------
    float32 [shape=(blocks, 1, 8, 8 * filters)]
        the outputs are all filters at a block's first frame, then all at its second, and so on.
    """
    frames, filters = kernel.shape[0], kernel.shape[-1]
    alignment = BlockAlignment.of(frames)
    copies = np.zeros((alignment.size * CHANNELS, CHANNELS, filters), np.float32)
    for phase in range(CHANNELS):
        first = alignment.shift + phase
        copies[first : first + frames, phase] = kernel[:, 0, 0]
    return copies.reshape(alignment.size, 1, CHANNELS, CHANNELS * filters)
